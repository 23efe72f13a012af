"""Grids in physical space: the slice axis, and a mask brought onto the grid of an image."""

from __future__ import annotations

from itertools import product

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ..errors import InputError, OutsideImageError

AXIS_NAMES = ("i", "j", "k")

CROPPED = "cropped_to_image"  # the flag of a case whose segmentation reaches outside the image

MOVED = "moved_against_image"  # that of one whose voxels lie more than half a voxel off those of the image

DOUBTFUL_SPACING = "doubtful_spacing"  # that of one whose image may have lost its spacing

_SMALLEST_MM = 0.05  # of pixels of a clinical image; in metres they are a thousandth

_GRID_TOLERANCE = 1e-3  # voxels; headers written by different programs differ by rounding

_OTHER_SPACING = 0.02  # relative; the rounding of headers is smaller


def slice_axis(image: sitk.Image, axis: int | str | None = None) -> int:
    """The slice axis: the one asked for, or that across a single slice, or that of the largest spacing (the last one
    among equals).
    """
    if axis is None:
        thin = [a for a in range(3) if image.GetSize()[a] == 1]
        if len(thin) == 1:
            return thin[0]
        spacing = image.GetSpacing()
        largest = max(spacing)
        # A header's rounding must not choose between equal axes.
        return max(a for a in range(3) if spacing[a] >= largest * (1 - 1e-4))
    if axis in AXIS_NAMES:
        return AXIS_NAMES.index(str(axis))
    if axis in (0, 1, 2):
        return int(axis)
    raise InputError(f"The slice axis {axis!r} is not known: use i, j or k.")


def same_grid(a: sitk.Image, b: sitk.Image) -> bool:
    """Whether two images have the same voxels in space, to a thousandth of a voxel."""
    first = _offset_on_lattice(a, b)
    return a.GetSize() == b.GetSize() and first is not None and not first.any()


def onto_grid(
    mask: sitk.Image, image: sitk.Image, segment: str, segmentation_name: str, image_name: str
) -> tuple[sitk.Image, tuple[str, ...]]:
    """The mask on the image's grid (nearest neighbour), and flags."""
    if same_grid(mask, image):
        mask.CopyInformation(image)
        return mask, ()
    if mask.GetSize() == image.GetSize() and not np.allclose(
        sorted(mask.GetSpacing()), sorted(image.GetSpacing()), rtol=_OTHER_SPACING
    ):
        raise InputError(
            f"The segmentation {segmentation_name} has as many voxels as the image {image_name}, but voxels of another "
            "size: one of them lost its header; save it again with the geometry of the image."
        )
    resampled = resampled_onto(image, mask)
    if not np.any(sitk.GetArrayViewFromImage(resampled)):
        raise OutsideImageError(
            f"The segment {segment} of {segmentation_name} does not overlap the image {image_name} in space: "
            "check that they belong together."
        )
    return resampled, ((CROPPED,) if drawn_outside(mask, image) else ())


def has_doubtful_spacing(image: sitk.Image) -> bool:
    """Whether the spacing is that of a file without one (1 x 1 x 1 at the origin), or not in mm."""
    spacing, identity = image.GetSpacing(), (1, 0, 0, 0, 1, 0, 0, 0, 1)
    is_default = spacing == (1, 1, 1) and image.GetOrigin() == (0, 0, 0) and image.GetDirection() == identity
    return is_default or sorted(spacing)[1] < _SMALLEST_MM


