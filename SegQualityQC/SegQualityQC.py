"""SegQualityQC: tells, slice by slice and without a reference, how good a loaded segmentation is."""

from __future__ import annotations

import importlib.util
import sys
from contextlib import contextmanager
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
from vtk.util.numpy_support import vtk_to_numpy

# In a source checkout the library stands one folder up; installed, it stands beside this file.
_MODULE_FOLDER = Path(__file__).resolve().parent
if not (_MODULE_FOLDER / "SegQualityQCLib").is_dir():
    sys.path.insert(0, str(_MODULE_FOLDER.parent))

from SegQualityQCLib.errors import SegQualityError
from SegQualityQCLib.resources import resources_folder

TORCH_REQUIREMENT = ">=2.2"

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
    """Register the synthetic heart in the Sample Data module; it is computed on this machine, not downloaded."""
    if TOO_OLD:
        return
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="SegQualityQC",
        sampleName="SegQualityQCDemoHeart",
        thumbnailFileName=str(resources_folder() / "Icons" / "SegQualityQC.png"),
        uris="",
        fileNames="",
        nodeNames="DemoHeart",
        customDownloader=loadSample,
    )


def loadSample(source):
    """Compute the synthetic heart, put it into the scene and show it; called by the Sample Data module."""
    volumeNode, segmentationNode = SegQualityQCLogic().loadDemo()
    slicer.util.setSliceViewerLayers(background=volumeNode, fit=True)
    return [volumeNode, segmentationNode]


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
    """The panel. It holds no computation: the logic does it in steps, which the event loop asks for one by one.

    Its sections (SegQualityQCLib.widgets) see of it: ui, logic, parameters, results, table, steps, review, worklist,
    listening, updating(), errorsInPanel(), refresh().
    """

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.parameters = None
        self.results = None
        self._guiTag = None
        self._updates = 0
        self._entered = False
        self._followed = True
        self._edited = False  # while the steps ran
        self._elsewhere = False  # the panel says that another image is shown than was assessed
        self._coloured = None  # what was last shown of the coloured slices
        self._tableNode = None  # whose results were last shown
        self._chosen = (None, None)  # segmentation and volume, as last seen

    def _setupTooOld(self):
        """A panel that says what it needs, and no more: :attr:`logic` stays None."""
        ScriptedLoadableModuleWidget.setup(self)
        label = qt.QLabel(_("Segmentation Quality Control needs Slicer 5.10 or newer: update Slicer to use it."))
        label.setWordWrap(True)
        self.layout.addWidget(label)
        uiWidget = slicer.util.loadUI(str(resources_folder() / "UI" / "SegQualityQC.ui"))
        uiWidget.setEnabled(False)
        self.layout.addWidget(uiWidget)

    def setup(self):
        if TOO_OLD:
            self._setupTooOld()
            return
        from SegQualityQCLib.widgets.correction_section import CorrectionSection
        from SegQualityQCLib.widgets.edit_follower import EditFollower
        from SegQualityQCLib.widgets.inputs_section import InputsSection
        from SegQualityQCLib.widgets.navigation_section import NavigationSection
        from SegQualityQCLib.widgets.results_table import ResultsTable
        from SegQualityQCLib.widgets.review_section import ReviewSection
        from SegQualityQCLib.widgets.shortcuts import Shortcuts
        from SegQualityQCLib.widgets.steps import Steps
        from SegQualityQCLib.widgets.worklist_section import WorklistSection

        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(str(resources_folder() / "UI" / "SegQualityQC.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = SegQualityQCLogic()
        self.results = self.logic.results(None)
        self.table = ResultsTable(self.ui.resultsTable)
        self.steps = Steps(self.onProgress, self.onStepsFailed, self.onStepsEnd)
        self.follower = EditFollower(self.onEditsPaused)
        self._nodesTimer = qt.QTimer()
        self._nodesTimer.setSingleShot(True)
        self._nodesTimer.setInterval(0)
        self._nodesTimer.connect("timeout()", self.onNodesSettled)
        self.inputs = InputsSection(self)
        self.navigation = NavigationSection(self)
        self.correction = CorrectionSection(self)
        self.review = ReviewSection(self)
        self.worklist = WorklistSection(self)
        # None with Ctrl+Alt, which is AltGr on Windows: a Polish reviewer who typed an ą would accept a slice with it.
        # Ctrl+Shift+A and Ctrl+Shift+T are Slicer's.
        self.shortcuts = Shortcuts(
            {
                "Ctrl+Shift+N": self.navigation.next,
                "Ctrl+Shift+P": self.navigation.previous,
                "Ctrl+Shift+L": self.navigation.next_low,
                "Ctrl+Shift+G": lambda: self.review.decide("accepted"),
                "Ctrl+Shift+O": self.navigation.toggle_overlay,
                "Ctrl+Shift+H": self.navigation.toggle_outline,
            }
        )
        self.ui.assessButton.connect("clicked(bool)", lambda checked=False: self.onAssess())
        self.ui.resultsTable.connect("itemSelectionChanged()", self.onSelected)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneEndClose)
        self.addObserver(scene, scene.NodeAddedEvent, self.onNodesChanged)
        self.addObserver(scene, scene.NodeRemovedEvent, self.onNodesChanged)
        self.addObserver(scene, scene.NodeAboutToBeRemovedEvent, self.onNodeAboutToBeRemoved)
        self.initializeParameterNode()

    def cleanup(self):
        if self.logic is None:
            return
        self.steps.stop()
        self.worklist.forget()
        self.exit()
        self.removeObservers()

    def enter(self):
        if self.logic is None:
            return
        self._entered = True
        self.initializeParameterNode()
        self.shortcuts.install(slicer.util.mainWindow())
        self.navigation.install()
        self.correction.resume()
        self.follower.edited()  # by other modules, while this one was closed

    def exit(self):
        """An assessment goes on: the logic writes its results into the scene, and enter() shows them."""
        if self.logic is None:
            return
        self._entered = False
        self._nodesTimer.stop()
        self.shortcuts.remove()
        self.navigation.remove()
        self.correction.leave()
        self._setParameterNode(None)

    def onReload(self):
        for name in [name for name in sys.modules if name.split(".")[0] == "SegQualityQCLib"]:
            del sys.modules[name]
        super().onReload()
        slicer.modules.SegQualityQCWidget.enter()  # Slicer sets the new panel up and does not enter it

    def onSceneStartClose(self, caller, event):
        if self.steps.running:
            self.steps.stop()
            self.ui.statusLabel.setText(_("Cancelled: the scene was closed."))
        self.correction.release()
        self.worklist.leave()
        self._coloured = self._tableNode = None
        self._setParameterNode(None)

    def onSceneEndClose(self, caller, event):
        if self._entered:
            self.initializeParameterNode()

    def onNodesChanged(self, caller, event):
        # A node has no data yet while it is being added, and is still there while it is being removed.
        # Nodes come and go by the dozen: once for all of them.
        self._nodesTimer.start()

    def onNodesSettled(self):
        """Nodes came or went: a changed parameter refreshes by itself, results that came or went do not."""
        if self.parameters is None or slicer.mrmlScene.IsBatchProcessing():
            return
        self._chooseDefaults()
        if self._resultsTable() is not self._tableNode:
            self.refresh()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeAboutToBeRemoved(self, caller, event, node):
        """The results go with their segmentation: some are hidden, so that nobody could remove them."""
        if caller.IsClosing() or not node.IsA("vtkMRMLSegmentationNode"):
            return
        from SegQualityQCLib.scene.result_nodes import remove_from_scene, result_nodes

        left = result_nodes(node)
        if left:
            qt.QTimer.singleShot(0, lambda: remove_from_scene(caller, left))

    def initializeParameterNode(self):
        self._setParameterNode(self.logic.getParameterNode())
        self._chooseDefaults()

    def _setParameterNode(self, parameterNode):
        if self.parameters is not None:
            self.parameters.disconnectGui(self._guiTag)
            self.removeObserver(self.parameters, vtk.vtkCommand.ModifiedEvent, self.onParametersModified)
        self.parameters = parameterNode
        if parameterNode is None:
            self.follower.watch(None)
            return
        self._guiTag = parameterNode.connectGui(self.ui)
        self.addObserver(parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersModified)
        self._chosen = (parameterNode.segmentation, parameterNode.volume)
        self.refresh()

    def _chooseDefaults(self):
        """With nothing chosen, take the first segmentation and its reference volume."""
        parameters = self.parameters
        if parameters is None or slicer.mrmlScene.IsBatchProcessing():
            return
        wasModifying = parameters.StartModify()
        if parameters.segmentation is None and (segmentation := self.logic.defaultSegmentation()) is not None:
            parameters.segmentation = segmentation
        if parameters.volume is None and (volume := self.logic.defaultVolume(parameters.segmentation)) is not None:
            parameters.volume = volume
        parameters.EndModify(wasModifying)

    def _resultsTable(self):
        from SegQualityQCLib.scene.result_nodes import TABLE, existing_node

        segmentation = self.parameters.segmentation
        return existing_node(segmentation, TABLE) if segmentation is not None else None

    @property
    def listening(self):
        """Whether a changed widget is the user's doing, and to be heeded."""
        return self._updates == 0 and self.parameters is not None

    @contextmanager
    def updating(self):
        """While the panel itself changes its widgets."""
        self._updates += 1
        try:
            yield
        finally:
            self._updates -= 1

    @contextmanager
    def errorsInPanel(self):
        """What the library says of a wrong input is shown in the panel; anything else is a fault and is logged."""
        try:
            yield
        except SegQualityError as error:
            self.ui.statusLabel.setText(str(error))

    def onParametersModified(self, caller, event):
        self._followSegmentation()
        self.refresh()

    def _followSegmentation(self):
        """Another segmentation is assessed on its own image and whole, unless a volume was chosen together with it."""
        parameters = self.parameters
        if parameters is None or slicer.mrmlScene.IsBatchProcessing():
            return  # a scene that is being loaded brings its own choices
        (segmentation, volume), self._chosen = self._chosen, (parameters.segmentation, parameters.volume)
        if self._chosen[0] is segmentation or self._chosen[1] is not volume:
            return
        with self.updating():
            parameters.deselected = ""
            reference = self.logic.referenceVolume(parameters.segmentation)
            if reference is not None:
                parameters.volume = reference

    def refresh(self):
        """Show the parameters and the results that the segmentation keeps."""
        if not self.listening:
            return
        with self.updating():
            self.follower.watch(self.parameters.segmentation, self.logic.assessedVolume(self.parameters.segmentation))
            self.inputs.show()
            self._showResults()
        self.correction.show()
        self._enableButtons()
        if self.parameters.follow and not self._followed:
            self.follower.edited()  # while edits were not followed
        self._followed = self.parameters.follow

    def _showResults(self):
        parameters = self.parameters
        self.results = self.logic.results(None)
        self._tableNode = self._resultsTable()
        with self.errorsInPanel():
            self.results = self.logic.results(parameters.segmentation)
        self.table.show(self.results, parameters.order, parameters.threshold)
        self.ui.summaryLabel.setText(self.logic.summary(self.results.reports, parameters.threshold))
        self._showColours()
        if parameters.segmentation is not None and self.results.reports:
            self.logic.showThreshold(parameters.segmentation, parameters.threshold)
        self.navigation.show()

    def _showColours(self):
        """Colour slices and surfaces, where that changed: the user may have put something else into the views since."""
        parameters = self.parameters
        shown = parameters.segmentation if self.results.reports else None
        wanted = (shown, parameters.showOverlay, parameters.showSurface, tuple(self.results.reports))
        if wanted == self._coloured:
            return
        before = self._coloured[0] if self._coloured is not None else None
        self._coloured = wanted
        if before is not None and before is not shown and before.GetScene() is not None:
            self.logic.showResults(before, False, False)
        if shown is not None:
            self.logic.showResults(shown, parameters.showOverlay, parameters.showSurface)

    def _enableButtons(self):
        ui, parameters = self.ui, self.parameters
        if parameters is None:
            return
        running, shown = self.steps.running, bool(self.table.rows)
        ui.assessButton.setText(_("Cancel") if running else _("Assess"))
        ready = parameters.volume is not None and parameters.segmentation is not None
        ui.assessButton.setEnabled(running or (ready and self.logic.torchInstalled()))
        for button in (ui.goButton, ui.nextButton, ui.nextLowButton, ui.previousButton, ui.chartButton):
            button.setEnabled(shown)
        ui.inputsButton.setEnabled(not running)
        ui.correctButton.setEnabled(shown)
        ui.progressBar.setVisible(running)
        self._enableDecisions()

    def _enableDecisions(self):
        """Slices can be decided on and restored while nothing is being scored."""
        ready = bool(self.table.rows) and not self.steps.running
        self.ui.restoreButton.setEnabled(ready and self.table.selected is not None)
        self.review.show(ready)

    def onSelected(self):
        if self.listening:
            self.navigation.show()
            self._enableButtons()
            self.correction.follow_selection()

    def onAssess(self):
        parameters = self.parameters
        if self.steps.running:
            self.steps.stop()
            self.ui.statusLabel.setText(_("Cancelled: nothing was changed."))
            self._enableButtons()
            return
        if parameters is None:
            return
        self._coloured = None  # what comes is to be seen
        self._elsewhere = False
        off = parameters.deselected.split("\n")
        self.ui.statusLabel.setText(_("Loading the model..."))
        self.ui.progressBar.setValue(0)
        self.steps.start(
            self.logic.iterAssess(
                parameters.volume,
                parameters.segmentation,
                segmentIds=[key for key in self.logic.segmentIds(parameters.segmentation) if key not in off],
                model=parameters.model or None,
                axis=parameters.axis or None,
                threshold=parameters.threshold,
                difference=parameters.difference,
            )
        )
        self._enableButtons()

    def onProgress(self, progress):
        self.ui.progressBar.setValue(int(100 * progress.fraction))
        self.ui.statusLabel.setText(progress.text)

    def onStepsFailed(self, error):
        self._enableButtons()
        if isinstance(error, SegQualityError):
            self.ui.statusLabel.setText(str(error))
            return
        self.ui.statusLabel.setText(_("The assessment failed; the error log says more."))
        slicer.util.errorDisplay(_("The assessment failed: {reason}").format(reason=error))

    def onStepsEnd(self):
        self.refresh()
        self.worklist.show_worst()
        if self._edited:
            self.follower.edited()

    def _showsWhatWasAssessed(self):
        """Whether volume and segmentation do; where they show another frame of a sequence, the panel says so."""
        was, self._elsewhere = self._elsewhere, True
        with self.errorsInPanel():
            self.logic.checkAssessed(self.parameters.segmentation)
            self._elsewhere = False
        if was and not self._elsewhere:
            self.ui.statusLabel.setText("")
        return not self._elsewhere

    def onEditsPaused(self):
        parameters = self.parameters
        self._edited = self.steps.running
        if parameters is None or self.steps.running or parameters.segmentation is None:
            return
        with self.updating():
            self.inputs.show_segments()
        if self._showsWhatWasAssessed() and parameters.follow and self.results.reports and self.logic.torchInstalled():
            self.steps.start(self.logic.iterRescore(parameters.segmentation, parameters.threshold))
            self._enableDecisions()


class SegQualityQCLogic(ScriptedLoadableModuleLogic):
    """Assesses segmentations; works without a window.

    Example::

        volumeNode = slicer.util.getNode("MR")
        segmentationNode = slicer.util.getNode("Segmentation")
        reports = SegQualityQCLogic().assess(volumeNode, segmentationNode)
        for segmentId, report in reports.items():
            print(report.case.segment, report.volume.dice, report.order[:3])
    """

    _estimators = None
    _edited = None
    _torchFound = False

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
        from SegQualityQCLib.scene.assessment import Request, iter_assess

        folders = tuple(self.modelFolders())
        request = Request(volumeNode, segmentationNode, segmentIds, model_folders=folders, **options)
        yield from iter_assess(request, self._loaded())

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
        from SegQualityQCLib.scene.rescoring import iter_rescore

        folders = tuple(self.modelFolders())
        yield from iter_rescore(
            segmentationNode, self._loaded(), self._editedCases(), threshold=threshold, model_folders=folders
        )

    def signSlice(self, segmentationNode, segmentId, index, review):
        """Keep a decision (SegQualityQCLib.scene.reviews.Review) on a slice as it is drawn now.

        Raises:
            SegQualityError: The segment or the volume is gone, or another image is shown than was assessed.
        """
        from SegQualityQCLib.scene.sign_off import sign_slice

        sign_slice(segmentationNode, self._editedCases(), segmentId, index, review)

    def signCase(self, segmentationNode, review):
        """Keep a decision on the whole case as it is drawn now; see :meth:`signSlice`."""
        from SegQualityQCLib.scene.sign_off import sign_case

        sign_case(segmentationNode, self._editedCases(), review)

    @staticmethod
    def _loaded():
        """The models that are loaded, for all instances."""
        from SegQualityQCLib.estimators.selection import EstimatorCache

        if SegQualityQCLogic._estimators is None:
            SegQualityQCLogic._estimators = EstimatorCache()
        return SegQualityQCLogic._estimators

    @staticmethod
    def _editedCases():
        """The volume that was corrected last, read once for all instances."""
        from SegQualityQCLib.scene.rescoring import EditedCases

        if SegQualityQCLogic._edited is None:
            SegQualityQCLogic._edited = EditedCases()
        return SegQualityQCLogic._edited

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

    def segmentIds(self, segmentationNode):
        from SegQualityQCLib.scene.node_cases import segment_ids

        return segment_ids(segmentationNode)

    def segmentModels(self, segmentationNode, model):
        """Identifier, name, name of the model and whether it fits, of each segment."""
        from SegQualityQCLib.scene.assessment import Request, model_fits

        request = Request(None, segmentationNode, model=model or None, model_folders=tuple(self.modelFolders()))
        found = []
        for segmentId in self.segmentIds(segmentationNode):
            name = segmentationNode.GetSegmentation().GetSegment(segmentId).GetName()
            try:
                found.append((segmentId, name, *model_fits(request, segmentId)))
            except SegQualityError:
                found.append((segmentId, name, _("no usable model"), True))
        return found

    def defaultSegmentation(self):
        """The first segmentation of the scene that is not a hidden copy."""
        from SegQualityQCLib.scene.result_nodes import nodes_of_class

        nodes = nodes_of_class(slicer.mrmlScene, "vtkMRMLSegmentationNode")
        return next((node for node in nodes if not node.GetHideFromEditors()), None)

    def defaultVolume(self, segmentationNode):
        """The reference volume of a segmentation; without one, the only volume of the scene that is no result."""
        from SegQualityQCLib.scene.result_nodes import nodes_of_class

        reference = self.referenceVolume(segmentationNode)
        if reference is not None:
            return reference
        volumes = [node for node in nodes_of_class(slicer.mrmlScene, "vtkMRMLScalarVolumeNode") if self._isImage(node)]
        return volumes[0] if len(volumes) == 1 else None

    def referenceVolume(self, segmentationNode):
        """The image that a segmentation was drawn on, where it knows it and the image is still there."""
        if segmentationNode is None:
            return None
        role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
        reference = segmentationNode.GetNodeReference(role)
        return reference if self._isImage(reference) else None  # it may be a region of interest or a model, too

    @staticmethod
    def _isImage(node):
        from SegQualityQCLib.scene.result_nodes import is_result

        if node is None or not node.IsA("vtkMRMLScalarVolumeNode") or node.IsA("vtkMRMLLabelMapVolumeNode"):
            return False
        return not is_result(node)

    def checkAssessed(self, segmentationNode):
        """Raise a SegQualityError where volume or segmentation show another image than was assessed."""
        from SegQualityQCLib.scene.stored_results import check_assessed

        check_assessed(segmentationNode)

    def assessedVolume(self, segmentationNode):
        """The volume of a segmentation's results; None without results."""
        from SegQualityQCLib.scene.stored_results import assessed_volume

        return assessed_volume(segmentationNode) if segmentationNode is not None else None

    def results(self, segmentationNode):
        """The results that a segmentation keeps (SegQualityQCLib.scene.stored_results.Results)."""
        from SegQualityQCLib.scene.stored_results import Results, read_results

        return read_results(segmentationNode) if segmentationNode is not None else Results({})

    def summary(self, reports, threshold):
        """One line a segment: predicted Dice of the volume with its interval, and how many slices are low."""
        lines = []
        for report in reports.values():
            volume, low = report.volume, len(report.below(threshold))
            if volume.dice is None:
                text = _("{segment}: no slice could be scored.")
            else:
                text = _("{segment}: Dice {dice:.2f} ({from_:.2f} – {to:.2f}), {low} slices low, {gaps} missing.")
            lines.append(
                text.format(
                    segment=report.case.segment,
                    dice=volume.dice,
                    from_=volume.low,
                    to=volume.high,
                    low=low,
                    gaps=report.gaps,
                )
            )
            if "model_unmatched" in report.flags:
                lines.append(_("The model {model} was made for another structure.").format(model=report.model.name))
            if "cropped_to_image" in report.flags:
                lines.append(_("It reaches out of the image: what lies outside is not in these figures."))
            if "gpu_memory" in report.flags:
                lines.append(_("The GPU ran out of memory: smaller batches or the CPU were used."))
        return "\n".join(lines) if lines else _("Not assessed yet.")

    def showResults(self, segmentationNode, overlay, surface):
        """Show or hide the coloured slices and the coloured surfaces."""
        from SegQualityQCLib.scene.visibility import show_overlay, show_surfaces

        show_overlay(segmentationNode, overlay)
        show_surfaces(segmentationNode, surface)

    def showThreshold(self, segmentationNode, threshold):
        """Draw the chart with another threshold."""
        from SegQualityQCLib.scene.plots import drawn_threshold, write_chart

        if drawn_threshold(segmentationNode) != threshold:
            write_chart(segmentationNode, self.results(segmentationNode).reports, threshold)

    def goToSlice(self, segmentationNode, segmentId, index):
        """Take all slice views to a slice of a segment: the red one in its plane, the others across it."""
        from SegQualityQCLib.scene.navigation import go_to_segment
        from SegQualityQCLib.scene.stored_results import assessed_volume
        from SegQualityQCLib.scene.visibility import slice_nodes

        volumeNode = assessed_volume(segmentationNode)
        if volumeNode is None or segmentId not in self.segmentIds(segmentationNode):
            return
        axis = self.results(segmentationNode).reports[segmentId].case.axis
        case = self._editedCases().get(volumeNode, segmentationNode, segmentId, axis)
        go_to_segment(slice_nodes(slicer.mrmlScene), volumeNode, case, index)

    def loadDemo(self):
        """Put the synthetic heart and its candidate segmentation into the scene; returns both nodes."""
        from SegQualityQCLib.demo import SEGMENT_NAME, demo_images
        from SegQualityQCLib.scene.images import add_segmentation, add_volume

        image, labels = demo_images()
        volumeNode = add_volume(slicer.mrmlScene, image, "DemoHeart")
        segmentationNode = add_segmentation(
            slicer.mrmlScene, labels, volumeNode, "DemoHeart segmentation", [SEGMENT_NAME]
        )
        return [volumeNode, segmentationNode]

    def torchInstalled(self):
        """Whether a PyTorch that is new enough can be imported; does not import it."""
        if not SegQualityQCLogic._torchFound:
            importlib.invalidate_caches()  # it may have been installed a moment ago
            found = importlib.util.find_spec("torch") is not None
            try:
                from slicer import packaging  # new in Slicer 5.11, which does not import it by itself
            except ImportError:
                packaging = None
            new = packaging is None or packaging.pip_check(f"torch{TORCH_REQUIREMENT}")
            SegQualityQCLogic._torchFound = found and new
        return SegQualityQCLogic._torchFound

    def installTorch(self):
        """Install PyTorch with the PyTorch extension, after the user agreed to it; returns whether the user did.

        Raises:
            RuntimeError: The extension is missing.
        """
        try:
            import PyTorchUtils
        except ImportError as error:
            raise RuntimeError(
                _("The PyTorch extension is missing: install it in the Extensions Manager and restart Slicer.")
            ) from error
        installed = PyTorchUtils.PyTorchUtilsLogic().installTorch(
            askConfirmation=True, torchVersionRequirement=TORCH_REQUIREMENT
        )
        return installed is not None


class SegQualityQCTest(ScriptedLoadableModuleTest):
    """Slicer's self-test of the module: the demo heart from loading to results."""

    def setUp(self):
        slicer.mrmlScene.Clear(0)

    def runTest(self):
        for test in (self.test_AssessDemo, self.test_CorrectDemo):
            self.setUp()
            test()

    def test_AssessDemo(self):
        logic = SegQualityQCLogic()
        volumeNode, segmentationNode = logic.loadDemo()
        if not logic.torchInstalled():
            self.assertEqual(logic.results(segmentationNode).reports, {})
            return
        (report,) = logic.assess(volumeNode, segmentationNode).values()
        self.assertEqual(report.case.slices, 10)
        self.assertEqual(report.slice(4).status.value, "gap")
        self.assertEqual(report.order[0], 4)
        self.assertEqual(list(logic.results(segmentationNode).reports.values()), [report])

    def test_CorrectDemo(self):
        """A slice that is erased becomes a gap, and taken back has its score again."""
        from SegQualityQCLib.scene.originals import restore_slice

        logic = SegQualityQCLogic()
        volumeNode, segmentationNode = logic.loadDemo()
        if not logic.torchInstalled():
            return
        ((segmentId, report),) = logic.assess(volumeNode, segmentationNode).items()
        labelmap = slicer.vtkOrientedImageData()
        segmentationNode.GetBinaryLabelmapRepresentation(segmentId, labelmap)
        first = labelmap.GetExtent()[4]
        pixels = vtk_to_numpy(labelmap.GetPointData().GetScalars()).reshape(labelmap.GetDimensions()[::-1])
        pixels[6 - first] = 0
        slicer.vtkSlicerSegmentationsModuleLogic.SetBinaryLabelmapToSegment(labelmap, segmentationNode, segmentId)
        self.assertEqual(logic.rescore(segmentationNode)[segmentId].slice(6).status.value, "gap")
        restore_slice(segmentationNode, volumeNode, segmentId, "k", 6)
        restored = logic.rescore(segmentationNode)[segmentId]
        self.assertEqual(restored.order, report.order)
        for after, before in zip(restored.slices, report.slices, strict=True):
            rounded = replace(after, dice=before.dice, low=before.low, high=before.high)
            self.assertEqual(rounded, before)
            for now, then in ((after.dice, before.dice), (after.low, before.low), (after.high, before.high)):
                self.assertAlmostEqual(now, then, places=6)  # alone a slice is rounded otherwise than among all
