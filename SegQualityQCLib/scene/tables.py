"""Reports in a table node that is saved with the scene, and reports from such a table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import vtk

from ..errors import ReportError
from ..report import QualityReport
from .cases import ijk_to_world
from .references import TABLE, existing_node, node_for

COLUMNS = ("Segment", "Slice", "Position [mm]", "Status", "Predicted Dice", "Low", "High", "Flags")

_REPORTS = "SegQualityQC.Reports"
_VOLUME = "SegQualityQC.Volume"


def slice_positions(volume_node: Any, axis: str) -> np.ndarray:
    """World RAS of the middle of each slice in mm, shape (slices, 3)."""
    direction = "ijk".index(axis)
    size = volume_node.GetImageData().GetDimensions()
    index = np.tile([(n - 1) / 2 for n in size] + [1.0], (size[direction], 1))
    index[:, direction] = np.arange(size[direction])
    return (index @ ijk_to_world(volume_node).T)[:, :3]


def position_along_normal(volume_node: Any, axis: str) -> np.ndarray:
    """Position of each slice in mm along the slice normal, in world coordinates, shape (slices,)."""
    directions = ijk_to_world(volume_node)[:3, :3]
    direction = "ijk".index(axis)
    in_plane = [a for a in range(3) if a != direction]
    normal = np.cross(directions[:, in_plane[0]], directions[:, in_plane[1]])
    normal /= np.linalg.norm(normal)
    if normal[np.argmax(np.abs(normal))] < 0:  # towards right, anterior or superior, as Slicer's sliders count
        normal = -normal
    return slice_positions(volume_node, axis) @ normal


def write_table(segmentation_node: Any, volume_node: Any, reports: Mapping[str, QualityReport]) -> Any:
    """Write the reports of a segmentation (by segment identifier) into its table node; the same node each time.

    Returns:
        The vtkMRMLTableNode, referenced from the segmentation node.
    """
    node = node_for(segmentation_node, TABLE, "vtkMRMLTableNode", f"{segmentation_node.GetName()} quality")
    table = vtk.vtkTable()
    for name in COLUMNS:
        column = vtk.vtkStringArray()
        column.SetName(name)
        table.AddColumn(column)
    for report in reports.values():
        positions = position_along_normal(volume_node, report.case.axis)
        for score in report.slices:
            numbers = ["" if value is None else f"{value:.3f}" for value in (score.dice, score.low, score.high)]
            cells = [
                report.case.segment,
                str(score.index),
                f"{positions[score.index]:.2f}",
                score.status.value,
                *numbers,
                " ".join(score.flags),
            ]
            for column, cell in enumerate(cells):
                table.GetColumn(column).InsertNextValue(cell)
    node.SetAndObserveTable(table)
    node.SetLocked(True)
    model = next(iter(reports.values()), None)
    if model is not None:
        node.SetAttribute("SegQualityQC.Model", ", ".join(sorted({r.model.name for r in reports.values()})))
        node.SetAttribute("SegQualityQC.ModelVersion", ", ".join(sorted({r.model.version for r in reports.values()})))
        node.SetAttribute("SegQualityQC.ModelSHA256", ", ".join(sorted({r.model.sha256 for r in reports.values()})))
        node.SetAttribute("SegQualityQC.Created", max(r.provenance.created for r in reports.values()))
    node.SetAttribute(_REPORTS, json.dumps({key: report.to_dict() for key, report in reports.items()}))
    node.SetNodeReferenceID(_VOLUME, volume_node.GetID())
    return node


def read_reports(segmentation_node: Any) -> dict[str, QualityReport]:
    """The reports that a segmentation's table node keeps, by segment identifier; empty where there is none.

    Raises:
        ReportError: The table was changed by hand and is no longer readable.
    """
    node = existing_node(segmentation_node, TABLE)
    if node is None or not node.GetAttribute(_REPORTS):
        return {}
    text = node.GetAttribute(_REPORTS)
    try:
        content = json.loads(text)
    except ValueError as error:
        raise ReportError(f"The results in the table {node.GetName()} are damaged: assess again.") from error
    if not isinstance(content, dict):
        raise ReportError(f"The results in the table {node.GetName()} are damaged: assess again.")
    return {str(key): QualityReport.from_dict(entry) for key, entry in content.items()}


def assessed_volume(segmentation_node: Any) -> Any | None:
    """The volume node that the reports of a segmentation were made with."""
    node = existing_node(segmentation_node, TABLE)
    return node.GetNodeReference(_VOLUME) if node is not None else None