def offset_mm(mask: sitk.Image, image: sitk.Image) -> float:
    """How far the segmentation was moved or resampled against the image, in mm; 0 up to half a voxel of the image.

    A grid of the image's size and axes that lies elsewhere was moved. On other grids, a voxel of the image takes its
    value from the nearest one of the mask: where these are larger than those of the image, it may lie further away.
    A part cut out of the image's own grid, as 3D Slicer saves it, is neither.
    """
    to_index = np.linalg.inv(_axes(image))
    steps = to_index @ _axes(mask)  # of the mask, in voxels of the image
    if mask.GetSize() == image.GetSize() and np.abs(steps - np.eye(3)).max() * max(mask.GetSize()) < 0.5:
        move = np.array(mask.GetOrigin()) - np.array(image.GetOrigin())
        moved = np.abs(to_index @ move)
        return float(np.linalg.norm(move)) if moved.max() > 0.5 + _GRID_TOLERANCE else 0.0
    reach = 0.5 * np.abs(steps).max(axis=1)
    if reach.max() <= 0.5 * (1 + _OTHER_SPACING):
        return 0.0
    return float((reach * np.array(image.GetSpacing())).max())


def _axes(image: sitk.Image) -> NDArray[np.float64]:
    """One step along each index, in mm, as columns."""
    return np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())


def resampled_onto(image: sitk.Image, mask: sitk.Image) -> sitk.Image:
    """A mask of 0 and 1 on the image's grid, by nearest neighbour.

    Slicer crops a segment to what is drawn. Where such a part lies on the image's own voxels it is copied to its place,
    which is several times as fast as resampling.
    """
    first = _offset_on_lattice(mask, image)
    if first is None:
        return sitk.Resample(mask, image, sitk.Transform(), sitk.sitkNearestNeighbor, 0, sitk.sitkUInt8)
    placed = np.zeros(image.GetSize()[::-1], np.uint8)
    begins, ends = np.maximum(first, 0), np.minimum(first + mask.GetSize(), image.GetSize())
    if (begins < ends).all():
        there = tuple(slice(b, e) for b, e in zip(begins[::-1], ends[::-1], strict=True))
        here = tuple(slice(b, e) for b, e in zip((begins - first)[::-1], (ends - first)[::-1], strict=True))
        placed[there] = sitk.GetArrayViewFromImage(mask)[here]
    result = sitk.GetImageFromArray(placed)
    result.CopyInformation(image)
    return result


def _offset_on_lattice(mask: sitk.Image, image: sitk.Image) -> NDArray[np.int64] | None:
    """The index in the image of the mask's first voxel; ``None`` where the mask's voxels are not on its lattice."""
    far = [n - 1 for n in mask.GetSize()]
    corners = [(0, 0, 0), (far[0], 0, 0), (0, far[1], 0), (0, 0, far[2])]
    found = np.array(
        [image.TransformPhysicalPointToContinuousIndex(mask.TransformIndexToPhysicalPoint(c)) for c in corners]
    )
    first = np.rint(found[0]).astype(int)
    return first if np.abs(found - first - corners).max() < _GRID_TOLERANCE else None


def drawn_outside(mask: sitk.Image, image: sitk.Image) -> bool:
    """Whether the bounding box of the drawn voxels reaches outside the image by more than half a voxel."""
    if not _is_outside(mask, image, [(0, n - 1) for n in mask.GetSize()]):
        return False  # then what is drawn does not either; to search a large mask takes long
    drawn = sitk.GetArrayViewFromImage(mask).astype(bool)
    spans = []
    for axis in range(3):  # numpy order is k, j, i
        hit = np.flatnonzero(drawn.any(axis=tuple(a for a in range(3) if a != 2 - axis)))
        if len(hit) == 0:
            return False
        spans.append((int(hit[0]), int(hit[-1])))
    return _is_outside(mask, image, spans)


def _is_outside(mask: sitk.Image, image: sitk.Image, spans: list[tuple[int, int]]) -> bool:
    """Whether a corner of a box in the mask, given by its first and last indices, lies outside the image."""
    size = np.array(image.GetSize())
    for corner in product(*spans):
        point = mask.TransformIndexToPhysicalPoint(corner)
        index = np.array(image.TransformPhysicalPointToContinuousIndex(point))
        if (index < -0.5 - _GRID_TOLERANCE).any() or (index > size - 0.5 + _GRID_TOLERANCE).any():
            return True
    return False
