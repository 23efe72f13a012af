"""Corrections in the panel: edit a slice, see its score rise, undo, restore, and compare with the original."""

from dataclasses import replace

import numpy as np
import pytest
import slicer
from PySide6 import QtGui
from slicer_harness.application import leave_module, process_events, return_to_module
from slicer_harness.editing import block, edit_slice, slice_pixels
from slicer_harness.reviewing import assessed_demo, results, segmentation, select, text, wait

from SegQualityQCLib.scene.result_nodes import ORIGINAL, OVERLAY, TABLE, existing_node


@pytest.fixture
def panel():
    widget = assessed_demo()
    yield widget.panel
    widget.cleanup()


def test_an_edited_slice_is_scored_again_and_only_that_one(panel):
    key, _ = select(panel, 2)
    before = results(panel).reports[key]
    edit_slice(segmentation(panel), key, 2, lambda pixels: np.roll(pixels, 4, axis=0))
    wait(panel)
    after = results(panel).reports[key]
    assert after.slice(2).dice != before.slice(2).dice
    assert [s for s in after.slices if s.index != 2] == [s for s in before.slices if s.index != 2]
    row = panel.table.rows.index((key, 2))
    assert text(panel, row, 2) == f"{before.slice(2).dice:.2f} to {after.slice(2).dice:.2f}"
    overlay = slicer.util.arrayFromVolume(existing_node(segmentation(panel), OVERLAY))
    assert overlay[2].max() == pytest.approx(after.slice(2).dice)
    assert panel.table.selected == (key, 2)


def test_undo_takes_the_score_back_too(panel):
    key, _ = select(panel, 6)
    before = results(panel)
    panel.ui.correctButton.setCollapsed(False)
    panel.correction.editor.saveStateForUndo()
    edit_slice(segmentation(panel), key, 6, lambda pixels: pixels * 0)
    wait(panel)
    assert results(panel).reports[key].slice(6).status.value == "gap"
    panel.correction.editor.undo()
    wait(panel)
    for after, score in zip(results(panel).reports[key].slices, before.reports[key].slices, strict=True):
        figures = (after.dice, after.low, after.high)
        assert figures == pytest.approx((score.dice, score.low, score.high), abs=1e-6)
        assert replace(after, dice=score.dice, low=score.low, high=score.high) == score
    assert results(panel).before[key] == {}


def test_a_gap_that_is_filled_rises_from_nothing_and_stays_among_the_low_slices(panel):
    key, _ = select(panel, 4)
    before = panel.ui.reviewLabel.text()
    neighbour = slice_pixels(segmentation(panel), key, 3)
    assert results(panel).reports[key].slice(4).status.value == "gap"

    def draw(pixels):
        data = slicer.vtkOrientedImageData()
        segmentation(panel).GetBinaryLabelmapRepresentation(key, data)
        first_i, first_j = data.GetExtent()[0], data.GetExtent()[2]
        for i, j in neighbour:
            pixels[j - first_j, i - first_i] = 1
        return pixels

    edit_slice(segmentation(panel), key, 4, draw)
    wait(panel)
    score = results(panel).reports[key].slice(4)
    assert score.dice > 0.7
    assert text(panel, panel.table.rows.index((key, 4)), 2) == f"0.00 to {score.dice:.2f}"
    assert panel.ui.reviewLabel.text() == before


def test_a_slice_drawn_where_nothing_was_gets_a_score_and_loses_it_with_the_drawing(panel):
    key, _ = select(panel, 9)
    assert results(panel).reports[key].slice(9).status.value == "empty"
    edit_slice(segmentation(panel), key, 9, block)
    wait(panel)
    score = results(panel).reports[key].slice(9)
    assert text(panel, panel.table.rows.index((key, 9)), 2) == f"– to {score.dice:.2f}"
    edit_slice(segmentation(panel), key, 9, lambda pixels: pixels * 0)
    wait(panel)
    assert results(panel).before[key] == {}
    assert text(panel, panel.table.rows.index((key, 9)), 2) == "–"


def test_following_edits_can_be_switched_off_and_catches_up_when_switched_on(panel):
    key, _ = select(panel, 6)
    before = results(panel).reports[key]
    panel.ui.followCheck.setChecked(False)
    edit_slice(segmentation(panel), key, 6, lambda pixels: np.roll(pixels, 5, axis=0))
    wait(panel)
    assert results(panel).reports[key] == before
    panel.ui.followCheck.setChecked(True)
    wait(panel)
    assert results(panel).reports[key].slice(6) != before.slice(6)


