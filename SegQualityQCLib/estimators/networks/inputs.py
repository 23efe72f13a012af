"""What the networks see of a case: image and mask in the field of view, with normalised intensities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ...case.case import Case
from ...case.field_of_view import FieldOfView, resample_slices
from ...errors import InputError
from .settings import INTENSITY_PERCENTILES


@dataclass(frozen=True)
class NetworkInputs:
    """What the networks see of a case.

    Attributes:
        image: Shape (n, size, size), float32 in [-1, 1]; -1 outside the image.
        mask: Shape (n, size, size), uint8 of 0 and 1.
        indices: Slice indices in the image's own grid, shape (n,).
        intensity_range: Image values that were mapped to -1 and 1.
        field: The field of view.
    """

    image: NDArray[np.float32]
    mask: NDArray[np.uint8]
    indices: NDArray[np.int64]
    intensity_range: tuple[float, float]
    field: FieldOfView


class PreparedImage:
    """The image of a case in its field of view; slices are resampled when they are asked for, and kept.

    Attributes:
        field: The field of view.
        intensity_range: Image values that are mapped to -1 and 1.
    """

    def __init__(self, case: Case, field: FieldOfView, intensity_range: tuple[float, float] | None = None) -> None:
        self.field = field
        self._case = case
        self._slices: dict[int, NDArray[np.float32]] = {}
        if intensity_range is not None:
            self.intensity_range = intensity_range
            return
        seen = extract(case, field)
        self.intensity_range = seen.intensity_range
        self._slices = dict(enumerate(seen.image))

    def image(self, slices: Sequence[int]) -> NDArray[np.float32]:
        """The image of some slices, ascending, shape (n, size, size) in [-1, 1]."""
        missing = np.array([index for index in slices if index not in self._slices], np.int64)
        if len(missing):
            image = resample_slices(self._case, self._case.image, self.field, missing, sitk.sitkLinear)
            self._slices |= dict(zip(missing.tolist(), normalised(image, self.intensity_range), strict=True))
        return np.stack([self._slices[index] for index in slices])

    def mask(self, case: Case, slices: Sequence[int]) -> NDArray[np.uint8]:
        """What is drawn on some slices of the case as it is now, shape (n, size, size)."""
        return resample_slices(case, case.mask, self.field, np.array(slices, np.int64), sitk.sitkNearestNeighbor)


def extract(
    case: Case,
    field: FieldOfView,
    *,
    slices: NDArray[np.int64] | None = None,
    intensity_range: tuple[float, float] | None = None,
) -> NetworkInputs:
    """Resample image and mask to the field of view.

    Args:
        case: The case.
        field: Where to look.
        slices: Slice indices; ``None`` takes all. They must ascend.
        intensity_range: Image values mapped to -1 and 1; ``None`` takes the 0.5 and 99.5 percentiles of what the
            field of view holds of all slices, so that nothing outside it matters.

    Raises:
        InputError: The image is constant inside the field of view.
    """
    indices = np.arange(case.n_slices) if slices is None else np.asarray(slices, np.int64)
    if intensity_range is None:
        image = resample_slices(case, case.image, field, np.arange(case.n_slices), sitk.sitkLinear)
        intensity_range = percentile_range(image, case.image_name)
        image = image[indices]
    else:
        image = resample_slices(case, case.image, field, indices, sitk.sitkLinear)
    mask = resample_slices(case, case.mask, field, indices, sitk.sitkNearestNeighbor)
    return NetworkInputs(normalised(image, intensity_range), mask, indices, intensity_range, field)


def percentile_range(image: NDArray[np.float32], name: str) -> tuple[float, float]:
    """The 0.5 and 99.5 percentiles of the finite pixels; NaN marks pixels outside the image.

    Raises:
        InputError: They are equal, or there are no pixels.
    """
    inside = image[np.isfinite(image)]
    if inside.size == 0:
        raise InputError(f"The field of view around the mask does not hold a pixel of the image {name}.")
    low, high = np.percentile(inside, INTENSITY_PERCENTILES, overwrite_input=True)
    if not high > low:
        raise InputError(f"The image {name} is constant around the segmentation: there is nothing to compare with.")
    return float(low), float(high)


def normalised(image: NDArray[np.float32], intensity_range: tuple[float, float]) -> NDArray[np.float32]:
    """Map the intensity range to [-1, 1] and clip; NaN (outside the image) becomes -1. Changes ``image`` in place."""
    low, high = intensity_range
    # The offset goes first: large offsets would cost float32 digits after the scaling.
    image -= np.float32(low)
    image *= np.float32(2.0 / (high - low))
    image -= np.float32(1.0)
    np.clip(image, -1.0, 1.0, out=image)
    image[np.isnan(image)] = -1.0
    return image
