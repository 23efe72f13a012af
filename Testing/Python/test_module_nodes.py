"""The panel and the nodes of the scene: a saved scene, a reload of the module, and nodes that are removed."""

import sys
import zipfile

import numpy as np
import pytest
import slicer
from PySide6 import QtGui
from slicer_harness.application import leave_module, process_events
from slicer_harness.editing import edit_slice
from slicer_harness.reviewing import assessed_demo, segmentation, select, text, wait
from slicer_harness.scenes import node_ids
from slicer_harness.views import props_in

from SegQualityQCLib.scene.default_nodes import default_volume
from SegQualityQCLib.scene.result_nodes import OVERLAY, existing_node


@pytest.fixture
def panel():
    widget = assessed_demo()
    yield widget.panel
    widget.cleanup()


VIEWS = ("Red", "Green", "Yellow")


def test_after_a_reload_the_panel_is_as_it_was(panel, tmp_path):
    key, _ = select(panel, 6)
    panel.ui.thresholdSlider.value = 0.8
    edit_slice(segmentation(panel), key, 6, lambda pixels: np.roll(pixels, 3, axis=0))
    wait(panel)
    panel.ui.acceptButton.click()
    rows = [[text(panel, row, column) for column in range(6)] for row in range(10)]
    labels = panel.ui.summaryLabel.text(), panel.ui.reviewLabel.text()
    scene = slicer.mrmlScene
    assert scene.WriteToMRB(str(tmp_path / "scene.mrb"), None)
    scene.Clear(0)
    process_events(lambda: True)
    assert panel.ui.resultsTable.rowCount() == 0
    zipfile.ZipFile(tmp_path / "scene.mrb").extractall(tmp_path)  # as Slicer does, into its cache folder
    scene.SetURL(str(next(tmp_path.rglob("*.mrml"))))
    assert scene.Import()
    wait(panel)
    assert [[text(panel, row, column) for column in range(6)] for row in range(10)] == rows
    assert (panel.ui.summaryLabel.text(), panel.ui.reviewLabel.text()) == labels
    assert panel.ui.thresholdSlider.value == 0.8


@pytest.fixture
def reloaded(panel, monkeypatch):
    """The module's widget after Reload; the library of the other tests comes back afterwards."""
    for name in [name for name in sys.modules if name.split(".")[0] == "SegQualityQCLib"]:
        monkeypatch.setitem(sys.modules, name, sys.modules[name])
    slicer.modules.SegQualityQCWidget.onReload()
    yield slicer.modules.SegQualityQCWidget.panel
    slicer.modules.SegQualityQCWidget.cleanup()
    for name in [name for name in sys.modules if name.split(".")[0] == "SegQualityQCLib"]:
        del sys.modules[name]


def test_after_reload_the_new_panel_works_as_the_old_one_did(panel, reloaded):
    assert reloaded is not panel
    assert panel.parameters is None
    assert reloaded.ui.resultsTable.rowCount() == 10
    assert len(slicer.util.mainWindow().findChildren(QtGui.QShortcut)) == 6
    assert [len(props_in(name)) for name in VIEWS] == [2, 2, 2]
    slicer.mrmlScene.Clear(0)
    reloaded.logic.loadDemo()
    wait(reloaded)
    reloaded.ui.assessButton.click()
    wait(reloaded)
    assert slicer.errors == []
    assert reloaded.ui.resultsTable.rowCount() == 10


def test_a_removed_segment_leaves_the_table(panel):
    node = segmentation(panel)
    node.GetSegmentation().RemoveSegment(panel.table.rows[0][0])
    wait(panel)
    assert panel.ui.resultsTable.rowCount() == 0
    assert slicer.errors == []


def test_nothing_stays_behind_when_a_case_is_removed(panel):
    from SegQualityQCLib.scene.assessment import remove_results

    node = segmentation(panel)
    remove_results(node)
    slicer.mrmlScene.RemoveNode(node)
    wait(panel)
    assert not [i for i in node_ids(slicer.mrmlScene) if i.startswith(("vtkMRMLModelNode", "vtkMRMLPlotSeries"))]
    assert panel.ui.resultsTable.rowCount() == 0
    assert not panel.ui.assessButton.isEnabled()


def test_the_results_go_with_a_segmentation_that_is_deleted(panel):
    before = {i for i in node_ids(slicer.mrmlScene) if i.startswith("vtkMRMLTableNode")}
    assert before
    slicer.mrmlScene.RemoveNode(segmentation(panel))
    wait(panel)
    kinds = ("vtkMRMLTable", "vtkMRMLPlot", "vtkMRMLModel", "vtkMRMLSegmentationNode")
    assert [i for i in node_ids(slicer.mrmlScene) if i.startswith(kinds)] == []
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 1


def test_a_reference_that_is_no_image_is_not_taken_for_one(panel):
    node, volume = segmentation(panel), panel.parameters.volume
    role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
    for kind in ("vtkMRMLMarkupsROINode", "vtkMRMLLabelMapVolumeNode"):
        node.SetNodeReferenceID(role, slicer.mrmlScene.AddNewNodeByClass(kind).GetID())
        assert default_volume(slicer.mrmlScene, node) in (None, volume)
    panel.parameters.volume = None
    wait(panel)
    assert slicer.errors == []


def test_a_result_is_not_taken_for_the_image(panel):
    overlay = existing_node(segmentation(panel), OVERLAY)
    slicer.mrmlScene.RemoveNode(panel.parameters.volume)
    wait(panel)
    assert panel.parameters.volume is None
    role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
    segmentation(panel).SetNodeReferenceID(role, overlay.GetID())
    assert default_volume(slicer.mrmlScene, segmentation(panel)) is None


def test_assess_does_nothing_while_the_module_is_not_open(panel):
    leave_module()
    panel.ui.assessButton.click()
    assert not panel.steps.running
