"""The square field of view of a case that the networks see: where it lies, and what it holds.

One field of view serves all slices of a volume, so that they stay aligned. It is defined in physical space with axes in
a canonical anatomical order, so that the way an image is stored (axes flipped or permuted) changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from .case import Case
from .extents import in_plane_axes

# Weights of left, posterior and superior (ITK's LPS world) that put in-plane axes in one order whatever the storage.
# Three unlike numbers: no two axes of a common orientation tie.
_ANATOMICAL_PREFERENCE = np.array([1.0, 0.61, 0.37])


@dataclass(frozen=True)
class FieldOfView:
    """A square region of each slice.

    Attributes:
        centre_mm: A point (LPS, mm) on the line through the centres of the field of view's slices.
        size: Pixels along each side.
        spacing_mm: Pixel size in mm.
    """

    centre_mm: tuple[float, float, float]
    size: int
    spacing_mm: float


def field_of_view_around_mask(case: Case, *, size: int, spacing_mm: float) -> FieldOfView:
    """The field of view centred on the centroid of all drawn pixels."""
    x, y, z = case.image.TransformContinuousIndexToPhysicalPoint(case.extents.centroid)
    return FieldOfView((float(x), float(y), float(z)), size, spacing_mm)


def reaches_outside(case: Case, field: FieldOfView) -> NDArray[np.bool_]:
    """Which slices have mask pixels whose centre lies outside the field of view, shape (slices,)."""
    centre = case.image.TransformPhysicalPointToContinuousIndex(field.centre_mm)
    extents = case.extents
    outside = np.zeros(len(extents.counts), bool)
    for position, axis in enumerate(in_plane_axes(case.axis)):
        half = field.size / 2 * field.spacing_mm / case.spacing_mm[axis]
        first, last = extents.spans[:, position, 0], extents.spans[:, position, 1]
        outside |= (first >= 0) & ((first < centre[axis] - half) | (last > centre[axis] + half))
    return outside


def field_of_view_grid(case: Case, field: FieldOfView, first_slice: int = 0, n_slices: int | None = None) -> sitk.Image:
    """An empty image whose grid is the field of view's: axes x, y in canonical order, then the slices as stored.

    The result has size (field.size, field.size, n_slices) and holds zeros (uint8).
    """
    axes, signs = canonical_axes(case)
    direction = np.array(case.image.GetDirection()).reshape(3, 3)
    spacing = case.spacing_mm
    centre = case.image.TransformPhysicalPointToContinuousIndex(field.centre_mm)
    corner = [0.0, 0.0, 0.0]
    corner[case.axis] = float(first_slice)
    for axis, sign in zip(axes, signs, strict=True):
        corner[axis] = centre[axis] - sign * (field.size - 1) / 2 * field.spacing_mm / spacing[axis]
    columns = [signs[0] * direction[:, axes[0]], signs[1] * direction[:, axes[1]], direction[:, case.axis]]
    n = case.n_slices - first_slice if n_slices is None else n_slices
    grid = sitk.Image([field.size, field.size, n], sitk.sitkUInt8)
    grid.SetSpacing([field.spacing_mm, field.spacing_mm, spacing[case.axis]])
    grid.SetDirection(np.stack(columns, axis=1).ravel().tolist())
    grid.SetOrigin(case.image.TransformContinuousIndexToPhysicalPoint(corner))
    return grid


def canonical_axes(case: Case) -> tuple[tuple[int, int], tuple[int, int]]:
    """The in-plane axes as (x, y) and their signs, so that x points left (else posterior, else superior).

    They depend on the directions in space alone, not on how the image is stored.
    """
    direction = np.array(case.image.GetDirection()).reshape(3, 3)
    first, second = in_plane_axes(case.axis)
    scores = {axis: float(_ANATOMICAL_PREFERENCE @ direction[:, axis]) for axis in (first, second)}
    x, y = sorted((first, second), key=lambda axis: -abs(scores[axis]))
    return (x, y), (1 if scores[x] >= 0 else -1, 1 if scores[y] >= 0 else -1)


def resample_slices(
    case: Case, source: sitk.Image, field: FieldOfView, indices: NDArray[np.int64], interpolator: int
) -> NDArray:
    """Resample slices of an image on the case's grid to the field of view.

    Args:
        case: The case, for its grid and slice axis.
        source: Image, mask or labelmap on the case's grid.
        field: Where to look.
        indices: Slice indices, ascending.
        interpolator: ``sitk.sitkLinear`` gives float32 with NaN outside the image, ``sitk.sitkNearestNeighbor`` uint8
            with 0 outside.

    Returns:
        Shape (len(indices), field.size, field.size).
    """
    if len(indices) == 0:
        dtype = np.uint8 if interpolator == sitk.sitkNearestNeighbor else np.float32
        return np.zeros((0, field.size, field.size), dtype)
    grid = field_of_view_grid(case, field, int(indices[0]), int(indices[-1] - indices[0] + 1))
    if interpolator == sitk.sitkNearestNeighbor:
        resampled = sitk.Resample(source, grid, sitk.Transform(), interpolator, 0, sitk.sitkUInt8)
    else:
        resampled = sitk.Resample(source, grid, sitk.Transform(), interpolator, np.nan, sitk.sitkFloat32)
    array = sitk.GetArrayFromImage(resampled)
    return array if len(array) == len(indices) else array[indices - indices[0]]
