"""Checks of images and labelmaps: what cannot be assessed is refused with a sentence."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk

from ..errors import InputError

_OVERSHOOT = 0.25  # smooth resampling takes a probability map this far below 0 and above 1

_ROUNDED_LABEL = 1e-3  # a NIfTI file may store labels scaled: 2 is read as 1.99998 then

_MAX_ASPECT = 1e6  # largest spacing divided by the smallest

_TINIEST_COSINE = 1e-12  # with far smaller ones ITK's inverse of the direction matrix is NaN


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
    """Check that a 2-D file, which has no position across its slice, does not come with a stack of slices.

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
            if (np.abs(plane - np.rint(plane)) > _ROUNDED_LABEL).any():
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
        segmentation = sitk.Cast(sitk.Round(segmentation), sitk.sitkInt32)
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
    """The name of a segment that has none in its file; stored scores find their segments by it."""
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
    """An image or labelmap in 3-D, or an :class:`InputError` that says why not; its pixels are not read."""
    if image.GetNumberOfComponentsPerPixel() != 1 or "complex" in image.GetPixelIDTypeAsString():
        raise InputError(f"The {role} {name} has several values per pixel (colour or vector): a scalar one is needed.")
    if image.GetDimension() == 4 and image.GetSize()[3] == 1:
        image = image[..., 0]
    if image.GetDimension() == 2:
        image = sitk.JoinSeries(image)
    if image.GetDimension() != 3:
        size = " x ".join(map(str, image.GetSize()))
        advice = (
            "one phase of a time series" if role == "image" else "one labelmap instead of a layer for each structure"
        )
        raise InputError(
            f"The {role} {name} has {image.GetDimension()} dimensions ({size}): save {advice}, in 2-D or 3-D."
        )
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
