"""Quality in the views: slices coloured by predicted Dice, the surface in 3-D, and the difference image."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer.util
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from ..case.case import Case
from ..report.report import QualityReport, SliceScore
from .colours import colour_node
from .images import ijk_to_ras, voxels
from .node_cases import ijk_to_world
from .result_nodes import DIFFERENCE, OVERLAY, SURFACE, existing_node, node_for, remove_nodes

_OUTSIDE = -1.0  # below every Dice, so that the display threshold hides it


def write_overlay(
    segmentation_node: Any, volume_node: Any, cases: Mapping[str, Case], reports: Mapping[str, QualityReport]
) -> Any:
    """Write the overlay volume: predicted Dice inside the segments, the lowest where they overlap, -1 elsewhere.

    Drawn slices without a score have no colour.

    Returns:
        The vtkMRMLScalarVolumeNode on the volume's grid, referenced from the segmentation node.
    """
    shape = volume_node.GetImageData().GetDimensions()[::-1]
    values = np.full(shape, _OUTSIDE, np.float32)
    for key, report in reports.items():
        for score in report.slices:
            _paint(values, cases[key], score)
    node = _volume(segmentation_node, OVERLAY, "quality overlay", values)
    matrix = vtk.vtkMatrix4x4()
    volume_node.GetIJKToRASMatrix(matrix)
    node.SetIJKToRASMatrix(matrix)
    node.SetAndObserveTransformNodeID(volume_node.GetTransformNodeID())
    display = _display(node, 0.0, 1.0)
    display.SetAndObserveColorNodeID(colour_node(segmentation_node.GetScene()).GetID())
    legend(display)
    return node


def update_overlay(
    segmentation_node: Any,
    cases: Mapping[str, Case],
    reports: Mapping[str, QualityReport],
    changed: Mapping[str, Collection[int]],
) -> None:
    """Paint anew the slices of the overlay volume in which a segment changed."""
    node = existing_node(segmentation_node, OVERLAY)
    if node is None:
        return
    data = node.GetImageData()
    values = vtk_to_numpy(data.GetPointData().GetScalars()).reshape(data.GetDimensions()[::-1])
    touched = {(cases[key].axis, index) for key, indices in changed.items() for index in indices}
    for axis, index in touched:
        values[_plane(axis, index)] = _OUTSIDE
    for key, report in reports.items():
        for axis, index in touched:
            if axis == cases[key].axis:
                _paint(values, cases[key], report.slice(index))
    data.GetPointData().GetScalars().Modified()
    data.Modified()


def _paint(values: np.ndarray, case: Case, score: SliceScore) -> None:
    """Set the predicted Dice of a slice inside its mask, except where another segment has a lower one."""
    if score.dice is None:
        return
    where = _plane(case.axis, score.index)
    plane, drawn = values[where], sitk.GetArrayViewFromImage(case.mask)[where] != 0
    plane[drawn & ((plane < 0) | (plane > score.dice))] = score.dice


def _plane(axis: int, index: int) -> tuple[Any, ...]:
    where: list[Any] = [slice(None)] * 3
    where[2 - axis] = index
    return tuple(where)


def legend(display_node: Any) -> Any:
    """The colour legend of an overlay's display node."""
    node = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(display_node)
    if node is None:
        node = slicer.vtkSlicerColorLogic.AddDefaultColorLegendDisplayNode(display_node)
    if node is not None:  # without the Colors module there is none
        node.SetTitleText("Predicted Dice")
        node.SetLabelFormat("%.2f")
        node.SetNumberOfLabels(6)
    return node


def write_difference(segmentation_node: Any, difference: sitk.Image) -> Any:
    """Write the absolute difference |I - R| between the image and what the networks expect, on the networks' grid."""
    node = _volume(segmentation_node, DIFFERENCE, "difference", sitk.GetArrayFromImage(difference).astype(np.float32))
    node.SetIJKToRASMatrix(ijk_to_ras(difference))
    display = _display(node, 0.1, 1.0)
    display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeRed")  # a colour table of Slicer
    return node


