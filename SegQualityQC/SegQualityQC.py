"""SegQualityQC: predicts the quality of a loaded segmentation, slice by slice and without a reference."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

# In a source checkout the library stands one folder up; installed, it stands beside this file.
_MODULE_FOLDER = Path(__file__).resolve().parent
if not (_MODULE_FOLDER / "SegQualityQCLib").is_dir():
    sys.path.insert(0, str(_MODULE_FOLDER.parent))

from SegQualityQCLib.resources import resources_folder

# Slicer 5.8 and older have Python 3.9, in which this file alone, with what it imports above, can be read.
TOO_OLD = sys.version_info < (3, 10)  # it is Slicer's Python, not the one of pyproject.toml


class SegQualityQC(ScriptedLoadableModule):
    """What Slicer shows of the module before it is opened."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Segmentation Quality Control")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = []
        parent.contributors = ["SegQualityQC contributors"]
        parent.helpText = _(
            "Predicts the Dice coefficient of each slice of a segmentation without a reference, and shows the slices "
            "that should be looked at first. Not a medical device."
        )
        parent.acknowledgementText = _("Method and training data are described in the model cards of the models.")
        parent.icon = qt.QIcon(str(resources_folder() / "Icons" / "SegQualityQC.png"))
        slicer.app.connect("startupCompleted()", registerSampleData)


def registerSampleData():
    """Offer the synthetic heart in the Sample Data module."""
    if not TOO_OLD:
        from SegQualityQCLib.scene.sample_data import register_sample

        register_sample()


@parameterNodeWrapper
class SegQualityQCParameterNode:
    """The state of the panel, saved with the scene.

    volume, segmentation - what is assessed.
    deselected - identifiers of the segments that are not assessed, one a line.
    model - folder of the model, or name of one that comes with the module; empty takes the one that fits each segment.
    axis - slice axis i, j or k; empty takes that of the largest spacing.
    threshold - predicted Dice below which a slice is low.
    order - "worst" or "suggested": the order of the table.
    difference - whether to write the difference image.
    showOverlay, showSurface - whether slices and surface are coloured.
    follow - whether edited slices are scored again.
    """

    volume: slicer.vtkMRMLScalarVolumeNode
    segmentation: slicer.vtkMRMLSegmentationNode
    deselected: str = ""
    model: str = ""
    axis: str = ""
    # Slicer binds a slider to a number with a range only.
    threshold: Annotated[float, WithinRange(0.0, 1.0)] = 0.7
    order: str = "worst"
    difference: bool = False
    showOverlay: bool = True
    showSurface: bool = False
    follow: bool = True


class SegQualityQCWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel as Slicer sets it up, enters, leaves and deletes it.

    Attributes:
        panel: What the panel shows and does (SegQualityQCLib.widgets.panel.AssessmentPanel); None in a Slicer that is
            too old, where the panel only says so.
    """

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.panel = None
        self._guiTag = None
        self._entered = False

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(str(resources_folder() / "UI" / "SegQualityQC.ui"))
        if TOO_OLD:
            label = qt.QLabel(_("Segmentation Quality Control needs Slicer 5.10 or newer: update Slicer to use it."))
            label.setWordWrap(True)
            self.layout.addWidget(label)
            uiWidget.setEnabled(False)
            self.layout.addWidget(uiWidget)
            return
        from SegQualityQCLib.review.decisions import Decision
        from SegQualityQCLib.widgets.panel import AssessmentPanel
        from SegQualityQCLib.widgets.shortcuts import Shortcuts

        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = SegQualityQCLogic()
        self.panel = AssessmentPanel(self.ui, self.logic)
        # None with Ctrl+Alt: it is AltGr on Windows, and typing a Polish ą would accept a slice.
        # Ctrl+Shift+A and Ctrl+Shift+T are Slicer's.
        self.shortcuts = Shortcuts(
            {
                "Ctrl+Shift+N": self.panel.navigation.next,
                "Ctrl+Shift+P": self.panel.navigation.previous,
                "Ctrl+Shift+L": self.panel.navigation.next_low,
                "Ctrl+Shift+G": lambda: self.panel.review.decide(Decision.ACCEPTED),
                "Ctrl+Shift+O": self.panel.navigation.toggle_overlay,
                "Ctrl+Shift+H": self.panel.navigation.toggle_outline,
            }
        )
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneEndClose)
        self.addObserver(scene, scene.NodeAddedEvent, self.onNodesChanged)
        self.addObserver(scene, scene.NodeRemovedEvent, self.onNodesChanged)
        self.addObserver(scene, scene.NodeAboutToBeRemovedEvent, self.onNodeAboutToBeRemoved)
        self.initializeParameterNode()

    def cleanup(self):
        if self.panel is None:
            return
        self.panel.stop()
        self.exit()
        self.removeObservers()

    def enter(self):
        if self.panel is None:
            return
        self._entered = True
        self.initializeParameterNode()
        self.shortcuts.install(slicer.util.mainWindow())
        self.panel.enter()

    def exit(self):
        """Leave the panel; an assessment goes on, and enter() shows its results."""
        if self.panel is None:
            return
        self._entered = False
        self.shortcuts.remove()
        self.panel.leave()
        self._setParameterNode(None)

    def onReload(self):
        for name in [name for name in sys.modules if name.split(".")[0] == "SegQualityQCLib"]:
            del sys.modules[name]
        super().onReload()
        slicer.modules.SegQualityQCWidget.enter()  # Slicer sets the new panel up and does not enter it

    def onSceneStartClose(self, caller, event):
        self.panel.release_scene()
        self._setParameterNode(None)

    def onSceneEndClose(self, caller, event):
        if self._entered:
            self.initializeParameterNode()

    def onNodesChanged(self, caller, event):
        self.panel.nodes_changed()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeAboutToBeRemoved(self, caller, event, node):
        """Remove the results with their segmentation: some are hidden, so that users could not remove them."""
        if caller.IsClosing() or not node.IsA("vtkMRMLSegmentationNode"):
            return
        from SegQualityQCLib.scene.result_nodes import remove_from_scene, result_nodes

        left = result_nodes(node)
        if left:
            qt.QTimer.singleShot(0, lambda: remove_from_scene(caller, left))

    def initializeParameterNode(self):
        self._setParameterNode(self.logic.getParameterNode())
        self.panel.choose_defaults()

    def _setParameterNode(self, parameterNode):
        before = self.panel.parameters
        if before is not None:
            before.disconnectGui(self._guiTag)
            self.removeObserver(before, vtk.vtkCommand.ModifiedEvent, self.onParametersModified)
        if parameterNode is not None:
            self._guiTag = parameterNode.connectGui(self.ui)
            self.addObserver(parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersModified)
        self.panel.follow(parameterNode)

    def onParametersModified(self, caller, event):
        self.panel.parameters_changed()


class SegQualityQCLogic(ScriptedLoadableModuleLogic):
    """Assesses segmentations; works without a window.

    Example::

        volumeNode = slicer.util.getNode("MR")
        segmentationNode = slicer.util.getNode("Segmentation")
        reports = SegQualityQCLogic().assess(volumeNode, segmentationNode)
        for segmentId, report in reports.items():
            print(report.case.segment, report.volume.dice, report.order[:3])
    """

    _shared = None

    def getParameterNode(self):
        return SegQualityQCParameterNode(super().getParameterNode())

    def assess(self, volumeNode, segmentationNode, segmentIds=None, **options):
        """Assess segments and write the results into the scene.

        Args:
            volumeNode: Scalar volume node.
            segmentationNode: Segmentation node.
            segmentIds: Identifiers of segments; None takes all.
            options: model, axis, threshold, difference, as in SegQualityQCLib.scene.assessment.Request.

        Returns:
            The reports (SegQualityQCLib.report.report.QualityReport) by segment identifier.

        Raises:
            SegQualityError: The input or the model cannot be used; the message says why.
        """
        reports = {}
        for progress in self.iterAssess(volumeNode, segmentationNode, segmentIds=segmentIds, **options):
            reports = progress.reports
        return reports

    def iterAssess(self, volumeNode, segmentationNode, segmentIds=None, **options):
        """The steps of :meth:`assess`; closing the iterator before its end leaves the scene as it was."""
        yield from self._scorer().iter_assess(volumeNode, segmentationNode, segment_ids=segmentIds, **options)

    def rescore(self, segmentationNode, threshold=0.7):
        """Score the slices of an assessed segmentation that were edited since; returns the reports.

        Raises:
            SegQualityError: The volume or the model of the results is gone, or another image is shown.
        """
        for _progress in self.iterRescore(segmentationNode, threshold):
            pass
        return self.results(segmentationNode).reports

    def iterRescore(self, segmentationNode, threshold):
        """The steps of :meth:`rescore`."""
        yield from self._scorer().iter_rescore(segmentationNode, threshold)

    def signSlice(self, segmentationNode, segmentId, index, review):
        """Keep a decision (SegQualityQCLib.scene.reviews.Review) on a slice as it is drawn now.

        Raises:
            SegQualityError: The segment or the volume is gone, or another image is shown than was assessed.
        """
        self._scorer().sign_slice(segmentationNode, segmentId, index, review)

    def signCase(self, segmentationNode, review):
        """Keep a decision on the whole case as it is drawn now; see :meth:`signSlice`."""
        self._scorer().sign_case(segmentationNode, review)

    def _scorer(self):
        """Keeps the loaded models, for all instances together."""
        from SegQualityQCLib.scene.scorer import SceneScorer

        folders = tuple(self.modelFolders())
        if SegQualityQCLogic._shared is None or SegQualityQCLogic._shared.model_folders != folders:
            SegQualityQCLogic._shared = SceneScorer(folders)
        return SegQualityQCLogic._shared

    def modelFolders(self):
        """The user's own folder of models, beside Slicer's settings or as the settings say."""
        folder = slicer.app.userSettings().value("SegQualityQC/ModelsFolder")
        return [folder or str(Path(slicer.app.slicerUserSettingsFilePath).parent / "SegQualityQC" / "Models")]

    def models(self):
        """The folders of all models."""
        from SegQualityQCLib.bundles.catalogue import available_bundles

        return available_bundles(self.modelFolders())

    def addModel(self, folder):
        """Check a model and copy it to the user's own.

        Raises:
            SegQualityError: The model is damaged or unsafe, or one of this name is there already.
        """
        from SegQualityQCLib.estimators.installing import add_bundle

        return add_bundle(folder, self.modelFolders()[0])

    def segmentModels(self, segmentationNode, model):
        """Identifier, name, name of the model and whether it fits, of each segment."""
        return self._scorer().segment_models(segmentationNode, model or None)

    def results(self, segmentationNode):
        """The results that a segmentation keeps (SegQualityQCLib.scene.stored_results.Results)."""
        from SegQualityQCLib.scene.stored_results import Results, read_results

        return read_results(segmentationNode) if segmentationNode is not None else Results({})

    def showResults(self, segmentationNode, overlay, surface):
        """Show or hide the coloured slices and the coloured surfaces."""
        from SegQualityQCLib.scene.visibility import show_overlay, show_surfaces

        show_overlay(segmentationNode, overlay)
        show_surfaces(segmentationNode, surface)

    def goToSlice(self, segmentationNode, segmentId, index):
        """Take all slice views to a slice of a segment: the red one in its plane, the others across it."""
        self._scorer().go_to_slice(segmentationNode, segmentId, index)

    def loadDemo(self):
        """Put the synthetic heart and its candidate segmentation into the scene; returns both nodes."""
        from SegQualityQCLib.scene.sample_data import add_demo

        return add_demo(slicer.mrmlScene)

    def torchInstalled(self):
        """Whether a PyTorch that is new enough can be imported; does not import it."""
        from SegQualityQCLib.scene.torch_setup import torch_installed

        return torch_installed()

    def installTorch(self):
        """Install PyTorch with the PyTorch extension, which asks the user first; returns whether the user agreed.

        Raises:
            RuntimeError: The extension is missing.
        """
        from SegQualityQCLib.scene.torch_setup import install_torch

        return install_torch()


class SegQualityQCTest(ScriptedLoadableModuleTest):
    """Slicer's self-test of the module: the sample heart is assessed, and a slice of it edited and restored."""

    def setUp(self):
        slicer.mrmlScene.Clear(0)
        self.logic = SegQualityQCLogic()
        self.volumeNode, self.segmentationNode = self.logic.loadDemo()

    def runTest(self):
        for test in (self.test_AssessDemo, self.test_CorrectDemo):
            self.setUp()
            test()

    def test_AssessDemo(self):
        if not self.logic.torchInstalled():
            self.assertEqual(self.logic.results(self.segmentationNode).reports, {})
            return
        (report,) = self.logic.assess(self.volumeNode, self.segmentationNode).values()
        self.assertEqual(report.case.slices, 10)
        self.assertEqual(report.slice(4).status.value, "gap")
        self.assertEqual(report.order[0], 4)
        self.assertEqual(list(self.logic.results(self.segmentationNode).reports.values()), [report])

    def test_CorrectDemo(self):
        """An erased slice becomes a gap; restored, it has its score again."""
        from SegQualityQCLib.scene.originals import restore_slice

        if not self.logic.torchInstalled():
            return
        ((segmentId, report),) = self.logic.assess(self.volumeNode, self.segmentationNode).items()
        labelmap = slicer.vtkOrientedImageData()
        self.segmentationNode.GetBinaryLabelmapRepresentation(segmentId, labelmap)
        slicer.vtkOrientedImageDataResample.FillImage(labelmap, 0, [*labelmap.GetExtent()[:4], 6, 6])
        slicer.vtkSlicerSegmentationsModuleLogic.SetBinaryLabelmapToSegment(labelmap, self.segmentationNode, segmentId)
        self.assertEqual(self.logic.rescore(self.segmentationNode)[segmentId].slice(6).status.value, "gap")
        restore_slice(self.segmentationNode, self.volumeNode, segmentId, "k", 6)
        restored = self.logic.rescore(self.segmentationNode)[segmentId]
        self.assertEqual(restored.order, report.order)
        for after, before in zip(restored.slices, report.slices, strict=True):
            rounded = replace(after, dice=before.dice, low=before.low, high=before.high)
            self.assertEqual(rounded, before)
            for now, then in ((after.dice, before.dice), (after.low, before.low), (after.high, before.high)):
                self.assertAlmostEqual(now, then, places=6)  # a slice alone is rounded otherwise than in a batch
