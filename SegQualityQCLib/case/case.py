"""A case: an image and one candidate mask on one grid, checked when it is built."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from .checks import check_positions, checked_image, checked_labelmap, name_of_label, only_label
from .extents import SliceExtents, slice_extents
from .grids import (
    CROPPED,
    DOUBTFUL_SPACING,
    MOVED,
    drawn_outside,
    has_doubtful_spacing,
    offset_mm,
    onto_grid,
    resampled_onto,
    same_grid,
    slice_axis,
)


class CaseInput(str, Enum):
    """What a case may hold, and an estimator may require."""

    IMAGE = "image"
    MASK = "mask"
    PROBABILITIES = "probabilities"
    SAMPLES = "samples"


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
        probabilities: How likely each voxel belongs to the structure, in [0, 1], on the image's grid, where the user
            has it.
        samples: Other masks of the same structure on the image's grid, ``uint8`` of 0 and 1, where the user has some.
        offset_mm: How far the segmentation was moved or resampled against the image; 0 up to half a voxel.
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
    probabilities: sitk.Image | None = None
    samples: tuple[sitk.Image, ...] = ()
    offset_mm: float = 0.0

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
        offset = offset_mm(mask, image)
        mask, flags = onto_grid(mask, image, segment, segmentation_name, image_name)
        flags += (MOVED,) if offset else ()
        flags += (DOUBTFUL_SPACING,) if has_doubtful_spacing(image) else ()
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
            offset_mm=offset,
        )

    def with_mask(self, segmentation: sitk.Image) -> Case:
        """The case with an edited mask, on any grid; unlike a new case it may be empty.

        Args:
            segmentation: 3-D labelmap; every pixel above 0 is drawn.
        """
        mask = sitk.NotEqual(segmentation, 0)
        flags = tuple(flag for flag in self.flags if flag not in (CROPPED, MOVED))
        offset = offset_mm(mask, self.image) if np.any(sitk.GetArrayViewFromImage(mask)) else 0.0
        if same_grid(mask, self.image):
            mask.CopyInformation(self.image)
        else:
            flags += (CROPPED,) if drawn_outside(mask, self.image) else ()
            mask = resampled_onto(self.image, mask)
        flags += (MOVED,) if offset else ()
        return replace(self, mask=mask, flags=flags, offset_mm=offset)

    @property
    def inputs(self) -> frozenset[CaseInput]:
        """What the case holds; estimators say what they require of it."""
        held = {CaseInput.IMAGE, CaseInput.MASK}
        held |= {CaseInput.PROBABILITIES} if self.probabilities is not None else set()
        held |= {CaseInput.SAMPLES} if self.samples else set()
        return frozenset(held)

    @cached_property
    def extents(self) -> SliceExtents:
        """Where the mask is drawn, slice by slice."""
        return slice_extents(self.mask, self.axis)

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
