"""Where a mask is drawn, slice by slice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray


@dataclass(frozen=True)
class SliceExtents:
    """Where the mask is drawn, slice by slice, in the image's own pixels.

    Attributes:
        counts: Drawn pixels of each slice, shape (slices,).
        spans: First and last drawn index along the two in-plane axes, shape (slices, 2, 2); -1 where nothing is drawn.
        centroid: Continuous index (i, j, k) of the centre of all drawn pixels.
    """

    counts: NDArray[np.int64]
    spans: NDArray[np.int64]
    centroid: tuple[float, float, float]


def slice_extents(mask: sitk.Image, slice_axis: int) -> SliceExtents:
    """Measure where a mask of 0 and 1 (``uint8``) is drawn, slice by slice along an axis (0, 1 or 2)."""
    n_slices = mask.GetSize()[slice_axis]
    counts = np.zeros(n_slices, np.int64)
    spans = np.full((n_slices, 2, 2), -1, np.int64)
    centroid = [0.0, 0.0, 0.0]
    box, first = _box_around_drawn(mask)
    slices = slice(first[slice_axis], first[slice_axis] + box.shape[slice_axis])
    in_plane = in_plane_axes(slice_axis)
    for position, (axis, other) in enumerate((in_plane, in_plane[::-1])):
        per_line = box.sum(axis=other, dtype=np.int32)
        if axis < slice_axis:
            per_line = per_line.T  # slices first
        drawn = per_line > 0
        spans[slices, position, 0] = first[axis] + drawn.argmax(axis=1)
        spans[slices, position, 1] = first[axis] + drawn.shape[1] - 1 - drawn[:, ::-1].argmax(axis=1)
        counts[slices] = per_line.sum(axis=1)
        centroid[axis] = _centre(per_line.sum(axis=0, dtype=np.int64), first[axis])
    spans[counts == 0] = -1
    centroid[slice_axis] = _centre(counts, 0)
    return SliceExtents(counts, spans, (centroid[0], centroid[1], centroid[2]))


def in_plane_axes(slice_axis: int) -> tuple[int, int]:
    """The two axes of a slice, ascending."""
    first, second = (axis for axis in range(3) if axis != slice_axis)
    return first, second


def _box_around_drawn(mask: sitk.Image) -> tuple[NDArray[np.bool_], tuple[int, int, int]]:
    """A view, with axes i, j, k, of the part of a mask that holds all drawn pixels, and the index of its first pixel.

    Most of a large volume is empty: what is counted only here takes a tenth of the time.
    """
    view = sitk.GetArrayViewFromImage(mask).view(np.bool_).T
    drawn: NDArray[np.bool_] = np.any(view, axis=2)
    if not drawn.any():
        return view, (0, 0, 0)
    i, j = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    return view[i[0] : i[-1] + 1, j[0] : j[-1] + 1], (int(i[0]), int(j[0]), 0)


def _centre(counts: NDArray[np.integer], first: int) -> float:
    """The mean position of counted pixels; 0 where there are none."""
    return float(counts @ np.arange(first, first + len(counts)) / max(int(counts.sum()), 1))
