"""Real MRML scenes for tests, as Slicer would hold them."""

import slicer

from SegQualityQCLib.scene.images import add_segmentation, add_volume


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


def volume_node(scene, image, name="volume"):
    """A volume node of a SimpleITK image."""
    return add_volume(scene, image, name)


def segmentation_node(scene, labels, volume, name="segmentation", names=()):
    """A segmentation node of a labelmap, imported as Slicer does (segments share a layer)."""
    return add_segmentation(scene, labels, volume, name, names)


def separate_layers(node):
    """Give each segment a layer of its own."""
    segmentation = node.GetSegmentation()
    for n in range(segmentation.GetNumberOfSegments()):
        segmentation.SeparateSegmentLabelmap(segmentation.GetNthSegmentID(n))


def node_ids(scene):
    """The identifiers of all nodes, to see that a scene was left as it was."""
    return sorted(scene.GetNthNode(n).GetID() for n in range(scene.GetNumberOfNodes()))
