"""Real MRML scenes for tests, as Slicer would hold them."""

import slicer


def new_scene():
    """A scene with application and module logics, as slicer.util expects them."""
    scene = slicer.vtkMRMLScene()
    application = slicer.vtkMRMLApplicationLogic()
    application.SetMRMLScene(scene)
    logics = [application]
    for logic_class in (
        slicer.vtkSlicerSegmentationsModuleLogic,
        slicer.vtkSlicerColorLogic,
        slicer.vtkSlicerSequencesLogic,
    ):
        logic = logic_class()
        logic.SetMRMLApplicationLogic(application)
        logic.SetMRMLScene(scene)
        logics.append(logic)
    scene.logics = logics
    return scene


def separate_layers(node):
    """Give each segment a layer of its own."""
    segmentation = node.GetSegmentation()
    for n in range(segmentation.GetNumberOfSegments()):
        segmentation.SeparateSegmentLabelmap(segmentation.GetNthSegmentID(n))


def node_ids(scene):
    """The identifiers of all nodes, to see that a scene was left as it was."""
    return sorted(scene.GetNthNode(n).GetID() for n in range(scene.GetNumberOfNodes()))
