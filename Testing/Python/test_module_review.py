"""The round of a reviewer in the panel: from the worst slice to the next one, in the table, views and chart."""

import pytest
import slicer
import vtk
from slicer_harness.application import leave_module
from slicer_harness.reviewing import assessed_demo, red, results, segmentation, select, shown, wait
from slicer_harness.views import props_in, text_in

from SegQualityQCLib.scene.ordering import low_unreviewed
from SegQualityQCLib.scene.result_nodes import CHART, OVERLAY, existing_node


@pytest.fixture
def panel():
    widget = assessed_demo()
    yield widget.panel
    widget.cleanup()


VIEWS = ("Red", "Green", "Yellow")


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
    score = results(panel).reports[panel.table.selected[0]].slice(2)
    assert f"slice 2: Dice {score.dice:.2f}" in text_in("Red")
    panel.ui.thresholdSlider.value = score.dice - 0.05
    assert not text_in("Red").endswith(", low")
    panel.ui.thresholdSlider.value = score.dice + 0.05
    assert text_in("Red").endswith(", low")
    red(panel).SetSliceToRASByNTP(1, 0, 0, 0, 1, 0, 0, 0, 0, 0)
    assert text_in("Red") is None


def test_another_layout_keeps_its_views_marked_once(panel):
    slicer.app.layoutManager().layoutChanged.emit(4)
    assert [len(props_in(name)) for name in VIEWS] == [2, 2, 2]  # a band and a line of text in each
    leave_module()
    assert [len(props_in(name)) for name in VIEWS] == [0, 0, 0]


def test_the_chart_follows_the_threshold(panel):
    panel.ui.thresholdSlider.value = 0.5
    chart = existing_node(segmentation(panel), CHART)
    names = [chart.GetNthPlotSeriesNode(n).GetName() for n in range(chart.GetNumberOfPlotSeriesNodes())]
    assert "Threshold 0.50" in names
    assert "Threshold 0.70" not in names


def test_the_suggested_order_puts_reviewed_slices_behind(panel):
    panel.ui.orderCombo.setCurrentIndex(1)
    first = panel.table.rows[0]
    panel.table.select(0)
    panel.ui.acceptButton.click()
    assert panel.table.rows[0] != first


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


def test_the_fill_of_the_segments_comes_back_also_where_the_coloured_slices_were_deleted(panel):
    display = segmentation(panel).GetDisplayNode()
    assert not display.GetVisibility2DFill()
    slicer.mrmlScene.RemoveNode(existing_node(segmentation(panel), OVERLAY))
    wait(panel)
    panel.ui.overlayCheck.setChecked(False)
    assert display.GetVisibility2DFill()
