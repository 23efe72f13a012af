"""The round of a reviewer in the panel: go to the worst slice, correct it, see the score rise, undo, sign off."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import slicer
import vtk
from PySide6 import QtGui
from slicer_harness.application import process_events
from slicer_harness.editing import block, edit_slice, slice_pixels
from slicer_harness.reviewing import assessed_demo, red, results, segmentation, select, shown, text, wait
from slicer_harness.scenes import node_ids

from SegQualityQCLib.scene.ordering import low_unreviewed
from SegQualityQCLib.scene.result_nodes import CHART, ORIGINAL, OVERLAY, existing_node


@pytest.fixture
def panel():
    widget = assessed_demo()
    yield widget
    widget.cleanup()


def test_selecting_moves_no_view_but_go_and_double_click_do(panel):
    select(panel, 7)
    before = shown(panel)
    select(panel, 2)
    assert shown(panel) == before != 2
    panel.ui.goButton.click()
    assert shown(panel) == 2
    panel.ui.resultsTable.cellDoubleClicked.emit([r[1] for r in panel.table.rows].index(8), 0)
    assert shown(panel) == 8


def test_next_and_previous_walk_along_the_table_and_next_low_skips_what_is_reviewed(panel):
    panel.table.select(0)
    panel.ui.nextButton.click()
    assert shown(panel) == panel.table.rows[1][1]
    panel.ui.previousButton.click()
    assert shown(panel) == panel.table.rows[0][1] == 4
    low = [index for _, index in low_unreviewed(results(panel), 0.7)]
    assert {4, 2, 7} <= set(low)
    seen = []
    for _ in low:
        panel.ui.nextLowButton.click()
        seen.append(shown(panel))
        panel.ui.acceptButton.click()
    assert sorted(seen) == sorted(low)
    panel.ui.nextLowButton.click()
    assert "No slice below the threshold is left" in panel.ui.statusLabel.text()


def test_a_click_on_a_point_of_the_chart_goes_to_its_slice(panel):
    chart = existing_node(segmentation(panel), CHART)
    series = next(
        chart.GetNthPlotSeriesNode(n)
        for n in range(chart.GetNumberOfPlotSeriesNodes())
        if chart.GetNthPlotSeriesNode(n).GetName() == "LV myocardium"
    )
    ids, rows, chosen = vtk.vtkStringArray(), vtk.vtkIdTypeArray(), vtk.vtkCollection()
    ids.InsertNextValue(series.GetID())
    rows.InsertNextValue(3)
    chosen.AddItem(rows)
    slicer.app.layoutManager().plotWidget(0).plotView().dataSelected.emit(ids, chosen)
    assert shown(panel) == round(series.GetTableNode().GetTable().GetValueByName(3, "Slice").ToDouble())


def test_the_view_says_what_slice_it_shows(panel):
    select(panel, 2)
    panel.ui.goButton.click()
    (mark,) = [mark for _, node, mark, _ in panel.navigation.marks._marks if node is red(panel)]
    score = results(panel).reports[panel.table.selected[0]].slice(2)
    assert mark.text.GetVisibility() and f"slice 2: Dice {score.dice:.2f}" in mark.text.GetInput()
    panel.ui.thresholdSlider.value = score.dice - 0.05
    assert not mark.text.GetInput().endswith(", low")
    panel.ui.thresholdSlider.value = score.dice + 0.05
    assert mark.text.GetInput().endswith(", low")
    red(panel).SetSliceToRASByNTP(1, 0, 0, 0, 1, 0, 0, 0, 0, 0)
    assert not mark.text.GetVisibility()


def test_another_layout_keeps_its_views_marked_once(panel):
    slicer.app.layoutManager().layoutChanged.emit(4)
    assert len(panel.navigation.marks._marks) == 3
    renderer = (
        slicer.app.layoutManager().sliceWidget("Red").sliceView().renderWindow().GetRenderers().GetFirstRenderer()
    )
    assert renderer.GetViewProps().GetNumberOfItems() == 2  # a band and a line of text
    panel.exit()
    assert renderer.GetViewProps().GetNumberOfItems() == 0


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


def test_the_segment_editor_is_set_to_the_row_and_stops_when_the_module_is_left(panel):
    key, _ = select(panel, 2)
    panel.ui.correctButton.setCollapsed(False)
    editor = panel.correction.editor
    assert editor.segmentationNode() is segmentation(panel)
    assert editor.sourceVolumeNode() is panel.parameters.volume
    assert editor.currentSegmentID() == key
    editor.setActiveEffectByName("Paint")
    panel.exit()
    assert editor.effect is None and not editor.shortcuts and not editor.observing
    assert slicer.util.mainWindow().findChildren(QtGui.QShortcut) == []
    panel.enter()
    assert editor.shortcuts and editor.observing  # the section is still unfolded
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
    assert original.GetHideFromEditors() and not original.GetDisplayNode().GetVisibility()
    panel.ui.compareCheck.setChecked(True)
    assert original.GetDisplayNode().GetVisibility()


def test_the_chart_follows_the_threshold(panel):
    panel.ui.thresholdSlider.value = 0.5
    chart = existing_node(segmentation(panel), CHART)
    names = [chart.GetNthPlotSeriesNode(n).GetName() for n in range(chart.GetNumberOfPlotSeriesNodes())]
    assert "Threshold 0.50" in names and "Threshold 0.70" not in names


def test_the_suggested_order_puts_reviewed_slices_behind(panel):
    panel.ui.orderCombo.setCurrentIndex(1)
    first = panel.table.rows[0]
    panel.table.select(0)
    panel.ui.acceptButton.click()
    assert panel.table.rows[0] != first


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
    import zipfile

    zipfile.ZipFile(tmp_path / "scene.mrb").extractall(tmp_path)  # as Slicer does, into its cache folder
    scene.SetURL(str(next(tmp_path.rglob("*.mrml"))))
    assert scene.Import()
    wait(panel)
    assert [[text(panel, row, column) for column in range(6)] for row in range(10)] == rows
    assert (panel.ui.summaryLabel.text(), panel.ui.reviewLabel.text()) == labels
    assert panel.ui.thresholdSlider.value == 0.8


@pytest.fixture
def reloaded(panel, monkeypatch):
    """The panel after Reload; the library of the other tests comes back afterwards."""
    for name in [name for name in sys.modules if name.split(".")[0] == "SegQualityQCLib"]:
        monkeypatch.setitem(sys.modules, name, sys.modules[name])
    panel.onReload()
    yield slicer.modules.SegQualityQCWidget
    slicer.modules.SegQualityQCWidget.cleanup()
    for name in [name for name in sys.modules if name.split(".")[0] == "SegQualityQCLib"]:
        del sys.modules[name]


def test_after_reload_the_new_panel_works_as_the_old_one_did(panel, reloaded):
    assert reloaded is not panel and panel.parameters is None
    assert reloaded.ui.resultsTable.rowCount() == 10
    assert len(slicer.util.mainWindow().findChildren(QtGui.QShortcut)) == 6
    assert len(reloaded.navigation.marks._marks) == 3
    slicer.mrmlScene.Clear(0)
    reloaded.logic.loadDemo()
    wait(reloaded)
    reloaded.ui.assessButton.click()
    wait(reloaded)
    assert slicer.errors == [] and reloaded.ui.resultsTable.rowCount() == 10


def test_assess_without_parameters_does_nothing(panel):
    panel.exit()
    panel.onAssess()
    assert not panel.steps.running


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
    assert panel.ui.resultsTable.rowCount() == 0 and not panel.ui.assessButton.isEnabled()


def test_an_idle_panel_does_nothing(panel, monkeypatch):
    rescored = []
    rescore = panel.logic.iterRescore
    monkeypatch.setattr(panel.logic, "iterRescore", lambda *args: rescored.append(1) or rescore(*args))
    wait(panel, pause=1.0)
    assert len(rescored) <= 1
    key, _ = select(panel, 6)
    edit_slice(segmentation(panel), key, 6, lambda pixels: np.roll(pixels, 3, axis=0))
    wait(panel, pause=1.0)
    assert 1 <= len(rescored) <= 4 and 6 in results(panel).before[key]


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
    assert panel.correction.editor.segmentationNode() is segmentation(panel) and panel.correction.entered


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


def test_assess_shows_the_colours_again(panel):
    composite = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
    composite.SetForegroundVolumeID(None)
    panel.ui.assessButton.click()
    wait(panel)
    assert composite.GetForegroundVolumeID() == existing_node(segmentation(panel), OVERLAY).GetID()


def test_a_foreground_that_the_user_chose_stays(panel):
    composite = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
    assert composite.GetForegroundVolumeID() == existing_node(segmentation(panel), OVERLAY).GetID()
    composite.SetForegroundVolumeID(panel.parameters.volume.GetID())
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    wait(panel)
    assert composite.GetForegroundVolumeID() == panel.parameters.volume.GetID()


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
        assert panel.logic.defaultVolume(node) is None or panel.logic.defaultVolume(node) is volume
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
    assert panel.logic.defaultVolume(segmentation(panel)) is None


def test_the_fill_of_the_segments_comes_back_also_where_the_coloured_slices_were_deleted(panel):
    display = segmentation(panel).GetDisplayNode()
    assert not display.GetVisibility2DFill()
    slicer.mrmlScene.RemoveNode(existing_node(segmentation(panel), OVERLAY))
    wait(panel)
    panel.ui.overlayCheck.setChecked(False)
    assert display.GetVisibility2DFill()
