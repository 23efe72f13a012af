"""The panel for real: its .ui file and its class on Qt, with the real scene."""

import pytest
import slicer
from PySide6 import QtGui, QtWidgets
from slicer_harness.application import open_panel, process_events, start

from SegQualityQCLib.scene.references import OVERLAY, TABLE, existing_node


@pytest.fixture
def module():
    return start()


@pytest.fixture
def panel(module):
    module.SegQualityQCLogic().loadDemo()
    widget = open_panel(module)
    yield widget
    widget.cleanup()


def finished(panel):
    return lambda: panel.steps.running is False


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


def test_cancel_in_the_same_button_changes_nothing(panel):
    panel.ui.assessButton.click()
    assert panel.ui.assessButton.text() == "Cancel"
    panel.ui.assessButton.click()
    assert panel.ui.assessButton.text() == "Assess"
    assert existing_node(panel.parameters.segmentation, TABLE) is None


def test_an_unusable_input_is_one_sentence_in_the_panel(panel):
    segmentation = panel.parameters.segmentation
    segmentation.GetSegmentation().AddEmptySegment("nothing", "nothing")
    panel.ui.assessButton.click()
    process_events(finished(panel))
    assert "nothing of DemoHeart segmentation is empty" in panel.ui.statusLabel.text()
    assert existing_node(segmentation, TABLE) is None


def test_closing_the_scene_ends_an_assessment(panel):
    panel.ui.assessButton.click()
    slicer.mrmlScene.Clear(0)
    process_events(finished(panel))
    assert not panel.ui.assessButton.isEnabled()


def test_the_self_test_of_the_module_passes(module):
    module.SegQualityQCTest("test_AssessDemo").debug()


def test_the_panel_is_readable_in_light_and_in_dark(panel, tmp_path):
    panel.ui.assessButton.click()
    process_events(finished(panel))
    QtWidgets.QApplication.setStyle("Fusion")
    brightness = []
    for name, colour in (("light", "#f0f0f0"), ("dark", "#2b2b2b")):
        QtWidgets.QApplication.setPalette(QtGui.QPalette(QtGui.QColor(colour), QtGui.QColor(colour)))
        QtWidgets.QApplication.processEvents()
        picture = panel.parent.grab()
        assert picture.save(str(tmp_path / f"panel-{name}.png"))
        brightness.append(picture.toImage().pixelColor(2, 2).lightness())
    assert brightness[0] > 200 > 80 > brightness[1]
