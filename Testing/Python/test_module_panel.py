"""The panel on real Qt with the real scene: an assessment from the button to the results."""

import pytest
import SimpleITK as sitk
import slicer
from PySide6 import QtCore
from slicer_harness.application import leave_module, open_panel, process_events, return_to_module
from slicer_harness.reviewing import wait

from SegQualityQCLib.scene.images import add_segmentation, add_volume
from SegQualityQCLib.scene.result_nodes import OVERLAY, TABLE, existing_node


@pytest.fixture
def panel(demo_panel):
    return demo_panel


def finished(panel):
    return lambda: not panel.steps.running


def test_with_one_volume_and_one_segmentation_assess_is_enabled_at_once(panel):
    assert panel.ui.assessButton.isEnabled()
    assert panel.ui.volumeSelector.currentNode().GetName() == "DemoHeart"
    assert "acdc-lv-myocardium" in panel.ui.segmentsList.item(0).text()


def test_assess_shows_the_slices_worst_first(panel):
    panel.ui.assessButton.click()
    process_events(finished(panel))
    assert slicer.errors == []
    assert panel.ui.statusLabel.text() == ""
    assert panel.ui.resultsTable.rowCount() == 10
    assert panel.ui.resultsTable.item(0, 1).text() == "4"
    assert panel.ui.resultsTable.item(0, 4).text() == "gap"
    assert existing_node(panel.parameters.segmentation, OVERLAY) is not None


def test_other_nodes_that_come_and_go_leave_the_panel_as_it_is(panel):
    panel.ui.assessButton.click()
    process_events(finished(panel))
    panel.ui.resultsTable.setCurrentCell(3, 0)
    panel.ui.statusLabel.setText("as it was")
    nodes = [slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode") for _ in range(20)]
    wait(panel)
    for node in nodes:
        slicer.mrmlScene.RemoveNode(node)
    wait(panel)
    assert panel.ui.resultsTable.currentRow() == 3
    assert panel.ui.resultsTable.rowCount() == 10
    assert panel.ui.statusLabel.text() == "as it was"


def test_results_whose_table_is_removed_leave_the_panel(panel):
    panel.ui.assessButton.click()
    process_events(finished(panel))
    slicer.mrmlScene.RemoveNode(existing_node(panel.parameters.segmentation, TABLE))
    wait(panel)
    assert panel.ui.resultsTable.rowCount() == 0
    assert "Not assessed yet" in panel.ui.summaryLabel.text()


def test_results_that_a_script_makes_are_shown(panel):
    panel.logic.assess(panel.parameters.volume, panel.parameters.segmentation)
    wait(panel)
    assert panel.ui.resultsTable.rowCount() == 10


def test_cancel_in_the_same_button_changes_nothing(panel):
    panel.ui.assessButton.click()
    assert panel.ui.assessButton.text() == "Cancel"
    panel.ui.assessButton.click()
    assert panel.ui.assessButton.text() == "Assess"
    assert existing_node(panel.parameters.segmentation, TABLE) is None


def test_a_real_patient_is_assessed_in_the_panel(module, acdc_root):
    folder = sorted((acdc_root / "training").glob("patient*"))[0]
    image = sorted(folder.glob("*frame??.nii.gz"))[0]
    labels = sitk.ReadImage(str(image).replace(".nii.gz", "_gt.nii.gz"))
    volume = add_volume(slicer.mrmlScene, sitk.ReadImage(str(image)), "patient")
    names = ["RV cavity", "LV myocardium", "LV cavity"]
    add_segmentation(slicer.mrmlScene, labels, volume, "reference", names)
    widget = open_panel(module)
    panel = widget.panel
    for row in (0, 2):
        panel.ui.segmentsList.item(row).setCheckState(QtCore.Qt.Unchecked)
    panel.ui.assessButton.click()
    process_events(finished(panel))
    assert slicer.errors == []
    assert panel.ui.statusLabel.text() == ""
    (report,) = panel.results.reports.values()
    assert report.case.segment == "LV myocardium"
    assert report.volume.dice > 0.7  # it is the reference
    widget.cleanup()


def test_closing_the_scene_ends_an_assessment(panel):
    panel.ui.assessButton.click()
    slicer.mrmlScene.Clear(0)
    process_events(finished(panel))
    assert not panel.ui.assessButton.isEnabled()
    assert "the scene was closed" in panel.ui.statusLabel.text()


def test_an_assessment_goes_on_while_another_module_is_open(panel):
    segmentation = panel.parameters.segmentation
    panel.ui.assessButton.click()
    leave_module()
    process_events(finished(panel))
    assert existing_node(segmentation, TABLE) is not None
    return_to_module()
    process_events(finished(panel))
    assert slicer.errors == []
    assert panel.ui.statusLabel.text() == ""
    assert panel.ui.resultsTable.rowCount() == 10
    assert panel.ui.assessButton.text() == "Assess"


def test_a_return_to_the_panel_finds_the_assessment_running(panel):
    panel.ui.assessButton.click()
    leave_module()
    return_to_module()
    assert panel.steps.running
    assert panel.ui.assessButton.text() == "Cancel"
    process_events(finished(panel))
    assert panel.ui.resultsTable.rowCount() == 10
