"""What the families that need no training have in common: a raw figure, mapped to a predicted Dice once calibrated."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple, TypeVar

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ...bundles.bundle import ModelBundle, unusable_metadata_refused
from ...bundles.header import TrainedTarget
from ...case.case import Case
from ...report.codes import Measure
from ..base import Estimator
from ..slice_rules import SliceEstimate, VolumeEstimate
from .settings import UncertaintySettings

Prepared = TypeVar("Prepared")

_BAND_PIXELS = 2  # on either side of the contour: the width in which readers and networks differ


class Figures(NamedTuple):
    """What a family says of a slice or a volume.

    Attributes:
        value: The raw figure in [0, 1].
        evidence: Further figures, by name.
    """

    value: float
    evidence: Mapping[str, float]


class UncertaintyEstimator(Estimator[Prepared]):
    """Gives raw figures; with the maps of a calibration, predicted Dice with intervals.

    Args:
        bundle: The model: one of the user's own calibration, or the built-in one that is not calibrated.
        device: Of no use: nothing runs on a GPU.

    Attributes:
        settings: What the calibration found.
        raw_measure: What the raw figure is.

    Raises:
        BundleError: The bundle has intervals and no maps, or maps and no intervals.
    """

    settings_class: ClassVar[type[UncertaintySettings]]
    raw_measure: ClassVar[Measure]

    def __init__(self, bundle: ModelBundle, device: str = "auto") -> None:
        super().__init__(bundle, device)
        with unusable_metadata_refused(bundle.folder):
            self.settings = self.settings_class.read(bundle.header.block, bundle.header.checksums.keys())
            if self.settings.is_calibrated != bool(self.targets):
                raise ValueError("it has a structure and no map to Dice, or a map and no structure")

    @property
    def measure(self) -> Measure:
        """A predicted Dice once it is calibrated."""
        return Measure.PREDICTED_DICE if self.settings.is_calibrated else self.raw_measure

    @abstractmethod
    def slice_figures(self, prepared: Prepared, case: Case, slices: Sequence[int]) -> list[Figures]:
        """The raw figures of drawn slices."""

    @abstractmethod
    def volume_figures(self, prepared: Prepared, case: Case) -> Figures:
        """The raw figures of the whole volume."""

    def estimate(
        self, prepared: Prepared, case: Case, slices: Sequence[int], target: TrainedTarget | None
    ) -> list[SliceEstimate]:
        """Estimate drawn slices; each of them gets a number."""
        mapped, raw = self.settings.slice_map, self.raw_measure.value
        return [
            SliceEstimate(value, evidence=evidence)
            if mapped is None
            else SliceEstimate(mapped(value), evidence={raw: value, **evidence})
            for value, evidence in self.slice_figures(prepared, case, slices)
        ]

    def estimate_volume(self, prepared: Prepared, case: Case) -> VolumeEstimate | None:
        """Estimate the volume from all its voxels, also of slices on which the candidate has none.

        ``None`` where nothing is drawn.
        """
        if not case.extents.counts.any():
            return None
        value, evidence = self.volume_figures(prepared, case)
        if self.settings.volume_map is None:
            return VolumeEstimate(value, evidence)
        return VolumeEstimate(self.settings.volume_map(value), {self.raw_measure.value: value, **evidence})


def slices_first(image: sitk.Image, axis: int) -> NDArray:
    """A view of the voxels with the slices first; it lives as long as the image."""
    return np.moveaxis(sitk.GetArrayViewFromImage(image), 2 - axis, 0)


def as_image(stacked: NDArray[np.float32], case: Case) -> sitk.Image:
    """Voxels with the slices first as an image on the grid of the case."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(np.moveaxis(stacked, 0, 2 - case.axis)))
    image.CopyInformation(case.image)
    return image


def contour_band(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels within two pixels of the contour of a mask, on either side, shape (h, w)."""
    grown, shrunk = mask, mask
    for _ in range(_BAND_PIXELS):
        grown, shrunk = _grown(grown), ~_grown(~shrunk)
    return grown & ~shrunk


def box_around(*masks: NDArray[np.bool_]) -> tuple[slice, slice]:
    """The box around what is drawn in any mask of a slice, with room for the band around a contour."""
    drawn = np.logical_or.reduce(masks)
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    if not len(rows):
        return slice(0, 0), slice(0, 0)
    room = _BAND_PIXELS + 1
    return (
        slice(max(int(rows[0]) - room, 0), int(rows[-1]) + room + 1),
        slice(max(int(columns[0]) - room, 0), int(columns[-1]) + room + 1),
    )


def binary_entropy(probability: NDArray) -> NDArray[np.float64]:
    """The entropy in bits of each probability in [0, 1]; 1 at one half."""
    both = np.stack([probability, 1.0 - probability]).astype(float)
    return -np.sum(both * np.log2(both, where=both > 0, out=np.zeros_like(both)), axis=0)


def _grown(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    grown = mask.copy()
    grown[1:] |= mask[:-1]
    grown[:-1] |= mask[1:]
    grown[:, 1:] |= mask[:, :-1]
    grown[:, :-1] |= mask[:, 1:]
    return grown