def test_an_idle_panel_leaves_the_results_and_an_edit_changes_one_slice(panel):
    before = existing_node(segmentation(panel), TABLE).GetTable()
    wait(panel, pause=1.0)
    assert existing_node(segmentation(panel), TABLE).GetTable() is before
    key, _ = select(panel, 6)
    edit_slice(segmentation(panel), key, 6, lambda pixels: np.roll(pixels, 3, axis=0))
    wait(panel, pause=1.0)
    assert existing_node(segmentation(panel), TABLE).GetTable() is not before
    assert set(results(panel).before[key]) == {6}


def test_edits_are_followed_after_the_segmentation_inside_the_node_was_replaced(panel):
    key, _ = select(panel, 6)
    node = segmentation(panel)
    another = slicer.vtkSegmentation()
    another.DeepCopy(node.GetSegmentation())
    node.SetAndObserveSegmentation(another)
    wait(panel)
    edit_slice(node, key, 6, lambda pixels: np.roll(pixels, 3, axis=0))
    wait(panel)
    assert 6 in results(panel).before[key]


def test_the_segment_editor_is_set_to_the_row_and_stops_when_the_module_is_left(panel):
    key, _ = select(panel, 2)
    panel.ui.correctButton.setCollapsed(False)
    editor = panel.correction.editor
    assert editor.segmentationNode() is segmentation(panel)
    assert editor.sourceVolumeNode() is panel.parameters.volume
    assert editor.currentSegmentID() == key
    editor.setActiveEffectByName("Paint")
    leave_module()
    assert editor.effect is None
    assert not editor.shortcuts
    assert not editor.observing
    assert slicer.util.mainWindow().findChildren(QtGui.QShortcut) == []
    return_to_module()
    assert editor.shortcuts
    assert editor.observing
    assert len(slicer.util.mainWindow().findChildren(QtGui.QShortcut)) == 6


def test_restoring_a_slice_takes_back_that_slice_alone(panel):
    key, _ = select(panel, 6)
    node = segmentation(panel)
    drawn = {index: slice_pixels(node, key, index) for index in range(10)}
    for index in (2, 6):
        edit_slice(node, key, index, lambda pixels: np.roll(pixels, 5, axis=0))
    wait(panel)
    edited = slice_pixels(node, key, 2)
    panel.ui.restoreButton.click()
    wait(panel)
    assert slice_pixels(node, key, 6) == drawn[6]
    assert slice_pixels(node, key, 2) == edited != drawn[2]
    assert 6 not in results(panel).before[key]


def test_compare_shows_the_outline_from_before(panel):
    original = existing_node(segmentation(panel), ORIGINAL)
    assert original.GetHideFromEditors()
    assert not original.GetDisplayNode().GetVisibility()
    panel.ui.compareCheck.setChecked(True)
    assert original.GetDisplayNode().GetVisibility()


def other_segmentation(panel):
    """A second assessed segmentation of the same heart, chosen in the panel."""
    _, node = panel.logic.loadDemo()
    panel.parameters.segmentation = node
    panel.ui.assessButton.click()
    wait(panel)
    return node


def test_the_editor_follows_the_chosen_segmentation(panel):
    first = segmentation(panel)
    panel.ui.correctButton.setCollapsed(False)
    assert panel.correction.editor.segmentationNode() is first
    second = other_segmentation(panel)
    assert panel.correction.editor.segmentationNode() is second
    panel.parameters.segmentation = first
    assert panel.correction.editor.segmentationNode() is first
    slicer.mrmlScene.Clear(0)
    process_events(lambda: True)
    panel.logic.loadDemo()
    wait(panel)
    panel.ui.assessButton.click()
    wait(panel)
    assert panel.correction.editor.segmentationNode() is segmentation(panel)
    assert panel.correction.entered


def test_the_outline_from_before_is_that_of_the_chosen_segmentation_alone(panel):
    first = segmentation(panel)
    panel.ui.compareCheck.setChecked(True)
    second = other_segmentation(panel)
    visible = [existing_node(node, ORIGINAL).GetDisplayNode().GetVisibility() for node in (first, second)]
    assert visible == [0, 1]


def test_the_outline_from_before_goes_with_a_segmentation_that_is_no_longer_chosen(panel):
    first = segmentation(panel)
    panel.ui.correctButton.setCollapsed(False)
    panel.ui.compareCheck.setChecked(True)
    _, panel.parameters.segmentation = panel.logic.loadDemo()
    assert not existing_node(first, ORIGINAL).GetDisplayNode().GetVisibility()
