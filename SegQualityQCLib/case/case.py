"""A case: an image and one candidate mask on one grid, checked when it is built."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ..errors import InputError, OutsideImageError

AXIS_NAMES = ("i", "j", "k")

CROPPED = "cropped_to_image"  # the flag of a case whose segmentation reaches out of the image
_GRID_TOLERANCE = 1e-3  # voxels; headers written by different programs differ by rounding
_OTHER_SPACING = 0.02  # what headers round, they round less
_OVERSHOOT = 0.25  # of a probability map that was resampled smoothly
_MAX_ASPECT = 1e6
_TINIEST_COSINE = 1e-12  # ITK's inverse of a direction matrix underflows to NaN on far smaller ones


@dataclass(frozen=True)
class Case:
    """An image and a candidate mask on one grid.

    Build it with :meth:`from_images`, which checks the input and brings the mask onto the image's grid.

    Attributes:
        image: Scalar 3-D image, any real pixel type.
        mask: 3-D ``uint8`` image of 0 and 1 on the image's grid; at least one pixel is 1.
        axis: Slice axis in the image's own index space: 0 (i), 1 (j) or 2 (k).
        segment: Name of the segment, as shown in the report.
        image_name: What the report calls the image, usually its file name.
        segmentation_name: What the report calls the segmentation.
        terminology_code: SNOMED-CT code of the structure, where the segmentation says it.
        flags: What the user should know of the input, for example ``cropped_to_image``.
        structure: What the segment is, where something other than its name says so, as nnU-Net's ``dataset.json`` does.
    """

    image: sitk.Image
    mask: sitk.Image
    axis: int
    segment: str = "segment"
    image_name: str = "image"
    segmentation_name: str = "segmentation"
    terminology_code: str | None = None
    flags: tuple[str, ...] = field(default=())
    structure: str | None = None

    @classmethod
    def from_images(
        cls,
        image: sitk.Image,
        segmentation: sitk.Image,
        *,
        label: int | None = None,
        axis: int | str | None = None,
        segment: str | None = None,
        image_name: str = "image",
        segmentation_name: str = "segmentation",
        terminology_code: str | None = None,
        structure: str | None = None,
    ) -> Case:
        """Check an image and a labelmap and make a case of one label.

        Args:
            image: 2-D or 3-D scalar image.
            segmentation: 2-D or 3-D label image; on another grid it is resampled by nearest neighbour.
            label: Label value of the segment; ``None`` when the labelmap holds one label.
            axis: ``"i"``, ``"j"``, ``"k"`` or 0 to 2; ``None`` takes the axis of the largest spacing, in a single slice
                the one across it.
            segment: Name of the segment; ``None`` calls it ``label N``.
            image_name: Name of the image in messages and in the report.
            segmentation_name: Name of the segmentation in messages and in the report.
            terminology_code: SNOMED-CT code of the structure, where it is known.
            structure: What the segment is, where its name does not say so.

        Raises:
            InputError: The input cannot be assessed; the message says why.
        """
        check_positions(image, segmentation, image_name, segmentation_name)
        image = checked_image(image, image_name)
        segmentation = checked_labelmap(segmentation, segmentation_name)
        if label is None:
            label = only_label(segmentation, segmentation_name)
        if segment is None:
            segment = name_of_label(label)
        values = np.iinfo(sitk.GetArrayViewFromImage(segmentation).dtype)
        # ITK would take a label beyond the pixel type for what is left of it there.
        mask = sitk.Equal(segmentation, label) if values.min <= label <= values.max else None
        if mask is None or not np.any(sitk.GetArrayViewFromImage(mask)):
            raise InputError(
                f"Label {label} has no pixel in {segmentation_name}: choose one of the labels that are drawn."
            )
        mask, flags = _onto_grid(mask, image, segment, segmentation_name, image_name)
        return cls(
            image=image,
            mask=mask,
            axis=slice_axis(image, axis),
            segment=segment,
            image_name=image_name,
            segmentation_name=segmentation_name,
            terminology_code=terminology_code,
            flags=flags,
            structure=structure,
        )

    def with_mask(self, segmentation: sitk.Image) -> Case:
        """The case with an edited mask, on any grid; unlike a new case it may be empty.

        Args:
            segmentation: 3-D labelmap; every pixel above 0 is drawn.
        """
        mask = sitk.NotEqual(segmentation, 0)
        flags = tuple(flag for flag in self.flags if flag != CROPPED)
        if same_grid(mask, self.image):
            mask.CopyInformation(self.image)
        else:
            flags += (CROPPED,) if _reaches_outside(mask, self.image) else ()
            mask = _brought_onto(self.image, mask)
        return replace(self, mask=mask, flags=flags)

    @property
    def structure_name(self) -> str:
        """What the segment is as far as words say: models are found by it."""
        return self.structure or self.segment

    @property
    def n_slices(self) -> int:
        """Number of slices along the slice axis."""
        return int(self.image.GetSize()[self.axis])

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Spacing of the image in mm along i, j, k."""
        x, y, z = self.image.GetSpacing()
        return (float(x), float(y), float(z))

    @property
    def pixel_area_mm2(self) -> float:
        """Area of one pixel of a slice in mm²."""
        in_plane = [s for a, s in enumerate(self.spacing_mm) if a != self.axis]
        return in_plane[0] * in_plane[1]


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


