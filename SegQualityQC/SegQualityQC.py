"""SegQualityQC: tells, slice by slice and without a reference, how good a loaded segmentation is."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import parameterNodeWrapper
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
STEP_PAUSE_MS = 1


class SegQualityQC(ScriptedLoadableModule):
    """What Slicer shows of the module before it is opened."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Segmentation Quality Control")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = []
        parent.contributors = ["The SegQualityQC contributors"]
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
    difference - whether to write the difference image.
    showOverlay, showSurface - whether slices and surface are coloured.
    """

    volume: slicer.vtkMRMLScalarVolumeNode
    segmentation: slicer.vtkMRMLSegmentationNode
    deselected: str = ""
    model: str = ""
    axis: str = ""
    threshold: float = 0.7
    difference: bool = False
    showOverlay: bool = True
    showSurface: bool = False


class SegQualityQCWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel. It holds no computation: the logic does it in steps, which the event loop asks for one by one."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._parameterNode = None
        self._parameterNodeGuiTag = None
        self._steps = None
        self._updating = False
        self._reports = {}
        self._rows = []
        self._listed = 0

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(str(resources_folder() / "UI" / "SegQualityQC.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = SegQualityQCLogic()
        self._fillChoices()
        self.ui.segmentsList.connect("itemChanged(QListWidgetItem*)", self.onSegmentTicked)
        self.ui.modelCombo.connect("currentIndexChanged(int)", self.onModelChosen)
        self.ui.axisCombo.connect("currentIndexChanged(int)", self.onAxisChosen)
        self.ui.assessButton.connect("clicked(bool)", self.onAssess)
        self.ui.installButton.connect("clicked(bool)", self.onInstall)
        self.ui.goButton.connect("clicked(bool)", self.onGo)
        self.ui.nextButton.connect("clicked(bool)", self.onNext)
        self.ui.previousButton.connect("clicked(bool)", self.onPrevious)
        self.ui.chartButton.connect("clicked(bool)", self.onShowChart)
        self.ui.resultsTable.connect("cellDoubleClicked(int,int)", self.onDoubleClick)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneEndClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.NodeAddedEvent, self.onNodeAdded)
        self.initializeParameterNode()

    def cleanup(self):
        self._stop()
        self._setParameterNode(None)
        self.removeObservers()

    def enter(self):
        self.initializeParameterNode()

    def exit(self):
        self._setParameterNode(None)

    def onReload(self):
        for name in [name for name in sys.modules if name.split(".")[0] == "SegQualityQCLib"]:
            del sys.modules[name]
        super().onReload()

    def onSceneStartClose(self, caller, event):
        self._stop()
        self._setParameterNode(None)

    def onSceneEndClose(self, caller, event):
        self.initializeParameterNode()

    def onNodeAdded(self, caller, event):
        # The node has no data yet while it is being added.
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

    def _chooseDefaults(self):
        """With nothing chosen, take the first segmentation and its reference volume."""
        parameters = self._parameterNode
        if parameters is None or slicer.mrmlScene.IsBatchProcessing():
            return
        if parameters.segmentation is None:
            parameters.segmentation = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
        if parameters.volume is None:
            parameters.volume = self.logic.defaultVolume(parameters.segmentation)
        self.onParameters()

    def _fillChoices(self):
        from SegQualityQCLib.bundle import available_bundles

        self._updating = True
        self.ui.modelCombo.addItem(_("The one that fits each segment"), "")
        for folder in available_bundles(self.logic.modelFolders()):
            self.ui.modelCombo.addItem(folder.name, str(folder))
        self.ui.axisCombo.addItem(_("the direction of the largest spacing"), "")
        for axis in "ijk":
            self.ui.axisCombo.addItem(axis, axis)
        labels = [_("Segment"), _("Slice"), _("Dice"), _("Interval"), _("Status"), _("Remarks")]
        self.ui.resultsTable.setColumnCount(len(labels))
        self.ui.resultsTable.setHorizontalHeaderLabels(labels)
        self.ui.resultsTable.verticalHeader().hide()
        self.ui.resultsTable.horizontalHeader().setStretchLastSection(True)
        self._updating = False

    def onParameters(self, caller=None, event=None):
        """Show the parameters and, when the segmentation changed, its saved results."""
        if self._updating or self._parameterNode is None:
            return
        self._updating = True
        try:
            self._showSegments()
            self.ui.modelCombo.setCurrentIndex(max(0, self.ui.modelCombo.findData(self._parameterNode.model)))
            self.ui.axisCombo.setCurrentIndex(max(0, self.ui.axisCombo.findData(self._parameterNode.axis)))
            self._showTorch()
            self._showResults()
        finally:
            self._updating = False
        self._enableButtons()

    def _showSegments(self):
        parameters, segmentsList = self._parameterNode, self.ui.segmentsList
        segmentsList.clear()
        self._listed = 0
        if parameters.segmentation is None:
            return
        deselected = parameters.deselected.split("\n")
        for segmentId, name, model, fits in self.logic.segmentModels(parameters.segmentation, parameters.model):
            text = "{segment} ({model})" if fits else _("{segment} ({model}: made for another structure)")
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
                    "Assessing needs PyTorch (about 200 MB for the processor alone, up to 3 GB with CUDA), which is "
                    "installed by the PyTorch extension. Saved results can be opened without it."
                )
            )

    def _enableButtons(self):
        running = self._steps is not None
        self.ui.assessButton.setText(_("Cancel") if running else _("Assess"))
        parameters = self._parameterNode
        ready = parameters is not None and parameters.volume is not None and parameters.segmentation is not None
        self.ui.assessButton.setEnabled(running or (ready and self.logic.torchInstalled()))
        for button in (self.ui.goButton, self.ui.nextButton, self.ui.previousButton, self.ui.chartButton):
            button.setEnabled(bool(self._rows) and not running)
        self.ui.inputsButton.setEnabled(not running)
        self.ui.progressBar.setVisible(running)

    def onSegmentTicked(self, item):
        if self._updating or self._parameterNode is None:
            return
        items = [self.ui.segmentsList.item(row) for row in range(self._listed)]
        off = [item.data(qt.Qt.UserRole) for item in items if item.checkState() == qt.Qt.Unchecked]
        self._setQuietly("deselected", "\n".join(off))

    def onModelChosen(self, index):
        if not self._updating and self._parameterNode is not None:
            self._parameterNode.model = self.ui.modelCombo.itemData(index)

    def onAxisChosen(self, index):
        if not self._updating and self._parameterNode is not None:
            self._parameterNode.axis = self.ui.axisCombo.itemData(index)

    def _setQuietly(self, name, value):
        """Set a parameter without filling the list anew, whose item is just being clicked."""
        self._updating = True
        try:
            setattr(self._parameterNode, name, value)
        finally:
            self._updating = False

    def onInstall(self):
        with slicer.util.tryWithErrorDisplay(_("PyTorch could not be installed."), waitCursor=True):
            self.logic.installTorch()
        self.onParameters()

    def onAssess(self):
        if self._steps is not None:
            self._stop()
            self.ui.statusLabel.setText(_("Cancelled: nothing was changed."))
            return
        parameters = self._parameterNode
        off = parameters.deselected.split("\n")
        chosen = [key for key in self.logic.segmentIds(parameters.segmentation) if key not in off]
        self._steps = self.logic.iterAssess(
            parameters.volume,
            parameters.segmentation,
            segmentIds=chosen,
            model=parameters.model or None,
            axis=parameters.axis or None,
            threshold=parameters.threshold,
            difference=parameters.difference,
        )
        self.ui.statusLabel.setText(_("Loading the model..."))
        self.ui.progressBar.setValue(0)
        self._enableButtons()
        qt.QTimer.singleShot(STEP_PAUSE_MS, self.onStep)

    def onStep(self):
        """Do the next step of the assessment; the event loop calls it, so that the window stays alive in between."""
        if self._steps is None:
            return
        try:
            progress = next(self._steps)
        except SegQualityError as error:
            self._stop()
            self.ui.statusLabel.setText(str(error))
            return
        except Exception as error:
            self._stop()
            self.ui.statusLabel.setText(_("The assessment failed; the error log says more."))
            slicer.util.errorDisplay(_("The assessment failed: {reason}").format(reason=error))
            return
        self.ui.progressBar.setValue(int(100 * progress.fraction))
        self.ui.statusLabel.setText(progress.text)
        if progress.reports is None:
            qt.QTimer.singleShot(STEP_PAUSE_MS, self.onStep)
            return
        self._stop()
        self.ui.statusLabel.setText("")
        self.onParameters()
        self._showInViews()

    def _stop(self):
        if self._steps is not None:
            self._steps.close()
            self._steps = None
            self._enableButtons()

    def _showResults(self):
        """Fill the table with the reports that the segmentation keeps, worst slices first."""
        self._reports, self._rows = {}, []
        try:
            self._reports = self.logic.reports(self._parameterNode.segmentation)
        except SegQualityError as error:
            self.ui.statusLabel.setText(str(error))
        threshold = self._parameterNode.threshold
        self._rows = self.logic.worstFirst(self._reports)
        table = self.ui.resultsTable
        table.setRowCount(len(self._rows))
        for row, (segmentId, index) in enumerate(self._rows):
            report = self._reports[segmentId]
            score = report.slice(index)
            scored = score.dice is not None
            cells = (
                report.case.segment,
                str(index),
                f"{score.dice:.2f}" if scored else "–",
                f"{score.low:.2f} – {score.high:.2f}" if scored else "–",
                _("low") if scored and score.dice < threshold else score.status.value.replace("_", " "),
                ", ".join(score.flags).replace("_", " "),
            )
            for column, cell in enumerate(cells):
                table.setItem(row, column, qt.QTableWidgetItem(cell))
        table.resizeColumnsToContents()
        self.ui.summaryLabel.setText(self.logic.summary(self._reports, threshold))
        self._showInViews()

    def _showInViews(self):
        segmentation = self._parameterNode.segmentation if self._parameterNode is not None else None
        if segmentation is not None and self._reports:
            self.logic.showOverlay(segmentation, self._parameterNode.showOverlay)
            self.logic.showSurfaces(segmentation, self._parameterNode.showSurface)

    def onShowChart(self):
        self.logic.showChart(self._parameterNode.segmentation)

    def onDoubleClick(self, row, column):
        self._go(row)

    def onGo(self):
        self._go(max(0, self.ui.resultsTable.currentRow()))

    def onNext(self):
        self._go(min(len(self._rows) - 1, self.ui.resultsTable.currentRow() + 1))

    def onPrevious(self):
        self._go(max(0, self.ui.resultsTable.currentRow() - 1))

    def _go(self, row):
        if 0 <= row < len(self._rows):
            self.ui.resultsTable.selectRow(row)
            segmentId, index = self._rows[row]
            self.logic.goToSlice(self._parameterNode.segmentation, self._reports[segmentId].case.axis, index)


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
        from SegQualityQCLib.scene.assessment import EstimatorCache, Request, iter_assess

        if SegQualityQCLogic._estimators is None:
            SegQualityQCLogic._estimators = EstimatorCache()
        folders = tuple(self.modelFolders())
        request = Request(volumeNode, segmentationNode, segmentIds, model_folders=folders, **options)
        yield from iter_assess(request, SegQualityQCLogic._estimators)

    def modelFolders(self):
        """The user's own folder of models, from the application settings."""
        folder = slicer.app.userSettings().value("SegQualityQC/ModelsFolder")
        return [folder] if folder else []

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

    def defaultVolume(self, segmentationNode):
        """The reference volume of a segmentation; without one, the only volume of the scene that is no result."""
        if segmentationNode is not None:
            role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
            reference = segmentationNode.GetNodeReference(role)
            if reference is not None:
                return reference
        nodes = slicer.mrmlScene.GetNodesByClass("vtkMRMLScalarVolumeNode")
        nodes.UnRegister(slicer.mrmlScene)
        volumes = [nodes.GetItemAsObject(n) for n in range(nodes.GetNumberOfItems())]
        volumes = [node for node in volumes if not node.IsA("vtkMRMLLabelMapVolumeNode")]
        return volumes[0] if len(volumes) == 1 else None

    def reports(self, segmentationNode):
        """The reports that a segmentation keeps, by segment identifier."""
        from SegQualityQCLib.scene.tables import read_reports

        return read_reports(segmentationNode) if segmentationNode is not None else {}

    def worstFirst(self, reports):
        """(segment identifier, slice index) of all slices, worst first over all segments."""
        from SegQualityQCLib.report import Status

        urgency = {Status.GAP: 0, Status.OUT_OF_WINDOW: 1, Status.UNFAMILIAR: 2, Status.SCORED: 3, Status.EMPTY: 4}

        def key(row):
            score = reports[row[0]].slice(row[1])
            within = score.dice if score.dice is not None else float("check" not in score.flags)
            return urgency[score.status], within

        return sorted(((key_, index) for key_, report in reports.items() for index in report.order), key=key)

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

    def showOverlay(self, segmentationNode, visible):
        """Show or hide the coloured slices, as the foreground of all slice views."""
        from SegQualityQCLib.scene.references import OVERLAY, existing_node

        overlay = existing_node(segmentationNode, OVERLAY)
        if overlay is None:
            return
        nodes = slicer.mrmlScene.GetNodesByClass("vtkMRMLSliceCompositeNode")
        nodes.UnRegister(slicer.mrmlScene)
        for n in range(nodes.GetNumberOfItems()):
            composite = nodes.GetItemAsObject(n)
            if visible:
                composite.SetForegroundVolumeID(overlay.GetID())
                composite.SetForegroundOpacity(0.5)
            elif composite.GetForegroundVolumeID() == overlay.GetID():
                composite.SetForegroundVolumeID(None)
        from SegQualityQCLib.scene.overlays import legend

        legendNode = legend(overlay.GetDisplayNode())
        if legendNode is not None:
            legendNode.SetVisibility(visible)

    def showSurfaces(self, segmentationNode, visible):
        """Show or hide the coloured surfaces in 3-D."""
        from SegQualityQCLib.scene.references import SURFACE

        for n in range(segmentationNode.GetNumberOfNodeReferences(SURFACE)):
            node = segmentationNode.GetNthNodeReference(SURFACE, n)
            if node is not None and node.GetDisplayNode() is not None:
                node.GetDisplayNode().SetVisibility(visible)

    def showChart(self, segmentationNode):
        """Show the chart in a plot view."""
        from SegQualityQCLib.scene.references import CHART, existing_node

        chart = existing_node(segmentationNode, CHART)
        if chart is not None:
            slicer.modules.plots.logic().ShowChartInLayout(chart)

    def goToSlice(self, segmentationNode, axis, index):
        """Take all slice views to a slice of the assessed volume: the red one in its plane, the others through it."""
        from SegQualityQCLib.scene.navigation import go_to_slice
        from SegQualityQCLib.scene.tables import assessed_volume, slice_positions

        volumeNode = assessed_volume(segmentationNode)
        if volumeNode is None:
            return
        centre = slice_positions(volumeNode, axis)[index]
        nodes = slicer.mrmlScene.GetNodesByClass("vtkMRMLSliceNode")
        nodes.UnRegister(slicer.mrmlScene)
        for n in range(nodes.GetNumberOfItems()):
            sliceNode = nodes.GetItemAsObject(n)
            if sliceNode.GetLayoutName() == "Red" or nodes.GetNumberOfItems() == 1:
                go_to_slice(sliceNode, volumeNode, axis, index)
            else:
                sliceNode.JumpSliceByCentering(*centre)

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
            self.assertEqual(logic.reports(segmentationNode), {})
            return
        (report,) = logic.assess(volumeNode, segmentationNode).values()
        self.assertEqual(report.case.slices, 10)
        self.assertEqual(report.slice(4).status.value, "gap")
        self.assertEqual(report.order[0], 4)
        self.assertEqual(list(logic.reports(segmentationNode).values()), [report])
