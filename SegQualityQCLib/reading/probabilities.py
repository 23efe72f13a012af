"""Probability maps from files: of one structure, or of all classes of a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..case.case import Case
from ..case.checks import checked_geometry
from ..case.grids import same_grid
from ..errors import InputError, OutsideImageError
from .images import read_file
from .nnunet_probabilities import read_npz
from .segments import Segment

RESAMPLED = "probabilities_resampled"
PLACE = "{label}"

_ROLE = "probability map"
_ROUNDING = 1e-3  # of half precision, and of resampling, beyond 0 and 1
_SUM_ROUNDING = 0.02  # of the classes of a voxel
_LIKELY, _UNLIKELY = 0.5, 0.1


@dataclass(frozen=True)
class ProbabilityMaps:
    """What a file of probabilities holds.

    Attributes:
        name: Name of the file, for messages.
        classes: 3-D images of ``float32`` in [0, 1] on one grid: one, of the structure; or several, by label value, the
            background first.
    """

    name: str
    classes: tuple[sitk.Image, ...]


def with_probabilities(cases: Sequence[Case], segments: Sequence[Segment], path: Path) -> list[Case]:
    """Cases of one file with their probabilities, on the image's grid; a flag says where they were resampled.

    Args:
        cases: Cases of one segmentation on one image.
        segments: What the file calls the segment of each; the class of a network is found by the label.
        path: A 3-D map of one structure; a 4-D file with one map a class, the background first; nnU-Net's ``.npz`` with
            its ``.pkl`` beside it; or a path with the place ``{label}``, for one file a class.

    Raises:
        InputError: It cannot be read, does not hold probabilities, has no class of a segment, or lies elsewhere.
    """
    if PLACE in path.name:
        files = [path.with_name(path.name.replace(PLACE, str(segment.label))) for segment in segments]
        maps = [read_probability_maps(file, cases[0].image) for file in files]
    else:
        maps = [read_probability_maps(path, cases[0].image)] * len(cases)
        if len(maps[0].classes) == 1 and len(cases) > 1:
            raise InputError(
                f"The {_ROLE} {path.name} is of one structure, and the segmentation has {len(cases)} segments: choose "
                f"the one that it is of with --label or --segment, or write {PLACE} in the name for one file a class."
            )
    return [_with_map(case, segment, one) for case, segment, one in zip(cases, segments, maps, strict=True)]


def read_probability_maps(path: Path, image: sitk.Image) -> ProbabilityMaps:
    """Read and check a file of probabilities.

    Args:
        path: See :func:`with_probabilities`.
        image: The image that it belongs to.

    Raises:
        InputError: It cannot be read, or does not hold probabilities.
    """
    if path.name.lower().endswith(".npz"):
        stored = read_npz(path)
    else:
        stored = _channels(read_file(path, _ROLE), path.name, image)
    classes = tuple(_checked(one, path.name) for one in stored)
    if len(classes) > 1:
        _check_sum(classes, path.name)
    return ProbabilityMaps(path.name, classes)


def _channels(stored: sitk.Image, name: str, image: sitk.Image) -> list[sitk.Image]:
    """The maps that a file holds on a fourth axis or as a vector a voxel."""
    number = stored.GetNumberOfComponentsPerPixel()
    if number > 1:
        return [sitk.VectorIndexSelectionCast(stored, index) for index in range(number)]
    if stored.GetDimension() != 4:
        return [stored]
    if stored.GetSize()[:3] != image.GetSize() and stored.GetSize()[1:] == image.GetSize():
        raise InputError(f"The {_ROLE} {name} has its classes on the first axis: store them on the last one.")
    return [stored[..., index] for index in range(stored.GetSize()[3])]


def _checked(stored: sitk.Image, name: str) -> sitk.Image:
    """A map in 3-D as ``float32`` in [0, 1], or an :class:`InputError`."""
    stored = checked_geometry(stored, name, _ROLE)
    view = sitk.GetArrayViewFromImage(stored)
    low, high = float(view.min()), float(view.max())
    if not np.isfinite([low, high]).all() or (view.dtype.kind == "f" and not np.isfinite(view).all()):
        raise InputError(f"The {_ROLE} {name} holds NaN or infinite values: export it again.")
    if view.dtype.kind != "f":
        advice = "it is a labelmap: give it with --samples" if high <= 1 else f"divide them by {high:g} if that means 1"
        raise InputError(
            f"The {_ROLE} {name} holds whole numbers from {low:g} to {high:g}: {advice}, or export probabilities as "
            "floating-point numbers."
        )
    if low < -_ROUNDING or high > 1 + _ROUNDING:
        percent = low >= -_ROUNDING and high <= 100 * (1 + _ROUNDING)
        kind = "percent" if percent else "logits"
        raise InputError(
            f"The {_ROLE} {name} holds values from {low:.3g} to {high:.3g}, and a probability is within 0 and 1: if "
            f"these are {kind}, export probabilities (after the softmax)."
        )
    return sitk.Clamp(stored, sitk.sitkFloat32, 0.0, 1.0)


def _check_sum(classes: Sequence[sitk.Image], name: str) -> None:
    total = np.zeros(classes[0].GetSize()[::-1], np.float32)
    for one in classes:
        total += sitk.GetArrayViewFromImage(one)
    low, high = float(total.min()), float(total.max())
    if low < 1 - _SUM_ROUNDING or high > 1 + _SUM_ROUNDING:
        raise InputError(
            f"The classes of the {_ROLE} {name} sum to between {low:.3g} and {high:.3g}, not to 1: give all classes of "
            "a softmax, the background first, or the map of one structure alone."
        )


def _with_map(case: Case, segment: Segment, maps: ProbabilityMaps) -> Case:
    number = len(maps.classes)
    if number > 1 and not 0 < segment.label < number:
        raise InputError(
            f"The {_ROLE} {maps.name} has the classes 0 to {number - 1}, and none for {segment} with label "
            f"{segment.label}: give the probabilities of the network that labels it so."
        )
    stored = maps.classes[segment.label if number > 1 else 0]
    flags = () if same_grid(stored, case.image) else (RESAMPLED,)
    placed = _onto_grid(stored, case, maps.name)
    if number > 1:
        _check_order(case, segment, maps, placed)
    return replace(case, probabilities=placed, flags=(*case.flags, *flags))


def _onto_grid(stored: sitk.Image, case: Case, name: str) -> sitk.Image:
    """A map on the image's grid, by linear interpolation; 0 outside."""
    if same_grid(stored, case.image):
        stored.CopyInformation(case.image)
        return stored
    if stored.GetSize() == case.image.GetSize() and not np.allclose(
        sorted(stored.GetSpacing()), sorted(case.image.GetSpacing()), rtol=0.02
    ):
        raise InputError(
            f"The {_ROLE} {name} has as many voxels as the image {case.image_name}, but voxels of another size: one of "
            "them lost its header; save it again with the geometry of the image."
        )
    placed = sitk.Resample(stored, case.image, sitk.Transform(), sitk.sitkLinear, 0.0, sitk.sitkFloat32)
    inside = sitk.Resample(
        sitk.Cast(stored * 0 + 1, sitk.sitkUInt8), case.image, sitk.Transform(), sitk.sitkNearestNeighbor, 0
    )
    drawn = sitk.GetArrayViewFromImage(case.mask) != 0
    if not (sitk.GetArrayViewFromImage(inside)[drawn] > 0).any():
        raise OutsideImageError(
            f"The {_ROLE} {name} does not reach the segment {case.segment} of {case.segmentation_name} in space: check "
            "that they belong together."
        )
    return placed


def _check_order(case: Case, segment: Segment, maps: ProbabilityMaps, placed: sitk.Image) -> None:
    """Refuse classes in another order than the labels: where a label is drawn, another structure is almost certain."""
    drawn = sitk.GetArrayViewFromImage(case.mask) != 0
    own = float(sitk.GetArrayViewFromImage(placed)[drawn].mean())
    if own >= _UNLIKELY:
        return
    for other, one in enumerate(maps.classes[1:], start=1):
        if other == segment.label:
            continue
        share = float(sitk.GetArrayViewFromImage(_onto_grid(one, case, maps.name))[drawn].mean())
        if share > _LIKELY:
            raise InputError(
                f"Where {segment} is drawn, the {_ROLE} {maps.name} has {share:.2f} for class {other} and "
                f"{own:.2f} for class {segment.label}: its classes are in another order than the labels."
            )