def checked_image(image: sitk.Image, name: str) -> sitk.Image:
    """The image in 3-D, or an :class:`InputError` that says why it cannot be assessed."""
    image = checked_geometry(image, name, "image")
    view = sitk.GetArrayViewFromImage(image)
    if view.dtype.kind == "f":
        low, high = math.inf, -math.inf
        for plane in view:  # plane by plane: no copy of a large volume
            least, most = float(plane.min()), float(plane.max())
            if not (math.isfinite(least) and math.isfinite(most)):  # each plane: min() would pass over a later NaN
                raise InputError(f"The image {name} holds NaN or infinite values: repair it or export it again.")
            low, high = min(low, least), max(high, most)
    else:
        low, high = float(view.min()), float(view.max())
    if low == high:
        raise InputError(f"The image {name} is constant (every pixel is {low:g}): there is nothing to compare with.")
    return image


def check_positions(image: sitk.Image, segmentation: sitk.Image, image_name: str, segmentation_name: str) -> None:
    """Check that a 2-D file, which has no position across its slice, does not meet a stack: any slice would do.

    Raises:
        InputError: One is 2-D, the other has several slices.
    """
    files = [("image", image, image_name), ("segmentation", segmentation, segmentation_name)]
    for (role, one, name), (other_role, other, other_name) in (files, files[::-1]):
        if one.GetDimension() == 2 and other.GetDimension() > 2 and other.GetSize()[2] > 1:
            raise InputError(
                f"The {role} {name} is 2-D, without a position across slices, and the {other_role} {other_name} has "
                f"{other.GetSize()[2]} slices: give both for the same slice, or both for the whole stack."
            )


def checked_labelmap(segmentation: sitk.Image, name: str) -> sitk.Image:
    """The labelmap in 3-D with an integer pixel type, or an :class:`InputError`."""
    segmentation = checked_geometry(segmentation, name, "segmentation")
    view = sitk.GetArrayViewFromImage(segmentation)
    if view.dtype.kind == "f":
        for plane in view:
            if not np.isfinite(plane).all():
                raise InputError(f"The segmentation {name} holds NaN or infinite values: export it as a labelmap.")
            if (plane != np.rint(plane)).any():
                low, high = float(view.min()), float(view.max())
                if low >= -_OVERSHOOT and high <= 1 + _OVERSHOOT:
                    raise InputError(
                        f"The segmentation {name} looks like a probability map (values between {low:g} and {high:g}): "
                        "threshold it to a labelmap first."
                    )
                raise InputError(
                    f"The segmentation {name} holds values that are not integers (between {low:g} and {high:g}): it is "
                    "not a labelmap. Were image and segmentation swapped? If it was resampled, do it again by nearest "
                    "neighbour."
                )
        if view.min() < -(2**31) or view.max() >= 2**31:
            raise InputError(f"The segmentation {name} holds values too large for labels: it is not a labelmap.")
        segmentation = sitk.Cast(segmentation, sitk.sitkInt32)
    if not sitk.GetArrayViewFromImage(segmentation).any():
        raise InputError(f"The segmentation {name} is empty: draw something, or choose another file.")
    return segmentation


def labels_of(segmentation: sitk.Image) -> list[int]:
    """The non-zero label values of a checked labelmap, in ascending order."""
    labels: set[int] = set()
    for plane in sitk.GetArrayViewFromImage(segmentation):  # sorting a large volume whole would copy it twice
        labels.update(np.unique(plane[plane != 0]).tolist())
    return sorted(labels)


