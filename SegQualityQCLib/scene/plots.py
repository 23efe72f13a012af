"""A chart of predicted Dice with its interval against slice, one series a segment, and the threshold as a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import vtk

from ..report.report import QualityReport
from .colours import colour_of
from .result_nodes import CHART, KEY, SERIES, SERIES_TABLE, existing_node, node_for, remove_nodes

_THRESHOLD = "threshold"
_LOW = "low"


def write_chart(segmentation_node: Any, reports: Mapping[str, QualityReport], threshold: float) -> Any:
    """Write the chart node of a segmentation and its series; the same nodes each time.

    Returns:
        The vtkMRMLPlotChartNode, referenced from the segmentation node.
    """
    name = segmentation_node.GetName()
    chart = node_for(segmentation_node, CHART, "vtkMRMLPlotChartNode", f"{name} quality chart")
    keys = {_THRESHOLD, _LOW} | {f"{key} {column}" for key in reports for column in ("Dice", "Low", "High")}
    remove_nodes(segmentation_node, SERIES, keep=keys)
    remove_nodes(segmentation_node, SERIES_TABLE, keep={_THRESHOLD, _LOW, *reports})
    last = max((report.case.slices for report in reports.values()), default=1) - 1
    rows = [(0.0, threshold), (float(last), threshold)]
    table = _series_table(segmentation_node, _THRESHOLD, ("Slice", "Dice"), rows)
    line = _series(segmentation_node, _THRESHOLD, f"Threshold {threshold:.2f}", table, "Dice")
    line.SetLineStyle(line.LineStyleDash)
    line.SetMarkerStyle(line.MarkerStyleNone)
    line.SetColor(0.5, 0.5, 0.5)
    low = _series(segmentation_node, _LOW, "Low", _low_table(segmentation_node, reports, threshold), "Dice")
    low.SetLineStyle(low.LineStyleNone)
    low.SetMarkerStyle(low.MarkerStyleCross)
    low.SetMarkerSize(12)
    low.SetColor(*colour_of(0.1))
    shown = [line, low]
    for key, report in reports.items():
        columns = ("Dice", "Low", "High") if report.is_calibrated else ("Dice",)
        numbers = [(float(s.index), s.dice, s.low, s.high) for s in report.slices if s.dice is not None]
        scored = [row[: len(columns) + 1] for row in numbers]
        table = _series_table(segmentation_node, key, ("Slice", *columns), scored)
        segment = segmentation_node.GetSegmentation().GetSegment(key)
        colour = segment.GetColor() if segment is not None else (0.3, 0.3, 0.8)
        for column in columns:
            label = report.case.segment if column == "Dice" else f"{report.case.segment} ({column.lower()})"
            series = _series(segmentation_node, f"{key} {column}", label, table, column)
            series.SetColor(*colour)
            series.SetLineStyle(series.LineStyleSolid if column == "Dice" else series.LineStyleDot)
            series.SetMarkerStyle(series.MarkerStyleCircle if column == "Dice" else series.MarkerStyleNone)
            shown.append(series)
    _show_series(chart, [series.GetID() for series in shown])
    chart.SetTitle(f"Predicted Dice of {name}")
    chart.SetXAxisTitle("Slice")
    chart.SetYAxisTitle("Predicted Dice")
    chart.SetYAxisRangeAuto(False)
    chart.SetYAxisRange(0.0, 1.0)
    chart.SetXAxisRangeAuto(False)
    chart.SetXAxisRange(-0.5, last + 0.5)
    return chart


def _show_series(chart: Any, identifiers: list[str]) -> None:
    """Put these series into the chart, unless it has them: Slicer does not free the memory of replaced ones."""
    if [chart.GetNthPlotSeriesNodeID(n) for n in range(chart.GetNumberOfPlotSeriesNodes())] == identifiers:
        return
    chart.RemoveAllPlotSeriesNodeIDs()
    for identifier in identifiers:
        chart.AddAndObservePlotSeriesNodeID(identifier)


def drawn_threshold(segmentation_node: Any) -> float | None:
    """The threshold that the chart was drawn with; ``None`` without a chart."""
    node = existing_node(segmentation_node, SERIES_TABLE, _THRESHOLD)
    if node is None or node.GetTable().GetNumberOfRows() == 0:
        return None
    return float(node.GetTable().GetValueByName(0, "Dice").ToDouble())


def slice_of_point(series_node: Any, row: int) -> tuple[str, int] | None:
    """Segment identifier and slice index of a point of a chart's series; ``None`` for the threshold's line.

    The marks of low slices have an empty identifier, since they may be of any segment.
    """
    table_node = series_node.GetTableNode()
    key = table_node.GetAttribute(KEY) if table_node is not None else None
    if key is None or key == _THRESHOLD or not 0 <= row < table_node.GetTable().GetNumberOfRows():
        return None
    index = round(table_node.GetTable().GetValueByName(row, "Slice").ToDouble())
    return ("" if key == _LOW else key, index)


def _low_table(segmentation_node: Any, reports: Mapping[str, QualityReport], threshold: float) -> Any:
    """Marks along the axis, at the slices that are low in any segment."""
    slices = sorted({score.index for report in reports.values() for score in report.slices if score.is_low(threshold)})
    return _series_table(segmentation_node, _LOW, ("Slice", "Dice"), [(float(index), 0.0) for index in slices])


def _series(owner: Any, key: str, name: str, table: Any, column: str) -> Any:
    series = node_for(owner, SERIES, "vtkMRMLPlotSeriesNode", name, key)
    series.SetName(name)
    series.SetAndObserveTableNodeID(table.GetID())
    series.SetPlotType(series.PlotTypeScatter)
    series.SetXColumnName("Slice")
    series.SetYColumnName(column)
    return series


def _series_table(owner: Any, key: str, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> Any:
    name = f"{owner.GetName()} quality series {key}"
    node = node_for(owner, SERIES_TABLE, "vtkMRMLTableNode", name, key, hidden=True)
    table = vtk.vtkTable()
    for n, heading in enumerate(columns):
        column = vtk.vtkDoubleArray()
        column.SetName(heading)
        for row in rows:
            column.InsertNextValue(row[n])
        table.AddColumn(column)
    node.SetAndObserveTable(table)
    return node