def write_surfaces(
    segmentation_node: Any,
    volume_node: Any,
    cases: Mapping[str, Case],
    reports: Mapping[str, QualityReport],
    only: Collection[str] | None = None,
) -> list[Any]:
    """Write one model node a segment: its surface in world coordinates with the predicted Dice at each point.

    Given ``only``, the surfaces of other segments stay as they are.
    """
    remove_nodes(segmentation_node, SURFACE, keep=set(reports))
    nodes = []
    colours = colour_node(segmentation_node.GetScene())
    for key, report in reports.items():
        if only is not None and key not in only:
            continue
        name = f"{report.case.segment} quality surface"
        node = node_for(segmentation_node, SURFACE, "vtkMRMLModelNode", name, key)
        node.SetAndObservePolyData(_surface(cases[key], report, ijk_to_world(volume_node)))
        if node.GetDisplayNode() is None:
            node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
        display.SetActiveScalar("PredictedDice", vtk.vtkAssignAttribute.POINT_DATA)
        display.SetAndObserveColorNodeID(colours.GetID())
        display.SetScalarRangeFlag(slicer.vtkMRMLDisplayNode.UseManualScalarRange)
        display.SetScalarRange(0.0, 1.0)
        display.SetScalarVisibility(True)
        nodes.append(node)
    return nodes


def _surface(case: Case, report: QualityReport, index_to_world: np.ndarray) -> Any:
    """The mask's surface, each point with the Dice of its nearest slice (-1 where it is unscored)."""
    mask = np.pad(sitk.GetArrayViewFromImage(case.mask), 1)
    data = voxels(mask)
    data.SetOrigin(-1, -1, -1)
    contour = vtk.vtkFlyingEdges3D()
    contour.SetInputData(data)
    contour.SetValue(0, 0.5)
    contour.ComputeNormalsOff()
    contour.ComputeGradientsOff()
    transform = vtk.vtkTransform()
    transform.SetMatrix(slicer.util.vtkMatrixFromArray(index_to_world))
    to_world = vtk.vtkTransformPolyDataFilter()
    to_world.SetTransform(transform)
    to_world.SetInputConnection(contour.GetOutputPort())
    normals = vtk.vtkPolyDataNormals()
    normals.SetInputConnection(to_world.GetOutputPort())
    normals.SplittingOff()
    normals.Update()
    surface = vtk.vtkPolyData()
    surface.DeepCopy(normals.GetOutput())
    if surface.GetNumberOfPoints() == 0:
        return surface
    points = vtk_to_numpy(surface.GetPoints().GetData()).astype(float)
    index = np.c_[points, np.ones(len(points))] @ np.linalg.inv(index_to_world).T
    nearest = np.clip(np.rint(index[:, case.axis]), 0, case.n_slices - 1).astype(int)
    dice = np.array([_OUTSIDE if score.dice is None else score.dice for score in report.slices], np.float32)
    scalars = numpy_to_vtk(_nearest_drawn(dice, case)[nearest], deep=True)
    scalars.SetName("PredictedDice")
    surface.GetPointData().SetScalars(scalars)
    return surface


def _nearest_drawn(dice: np.ndarray, case: Case) -> np.ndarray:
    """Dice of each slice; an empty one has that of its nearest drawn slice, whose surface reaches halfway into it."""
    axes = tuple(2 - a for a in range(3) if a != case.axis)
    drawn = np.flatnonzero(sitk.GetArrayViewFromImage(case.mask).any(axis=axes))
    if not len(drawn):
        return dice
    slices = np.arange(case.n_slices)
    return dice[drawn[np.abs(slices[:, None] - drawn[None]).argmin(axis=1)]]


def _volume(owner: Any, role: str, suffix: str, values: np.ndarray) -> Any:
    node = node_for(owner, role, "vtkMRMLScalarVolumeNode", f"{owner.GetName()} {suffix}")
    node.SetAndObserveImageData(voxels(values))
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
    return node


def _display(node: Any, lower: float, upper: float) -> Any:
    display = node.GetDisplayNode()
    display.AutoWindowLevelOff()
    display.SetWindowLevelMinMax(0.0, 1.0)
    display.AutoThresholdOff()
    display.SetThreshold(lower, upper)
    display.ApplyThresholdOn()
    display.InterpolateOff()
    return display
