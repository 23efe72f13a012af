"""Taking the slice views to a slice of a volume, in the volume's own planes, centred on the segment."""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK as sitk

from ..case.case import Case
from .node_cases import ijk_to_world
from .stored_results import as_sliders_count, slice_positions

# Room around the segment in a view, so that its surroundings are seen too.
_MARGIN = 1.8
_SMALLEST_VIEW_MM = 40.0


def go_to_slice(slice_node: Any, volume_node: Any, axis: str, index: int, centre: Any | None = None) -> None:
    """Turn a slice view to the volume's slices along an axis and land on one of them.

    Args:
        slice_node: vtkMRMLSliceNode to move.
        volume_node: The volume.
        axis: Slice axis, ``"i"``, ``"j"`` or ``"k"``.
        index: Slice index.
        centre: World RAS of a point of the slice to centre on; ``None`` takes the slice's middle.
    """
    target = slice_positions(volume_node, axis)[index] if centre is None else np.asarray(centre, float)
    directions = ijk_to_world(volume_node)[:3, :3]
    directions = directions / np.linalg.norm(directions, axis=0)
    along, up = (a for a in range(3) if a != "ijk".index(axis))
    # Radiological habit: the patient's left to the right (axial, coronal), superior or anterior upwards.
    horizontal, vertical = directions[:, along], directions[:, up]
    if np.abs(vertical).argmax() == 0 or np.abs(horizontal).argmax() == 2:  # left-right stays horizontal, up stays up
        horizontal, vertical = vertical, horizontal
    horizontal = -horizontal if horizontal[np.abs(horizontal).argmax()] > 0 else horizontal
    vertical = -vertical if vertical[np.abs(vertical).argmax()] < 0 else vertical
    normal = as_sliders_count(np.cross(horizontal, vertical))
    to_ras = slice_node.GetSliceToRAS()  # SetSliceToRASByNTP would turn Slicer's axial view, which is left-handed, over
    for column, direction in enumerate((horizontal, vertical, normal / np.linalg.norm(normal), target)):
        for row in range(3):
            to_ras.SetElement(row, column, direction[row])
    slice_node.UpdateMatrices()
    slice_node.JumpSliceByCentering(*target)


def go_to_segment(slice_nodes: list[Any], volume_node: Any, case: Case, index: int) -> None:
    """Take slice views to a slice of a segment: the first one into its plane, the next two into the planes across it.

    Args:
        slice_nodes: vtkMRMLSliceNode in this order: the view of the slice, then the others.
        volume_node: The volume of the case.
        case: The segment as it is drawn now.
        index: Slice index along the case's axis.
    """
    drawn = sitk.GetArrayViewFromImage(case.mask).T  # i, j, k
    focus, size = _focus(drawn, case.axis, index)
    to_world = ijk_to_world(volume_node)
    size_mm = size * np.linalg.norm(to_world[:3, :3], axis=0)
    across = [a for a in range(3) if a != case.axis]
    across.sort(key=lambda a: -abs(to_world[0, a]) / np.linalg.norm(to_world[:3, a]))  # as Yellow: sagittal first
    for slice_node, axis in zip(slice_nodes, [case.axis, *across], strict=False):
        on_slice = np.where(np.arange(3) == axis, np.rint(focus), focus)
        centre = (to_world @ [*on_slice, 1.0])[:3]
        go_to_slice(slice_node, volume_node, "ijk"[axis], int(on_slice[axis]), centre)
        zoom_to(slice_node, float(max(size_mm[a] for a in range(3) if a != axis)))
    for slice_node in slice_nodes[3:]:
        slice_node.JumpSliceByCentering(*(to_world @ [*focus, 1.0])[:3])


def zoom_to(slice_node: Any, size_mm: float) -> None:
    """Zoom a slice view such that a square of this size fills most of it."""
    width, height, depth = slice_node.GetFieldOfView()
    wanted = max(size_mm * _MARGIN, _SMALLEST_VIEW_MM)
    scale = wanted / min(width, height)
    slice_node.SetFieldOfView(width * scale, height * scale, depth)


def shown_slice(slice_node: Any, volume_node: Any, axis: str) -> int | None:
    """The slice of the volume that a view shows; ``None`` if it shows another plane, or lies outside."""
    view = slice_node.GetSliceToRAS()
    normal = np.array([view.GetElement(row, 2) for row in range(3)])
    origin = np.array([view.GetElement(row, 3) for row in range(3)] + [1.0])
    to_world = ijk_to_world(volume_node)
    direction = "ijk".index(axis)
    in_plane = [to_world[:3, a] / np.linalg.norm(to_world[:3, a]) for a in range(3) if a != direction]
    if max(abs(float(normal @ edge)) for edge in in_plane) > 1e-3:
        return None
    index = round(float((np.linalg.inv(to_world) @ origin)[direction]))
    return index if 0 <= index < volume_node.GetImageData().GetDimensions()[direction] else None


def _focus(drawn: np.ndarray, axis: int, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Continuous ijk to look at in a slice, and the size of the segment's box in pixels."""
    box = _box(drawn)
    if box is None:
        middle = (np.array(drawn.shape) - 1) / 2
        middle[axis] = index
        return middle, np.array(drawn.shape, float)
    on_slice = tuple(slice(index, index + 1) if a == axis else box[a] for a in range(3))
    looked_at = on_slice if drawn[on_slice].any() else box
    focus = np.array([_mean_position(drawn[looked_at], a) + looked_at[a].start for a in range(3)])
    focus[axis] = index
    return focus, np.array([side.stop - side.start for side in box], float)


def _box(drawn: np.ndarray) -> tuple[slice, ...] | None:
    """The box around what is drawn; a CT grid is too large to list its voxels at each jump."""
    box = [slice(None)] * 3
    for a in (2, 1, 0):  # the slowest in memory first: the next ones look into what it leaves
        hit = np.flatnonzero(drawn[tuple(box)].any(axis=tuple(b for b in range(3) if b != a)))
        if not len(hit):
            return None
        box[a] = slice(int(hit[0]), int(hit[-1]) + 1)
    return tuple(box)


def _mean_position(drawn: np.ndarray, axis: int) -> float:
    counts = np.count_nonzero(drawn, axis=tuple(b for b in range(3) if b != axis))
    return float(np.average(np.arange(len(counts)), weights=counts))