def name_of_label(label: int) -> str:
    """What a segment is called that has no name: stored scores find their segments by it."""
    return f"label {label}"


def is_name_of_label(name: str) -> bool:
    """Whether a name says no more than a label's value."""
    return re.fullmatch(r"label -?\d+", name) is not None


def only_label(segmentation: sitk.Image, name: str) -> int:
    """The one label of a checked labelmap.

    Raises:
        InputError: There are several.
    """
    labels = labels_of(segmentation)
    if len(labels) == 1:
        return labels[0]
    raise InputError(f"The segmentation {name} holds the labels {_listed(labels)}: choose one.")


def _listed(labels: Sequence[int]) -> str:
    shown = ", ".join(str(value) for value in labels[:8])
    return shown + (f" and {len(labels) - 8} more" if len(labels) > 8 else "")


def checked_geometry(image: sitk.Image, name: str, role: str) -> sitk.Image:
    """An image or labelmap in 3-D, or an :class:`InputError` that says why not; its pixels are not looked at."""
    if image.GetNumberOfComponentsPerPixel() != 1 or "complex" in image.GetPixelIDTypeAsString():
        raise InputError(f"The {role} {name} has several values per pixel (colour or vector): a scalar one is needed.")
    if image.GetDimension() == 4 and image.GetSize()[3] == 1:
        image = image[..., 0]
    if image.GetDimension() == 2:
        image = sitk.JoinSeries(image)
    if image.GetDimension() != 3:
        raise InputError(f"The {role} {name} has {image.GetDimension()} dimensions: a 2-D or 3-D one is needed.")
    if 0 in image.GetSize():
        raise InputError(f"The {role} {name} has no pixels.")
    spacing = image.GetSpacing()
    if not all(math.isfinite(s) and s > 0 for s in spacing) or max(spacing) / min(spacing) > _MAX_ASPECT:
        raise InputError(f"The {role} {name} has an impossible spacing {tuple(spacing)} mm: correct its header.")
    direction = np.array(image.GetDirection()).reshape(3, 3)
    if not np.isfinite(direction).all() or abs(np.linalg.det(direction)) < 1e-3:
        raise InputError(f"The {role} {name} has a degenerate direction matrix: correct its header.")
    tiny = (direction != 0) & (np.abs(direction) < _TINIEST_COSINE)
    if tiny.any():
        image = sitk.Image(image)
        image.SetDirection(np.where(tiny, 0.0, direction).ravel().tolist())
    if not np.isfinite(image.GetOrigin()).all():
        raise InputError(f"The {role} {name} has an origin that is not a number: correct its header.")
    return image


def same_grid(a: sitk.Image, b: sitk.Image) -> bool:
    """Whether two images have the same voxels in space, to a thousandth of a voxel."""
    first = _offset_on_lattice(a, b)
    return a.GetSize() == b.GetSize() and first is not None and not first.any()


def _onto_grid(
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
    resampled = _brought_onto(image, mask)
    if not np.any(sitk.GetArrayViewFromImage(resampled)):
        raise OutsideImageError(
            f"The segment {segment} of {segmentation_name} does not overlap the image {image_name} in space: "
            "check that they belong together."
        )
    return resampled, ((CROPPED,) if _reaches_outside(mask, image) else ())


def _brought_onto(image: sitk.Image, mask: sitk.Image) -> sitk.Image:
    """A mask of 0 and 1 on the image's grid, by nearest neighbour.

    Slicer keeps a segment cropped to what is drawn: where such a part lies on the image's own voxels it is put in its
    place, several times as fast as resampling.
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
    """The index in the image of the mask's first voxel, where each voxel of the mask is one of the image's lattice."""
    far = [n - 1 for n in mask.GetSize()]
    corners = [(0, 0, 0), (far[0], 0, 0), (0, far[1], 0), (0, 0, far[2])]
    found = np.array(
        [image.TransformPhysicalPointToContinuousIndex(mask.TransformIndexToPhysicalPoint(c)) for c in corners]
    )
    first = np.rint(found[0]).astype(int)
    return first if np.abs(found - first - corners).max() < _GRID_TOLERANCE else None


def _reaches_outside(mask: sitk.Image, image: sitk.Image) -> bool:
    """Whether the bounding box of the drawn voxels reaches outside the image by more than half a voxel."""
    if not _is_outside(mask, image, [(0, n - 1) for n in mask.GetSize()]):
        return False  # nor does what is drawn: looking for it takes long in a large mask
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
