"""SegQualityQC: tells, slice by slice and without a reference, how good a loaded segmentation is."""

from __future__ import annotations

import importlib.util
import sys
from contextlib import contextmanager
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

from SegQualityQCLib.errors import SegQualityError
from SegQualityQCLib.resources import resources_folder

TORCH_REQUIREMENT = ">=2.2"
# Painting fires many events; scoring begins when they pause.
EDIT_PAUSE_MS = 50


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
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="SegQualityQC",
        sampleName="SegQualityQCDemoHeart",
        thumbnailFileName=str(resources_folder() / "Icons" / "SegQualityQC.png"),
        uris="",
        fileNames="",
        nodeNames="DemoHeart",
        customDownloader=lambda source: SegQualityQCLogic().loadDemo(),
    )


@parameterNodeWrapper
class SegQualityQCParameterNode:
    """The state of the panel, saved with the scene.

    volume, segmentation - what is assessed.
    deselected - identifiers of the segments that are not assessed, one a line.
    model - folder of the model; empty takes the one that fits each segment.
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
    """The panel. It holds no computation: the logic does it in steps, which the event loop asks for one by one."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._parameterNode = None
        self._parameterNodeGuiTag = None
        self._updating = False
        self._listed = 0
        self._edits = 0
        self._followed = True
        self._watched = None
        self._results = None

    def setup(self):
        from SegQualityQCLib.widgets.correction_section import CorrectionSection
        from SegQualityQCLib.widgets.results_table import ResultsTable
        from SegQualityQCLib.widgets.review_section import ReviewSection
        from SegQualityQCLib.widgets.shortcuts import Shortcuts
        from SegQualityQCLib.widgets.slice_view_marks import SliceViewMarks, layout_manager
        from SegQualityQCLib.widgets.steps import Steps
        from SegQualityQCLib.widgets.worklist_section import WorklistSection

        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(str(resources_folder() / "UI" / "SegQualityQC.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = SegQualityQCLogic()
        self.table = ResultsTable(self.ui.resultsTable)
        self.review = ReviewSection(self.ui, self.onReviewSlice, self.onReviewCase)
        self.correction = CorrectionSection(self.ui.editorFrame)
        self.worklist = WorklistSection(
            self.ui,
            self._runShowingErrors,
            self.onCaseOpened,
            lambda: self._parameterNode.threshold,
            lambda: self.review.reviewer,
        )
        self.marks = SliceViewMarks(layout_manager())
        self.steps = Steps(self.onProgress, self.onStepsFailed, self.onStepsEnd)
        self.shortcuts = Shortcuts(
            {
                "Ctrl+Alt+N": self.onNext,
                "Ctrl+Alt+P": self.onPrevious,
                "Ctrl+Alt+L": self.onNextLow,
                "Ctrl+Alt+A": lambda: self.onReviewSlice("accepted"),
                "Ctrl+Alt+O": self.onToggleOverlay,
                "Ctrl+Alt+U": self.onToggleOutline,
            }
        )
        self._results = self.logic.results(None)
        self._fillChoices()
        ui = self.ui
        ui.segmentsList.connect("itemChanged(QListWidgetItem*)", self.onSegmentTicked)
        for combo, name in ((ui.modelCombo, "model"), (ui.axisCombo, "axis"), (ui.orderCombo, "order")):
            combo.connect(
                "currentIndexChanged(int)", lambda index, combo=combo, name=name: self.onChosen(combo, name, index)
            )
        for button, action in (
            (ui.assessButton, self.onAssess),
            (ui.installButton, self.onInstall),
            (ui.addModelButton, self.onAddModel),
            (ui.goButton, self.onGo),
            (ui.nextButton, self.onNext),
            (ui.nextLowButton, self.onNextLow),
            (ui.previousButton, self.onPrevious),
            (ui.chartButton, self.onShowChart),
            (ui.restoreButton, self.onRestore),
        ):
            button.connect("clicked(bool)", lambda checked=False, action=action: action())
        ui.resultsTable.connect("cellDoubleClicked(int,int)", lambda row, column: self._go(row))
        ui.resultsTable.connect("itemSelectionChanged()", self.onSelected)
        ui.correctButton.connect("contentsCollapsed(bool)", self.onCorrect)
        ui.compareCheck.connect("toggled(bool)", self.onCompare)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneEndClose)
        self.addObserver(scene, scene.NodeAddedEvent, self.onNodeAdded)
        self.addObserver(scene, scene.NodeRemovedEvent, self.onNodeAdded)
        self.enter()

    def cleanup(self):
        self.exit()
        self.removeObservers()

    def enter(self):
        self.initializeParameterNode()
        self.shortcuts.install(slicer.util.mainWindow())
        self.marks.install()
        self._observePlots(True)
        self.onEdited()  # by other modules, while this one was closed

    def exit(self):
        self.steps.stop()
        self.shortcuts.remove()
        self.marks.remove()
        self._observePlots(False)
        self.correction.leave()
        self._setParameterNode(None)

    def onReload(self):
        for name in [name for name in sys.modules if name.split(".")[0] == "SegQualityQCLib"]:
            del sys.modules[name]
        super().onReload()

    def onSceneStartClose(self, caller, event):
        self.steps.stop()
        self.correction.release()
        self._runShowingErrors(self.worklist.leave)
        self._setParameterNode(None)

    def onSceneEndClose(self, caller, event):
        self.initializeParameterNode()

    def onNodeAdded(self, caller, event):
        # A node has no data yet while it is being added, and is still there while it is being removed.
        qt.QTimer.singleShot(0, self._chooseDefaults)

    def initializeParameterNode(self):
        self._setParameterNode(self.logic.getParameterNode())
        self._chooseDefaults()

    def _setParameterNode(self, parameterNode):
        if self._parameterNode is not None:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParameters)
        self._parameterNode = parameterNode
        if parameterNode is not None:
            self._parameterNodeGuiTag = parameterNode.connectGui(self.ui)
            self.addObserver(parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParameters)
            self.onParameters()
        else:
            self._watch(None)

    def _chooseDefaults(self):
        """With nothing chosen, take the first segmentation and its reference volume."""
        parameters = self._parameterNode
        if parameters is None or slicer.mrmlScene.IsBatchProcessing():
            return
        if parameters.segmentation is None:
            parameters.segmentation = self.logic.defaultSegmentation()
        if parameters.volume is None:
            parameters.volume = self.logic.defaultVolume(parameters.segmentation)
        self.onParameters()

    def _fillChoices(self):
        self._updating = True
        self.ui.modelCombo.clear()
        self.ui.modelCombo.addItem(_("The one that fits each segment"), "")
        for folder in self.logic.models():
            self.ui.modelCombo.addItem(folder.name, str(folder))
        if self.ui.axisCombo.findData("i") < 0:
            self.ui.axisCombo.addItem(_("the direction of the largest spacing"), "")
            for axis in "ijk":
                self.ui.axisCombo.addItem(axis, axis)
            self.ui.orderCombo.addItem(_("worst first"), "worst")
            self.ui.orderCombo.addItem(_("suggested"), "suggested")
        self._updating = False

    def onParameters(self, caller=None, event=None):
        """Show the parameters and, when the segmentation changed, its saved results."""
        if self._updating or self._parameterNode is None:
            return
        self._updating = True
        try:
            self._watch(self._parameterNode.segmentation)
            self._showSegments()
            for combo, name in (
                (self.ui.modelCombo, "model"),
                (self.ui.axisCombo, "axis"),
                (self.ui.orderCombo, "order"),
            ):
                combo.setCurrentIndex(max(0, combo.findData(getattr(self._parameterNode, name))))
            self._showTorch()
            self._showResults()
        finally:
            self._updating = False
        self._enableButtons()
        if self._parameterNode.follow and not self._followed:
            self.onEdited()  # while edits were not followed
        self._followed = self._parameterNode.follow

    def _showSegments(self):
        parameters, segmentsList = self._parameterNode, self.ui.segmentsList
        segmentsList.clear()
        self._listed = 0
        if parameters.segmentation is None:
            return
        deselected = parameters.deselected.split("\n")
        for segmentId, name, model, fits in self.logic.segmentModels(parameters.segmentation, parameters.model):
            text = _("{segment} ({model})") if fits else _("{segment} ({model}: made for another structure)")
            item = qt.QListWidgetItem(text.format(segment=name, model=model))
            item.setData(qt.Qt.UserRole, segmentId)
            item.setFlags(qt.Qt.ItemIsUserCheckable | qt.Qt.ItemIsEnabled)
            item.setCheckState(qt.Qt.Unchecked if segmentId in deselected else qt.Qt.Checked)
            segmentsList.addItem(item)
            self._listed += 1

    def _showTorch(self):
        installed = self.logic.torchInstalled()
        self.ui.torchLabel.setVisible(not installed)
        self.ui.installButton.setVisible(not installed)
        if not installed:
            self.ui.torchLabel.setText(
                _(
                    "Assessing needs PyTorch, which is installed by the PyTorch extension: about 1 GB on disk for the "
                    "processor alone, several with CUDA. Saved results can be opened without it."
                )
            )

    def _enableButtons(self):
        ui, running, shown = self.ui, self.steps.running, bool(self.table.rows)
        ui.assessButton.setText(_("Cancel") if running else _("Assess"))
        parameters = self._parameterNode
        ready = parameters is not None and parameters.volume is not None and parameters.segmentation is not None
        ui.assessButton.setEnabled(running or (ready and self.logic.torchInstalled()))
        for button in (ui.goButton, ui.nextButton, ui.nextLowButton, ui.previousButton, ui.chartButton):
            button.setEnabled(shown)
        ui.inputsButton.setEnabled(not running)
        ui.correctButton.setEnabled(shown)
        ui.restoreButton.setEnabled(shown and not running and self.table.selected is not None)
        ui.progressBar.setVisible(running)
        if parameters is not None:
            self.review.show(self._results, self.table.selected, parameters.threshold, shown and not running)

    def onSegmentTicked(self, item):
        if self._updating or self._parameterNode is None:
            return
        items = [self.ui.segmentsList.item(row) for row in range(self._listed)]
        off = [item.data(qt.Qt.UserRole) for item in items if item.checkState() == qt.Qt.Unchecked]
        self._updating = True  # or the list would be filled anew while its item is being clicked
        try:
            self._parameterNode.deselected = "\n".join(off)
        finally:
            self._updating = False

    def onChosen(self, combo, name, index):
        if not self._updating and self._parameterNode is not None and index >= 0:
            setattr(self._parameterNode, name, combo.itemData(index))

    def onInstall(self):
        with slicer.util.tryWithErrorDisplay(_("PyTorch could not be installed."), waitCursor=True):
            self.logic.installTorch()
        self.onParameters()

    def onAddModel(self):
        folder = qt.QFileDialog.getExistingDirectory(None, _("Folder of a model"))
        if not folder:
            return
        with self._errorsInPanel():
            self.logic.addModel(folder)
            self._fillChoices()
            self.onParameters()

    @contextmanager
    def _errorsInPanel(self):
        """What the library says of a wrong input is shown in the panel; anything else is a fault and is logged."""
        try:
            yield
        except SegQualityError as error:
            self.ui.statusLabel.setText(str(error))

    def _runShowingErrors(self, function):
        with self._errorsInPanel():
            function()

    def onCaseOpened(self, case, volumeNode, segmentationNode):
        """Show the case that the worklist opened: with its stored scores, else ready to be assessed."""
        from SegQualityQCLib.scene.worklist_cases import chosen_segments

        parameters = self._parameterNode
        chosen = chosen_segments(segmentationNode, case)
        off = [key for key in self.logic.segmentIds(segmentationNode) if key not in chosen]
        wasModifying = parameters.StartModify()
        parameters.segmentation, parameters.volume = segmentationNode, volumeNode
        parameters.deselected = "\n".join(off)
        parameters.EndModify(wasModifying)
        self.logic.showVolume(volumeNode)
        self.onParameters()
        if not self._results.reports and self.logic.torchInstalled():
            self.onAssess()

    # Assessing

    def onAssess(self):
        if self.steps.running:
            self.steps.stop()
            self.ui.statusLabel.setText(_("Cancelled: nothing was changed."))
            self._enableButtons()
            return
        parameters = self._parameterNode
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
        self.onParameters()
        self.onEdited()  # while the steps ran

    # Following edits

    def _watch(self, segmentationNode):
        """Observe the edits of this segmentation, and of no other."""
        if segmentationNode is self._watched:
            return
        for node, event in self._editEvents(self._watched):
            self.removeObserver(node, event, self.onEdited)
        for node, event in self._editEvents(segmentationNode):
            self.addObserver(node, event, self.onEdited)
        self._watched = segmentationNode

    @staticmethod
    def _editEvents(segmentationNode):
        if segmentationNode is None:
            return []
        segmentation = segmentationNode.GetSegmentation()
        events = [
            (segmentation, event)
            for event in (
                slicer.vtkSegmentation.SourceRepresentationModified,
                slicer.vtkSegmentation.SegmentAdded,
                slicer.vtkSegmentation.SegmentRemoved,
                slicer.vtkSegmentation.SegmentModified,
            )
        ]
        return [*events, (segmentationNode, slicer.vtkMRMLTransformableNode.TransformModifiedEvent)]

    def onEdited(self, caller=None, event=None):
        self._edits += 1
        edit = self._edits
        qt.QTimer.singleShot(EDIT_PAUSE_MS, lambda: self._rescore() if edit == self._edits else None)

    def _rescore(self):
        parameters = self._parameterNode
        if parameters is None or self.steps.running or parameters.segmentation is None:
            return
        self._updating = True
        try:
            self._showSegments()
        finally:
            self._updating = False
        if parameters.follow and self._results.reports and self.logic.torchInstalled():
            self.steps.start(self.logic.iterRescore(parameters.segmentation, parameters.threshold))

    # Results and navigation

    def _showResults(self):
        """Fill the table with the results that the segmentation keeps."""
        parameters = self._parameterNode
        self._results = self.logic.results(None)
        with self._errorsInPanel():
            self._results = self.logic.results(parameters.segmentation)
        rows = self.logic.ordered(self._results, parameters.order, parameters.threshold)
        self.table.show(self._results, rows, parameters.threshold)
        self.ui.summaryLabel.setText(self.logic.summary(self._results.reports, parameters.threshold))
        if parameters.segmentation is not None and self._results.reports:
            self.logic.showResults(parameters.segmentation, parameters.showOverlay, parameters.showSurface)
        self._showMarks()

    def _showMarks(self):
        key = self.table.selected[0] if self.table.selected else next(iter(self._results.reports), "")
        self.marks.show(self.logic.assessedVolume(self._parameterNode.segmentation), self._results, key)

    def onSelected(self):
        if self._updating or self._parameterNode is None:
            return
        self._showMarks()
        self._enableButtons()
        self._setEditor()

    def onShowChart(self):
        self.logic.showChart(self._parameterNode.segmentation)

    def onGo(self):
        self._go(max(0, self.table.selected_row))

    def onNext(self):
        self._go(min(len(self.table.rows) - 1, self.table.selected_row + 1))

    def onPrevious(self):
        self._go(max(0, self.table.selected_row - 1))

    def onNextLow(self):
        low = self.logic.lowUnreviewed(self._results, self._parameterNode.threshold)
        rows = [row for row, entry in enumerate(self.table.rows) if entry in low]
        if not rows:
            self.ui.statusLabel.setText(_("No slice below the threshold is left to review."))
            return
        self._go(next((row for row in rows if row > self.table.selected_row), rows[0]))

    def _go(self, row):
        if self._parameterNode is None or not 0 <= row < len(self.table.rows):
            return
        self.table.select(row)
        with self._errorsInPanel():
            self.logic.goToSlice(self._parameterNode.segmentation, *self.table.rows[row])

    def _observePlots(self, observe):
        """A click on a point of the chart goes to its slice, while the module is open."""
        layoutManager = slicer.app.layoutManager()
        if layoutManager is None:
            return
        for n in range(layoutManager.plotViewCount):
            view = layoutManager.plotWidget(n).plotView()
            (view.connect if observe else view.disconnect)(
                "dataSelected(vtkStringArray*,vtkCollection*)", self.onPointSelected
            )

    def onPointSelected(self, seriesIds, selections):
        found = self.logic.sliceOfSelection(seriesIds, selections)
        rows = [row for row, entry in enumerate(self.table.rows) if found in (entry, ("", entry[1]))]
        if rows:
            self._go(rows[0])

    def onToggleOverlay(self):
        if self._parameterNode is not None:
            self._parameterNode.showOverlay = not self._parameterNode.showOverlay

    def onToggleOutline(self):
        if self._parameterNode is not None and self._parameterNode.segmentation is not None:
            self.logic.toggleOutlines(self._parameterNode.segmentation)

    # Correcting and signing off

    def onCorrect(self, collapsed):
        if collapsed:
            self.correction.leave()
        else:
            self._setEditor(opened=True)

    def _setEditor(self, opened=False):
        if not (opened or self.correction.entered) or not self.table.rows or self._parameterNode is None:
            return
        segmentation = self._parameterNode.segmentation
        key = (self.table.selected or self.table.rows[0])[0]
        self.correction.show(segmentation, self.logic.assessedVolume(segmentation), key)

    def onCompare(self, checked):
        if self._parameterNode is not None and self._parameterNode.segmentation is not None:
            self.logic.compare(self._parameterNode.segmentation, checked)

    def onRestore(self):
        if self.table.selected is not None:
            self.correction.save_state_for_undo()
            with self._errorsInPanel():
                self.logic.restoreSlice(self._parameterNode.segmentation, *self.table.selected)

    def onReviewSlice(self, decision):
        if self.table.selected is not None and self._parameterNode is not None and not self.steps.running:
            with self._errorsInPanel():
                review = self.review.review(decision)
                self.logic.reviewSlice(self._parameterNode.segmentation, *self.table.selected, review)
            self.onParameters()

    def onReviewCase(self, decision):
        if self._parameterNode is not None and self._parameterNode.segmentation is not None:
            with self._errorsInPanel():
                review = self.review.review(decision)
                self.logic.reviewCase(self._parameterNode.segmentation, review)
                if self.worklist.case is not None:
                    self.worklist.decide(decision, review.comment)
            self.onParameters()


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
            The reports (SegQualityQCLib.report.QualityReport) by segment identifier.

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
            SegQualityError: The volume or the model of the results is gone.
        """
        for _progress in self.iterRescore(segmentationNode, threshold):
            pass
        return self.results(segmentationNode).reports

    def iterRescore(self, segmentationNode, threshold):
        """The steps of :meth:`rescore`."""
        from SegQualityQCLib.scene.rescoring import EditedCases, iter_rescore

        if SegQualityQCLogic._edited is None:
            SegQualityQCLogic._edited = EditedCases()
        folders = tuple(self.modelFolders())
        yield from iter_rescore(
            segmentationNode, self._loaded(), SegQualityQCLogic._edited, threshold=threshold, model_folders=folders
        )

    @staticmethod
    def _loaded():
        """The models that are loaded, for all instances."""
        from SegQualityQCLib.scene.assessment import EstimatorCache

        if SegQualityQCLogic._estimators is None:
            SegQualityQCLogic._estimators = EstimatorCache()
        return SegQualityQCLogic._estimators

    def modelFolders(self):
        """The user's own folder of models, beside Slicer's settings or as the settings say."""
        folder = slicer.app.userSettings().value("SegQualityQC/ModelsFolder")
        return [folder or str(Path(slicer.app.slicerUserSettingsFilePath).parent / "SegQualityQC" / "Models")]

    def models(self):
        """The folders of all models."""
        from SegQualityQCLib.bundle import available_bundles

        return available_bundles(self.modelFolders())

    def addModel(self, folder):
        """Check a model and copy it to the user's own.

        Raises:
            SegQualityError: The model is damaged or unsafe, or one of this name is there already.
        """
        from SegQualityQCLib.bundle import add_bundle

        return add_bundle(folder, self.modelFolders()[0])

    def segmentIds(self, segmentationNode):
        from SegQualityQCLib.scene.cases import segment_ids

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
        from SegQualityQCLib.scene.views import nodes_of_class

        nodes = nodes_of_class(slicer.mrmlScene, "vtkMRMLSegmentationNode")
        return next((node for node in nodes if not node.GetHideFromEditors()), None)

    def defaultVolume(self, segmentationNode):
        """The reference volume of a segmentation; without one, the only volume of the scene that is no result."""
        from SegQualityQCLib.scene.views import nodes_of_class

        if segmentationNode is not None:
            role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
            reference = segmentationNode.GetNodeReference(role)
            if reference is not None:
                return reference
        volumes = nodes_of_class(slicer.mrmlScene, "vtkMRMLScalarVolumeNode")
        volumes = [node for node in volumes if not node.IsA("vtkMRMLLabelMapVolumeNode")]
        return volumes[0] if len(volumes) == 1 else None

    def results(self, segmentationNode):
        """The results that a segmentation keeps (SegQualityQCLib.scene.tables.Results)."""
        from SegQualityQCLib.scene.tables import Results, read_results

        return read_results(segmentationNode) if segmentationNode is not None else Results({})

    def assessedVolume(self, segmentationNode):
        """The volume that the results were made with."""
        from SegQualityQCLib.scene.tables import assessed_volume

        return assessed_volume(segmentationNode) if segmentationNode is not None else None

    def ordered(self, results, order, threshold):
        """(segment identifier, slice index) of all slices in this order, over all segments."""
        from SegQualityQCLib.scene.ordering import ordered_slices

        return ordered_slices(results, order, threshold)

    def lowUnreviewed(self, results, threshold):
        """The slices below the threshold, or missing, that nobody has reviewed."""
        from SegQualityQCLib.scene.ordering import low_unreviewed

        return low_unreviewed(results, threshold)

    def summary(self, reports, threshold):
        """One line a segment: predicted Dice of the volume with its interval, and how many slices are low."""
        lines = []
        for report in reports.values():
            volume, low = report.volume, len(report.below(threshold))
            gaps = sum(score.status.value == "gap" for score in report.slices)
            if volume.dice is None:
                text = _("{segment}: no slice could be scored.")
            else:
                text = _("{segment}: Dice {dice:.2f} ({from_:.2f} – {to:.2f}), {low} slices low, {gaps} missing.")
            lines.append(
                text.format(
                    segment=report.case.segment, dice=volume.dice, from_=volume.low, to=volume.high, low=low, gaps=gaps
                )
            )
            if "model_unmatched" in report.flags:
                lines.append(_("The model {model} was made for another structure.").format(model=report.model.name))
        return "\n".join(lines) if lines else _("Not assessed yet.")

    def showResults(self, segmentationNode, overlay, surface):
        """Show or hide the coloured slices and the coloured surfaces."""
        from SegQualityQCLib.scene.views import show_overlay, show_surfaces

        show_overlay(segmentationNode, overlay)
        show_surfaces(segmentationNode, surface)

    def showVolume(self, volumeNode):
        """Show a volume in all slice views."""
        from SegQualityQCLib.scene.views import show_volume

        show_volume(volumeNode)

    def toggleOutlines(self, segmentationNode):
        """Hide the segmentation in the slice views, or show it again."""
        from SegQualityQCLib.scene.views import outlines_shown, show_outlines

        show_outlines(segmentationNode, not outlines_shown(segmentationNode))

    def showChart(self, segmentationNode):
        """Show the chart in a plot view."""
        from SegQualityQCLib.scene.references import CHART, existing_node

        chart = existing_node(segmentationNode, CHART)
        if chart is not None:
            slicer.modules.plots.logic().ShowChartInLayout(chart)

    def sliceOfSelection(self, seriesIds, selections):
        """(segment identifier, slice index) of the first point selected in a plot view, or None."""
        from SegQualityQCLib.scene.plots import slice_of_point

        for n in range(seriesIds.GetNumberOfValues()):
            series = slicer.mrmlScene.GetNodeByID(seriesIds.GetValue(n))
            rows = selections.GetItemAsObject(n)
            if series is not None and rows is not None and rows.GetNumberOfValues() > 0:
                found = slice_of_point(series, rows.GetValue(0))
                if found is not None:
                    return found
        return None

    def goToSlice(self, segmentationNode, segmentId, index):
        """Take all slice views to a slice of a segment: the red one in its plane, the others across it."""
        from SegQualityQCLib.scene.navigation import go_to_segment
        from SegQualityQCLib.scene.rescoring import EditedCases
        from SegQualityQCLib.scene.views import slice_nodes

        volumeNode = self.assessedVolume(segmentationNode)
        if volumeNode is None or segmentId not in self.segmentIds(segmentationNode):
            return
        if SegQualityQCLogic._edited is None:
            SegQualityQCLogic._edited = EditedCases()
        axis = self.results(segmentationNode).reports[segmentId].case.axis
        case = SegQualityQCLogic._edited.get(volumeNode, segmentationNode, segmentId, axis)
        go_to_segment(slice_nodes(slicer.mrmlScene), volumeNode, case, index)

    def compare(self, segmentationNode, visible):
        """Show or hide the outline of the segmentation as it was before corrections."""
        from SegQualityQCLib.scene.originals import show_original

        show_original(segmentationNode, visible)

    def restoreSlice(self, segmentationNode, segmentId, index):
        """Draw a slice of a segment as it was before corrections."""
        from SegQualityQCLib.scene.originals import restore_slice

        axis = self.results(segmentationNode).reports[segmentId].case.axis
        restore_slice(segmentationNode, self.assessedVolume(segmentationNode), segmentId, axis, index)

    def reviewSlice(self, segmentationNode, segmentId, index, review):
        """Keep a decision (SegQualityQCLib.scene.reviews.Review) on a slice."""
        from SegQualityQCLib.scene.tables import write_reviews

        write_reviews(segmentationNode, self.results(segmentationNode).reviews.with_slice(segmentId, index, review))

    def reviewCase(self, segmentationNode, review):
        """Keep a decision on the whole case; accepted, the copy from before the corrections is removed."""
        from SegQualityQCLib.scene.originals import drop_original
        from SegQualityQCLib.scene.tables import write_reviews

        write_reviews(segmentationNode, self.results(segmentationNode).reviews.with_case(review))
        if review.decision == "accepted":
            drop_original(segmentationNode)

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
        """Whether PyTorch can be imported; does not import it."""
        return importlib.util.find_spec("torch") is not None

    def installTorch(self):
        """Install PyTorch with the PyTorch extension, after the user agreed to it.

        Raises:
            RuntimeError: The extension is missing, or the user declined.
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
        if installed is None:
            raise RuntimeError(_("PyTorch was not installed: assessing needs it."))


class SegQualityQCTest(ScriptedLoadableModuleTest):
    """Slicer's self-test of the module: the demo heart from loading to results."""

    def setUp(self):
        slicer.mrmlScene.Clear(0)

    def runTest(self):
        self.setUp()
        self.test_AssessDemo()

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
