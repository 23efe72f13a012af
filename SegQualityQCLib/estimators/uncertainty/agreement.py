"""The agreement of a candidate with other segmentations of the same image: of folds, networks or readers.

Sources: Roy, Conjeti, Navab, Wachinger, "Bayesian QuickNAT", NeuroImage 2019 (overlap and variation of volume over
samples); Zenk et al., "Comparative benchmarking of failure detection methods in medical image segmentation", Medical
Image Analysis 2025 (the mean pairwise Dice finds failures best).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ...case.case import Case, CaseInput
from ...errors import InputError
from ...report.codes import Measure
from ...report.report import QualityReport
from ..base import MapKind
from .settings import AgreementSettings
from .uncertainty_estimator import (
    Figures,
    UncertaintyEstimator,
    as_image,
    binary_entropy,
    box_around,
    contour_band,
    slices_first,
)

FEWEST_SAMPLES = 2


@dataclass(frozen=True)
class SampleCounts:
    """The samples, and what of them does not depend on the candidate.

    Attributes:
        samples: The images, which the views below need.
        views: Voxels of each sample, slices first.
        areas: Pixels of each sample on each slice, shape (samples, slices).
        common: Pixels that all samples share, shape (slices,).
        united: Pixels that any sample has, shape (slices,).
    """

    samples: tuple[sitk.Image, ...]
    views: tuple[NDArray, ...]
    areas: NDArray[np.int64]
    common: NDArray[np.int64]
    united: NDArray[np.int64]


@dataclass(frozen=True)
class Overlap:
    """What the candidate and the samples have in common on a slice; of several slices it adds up.

    Attributes:
        candidate: Pixels of the candidate.
        areas: Pixels of each sample.
        shared: Pixels that the candidate shares with each.
        common: Pixels that all samples share.
        united: Pixels that any sample has.
        entropy: Sum of the entropy of the votes over the band around the contour, in bits.
        band: Pixels of the band.
    """

    candidate: int
    areas: NDArray[np.int64]
    shared: NDArray[np.int64]
    common: int
    united: int
    entropy: float
    band: int

    def __add__(self, other: Overlap) -> Overlap:
        """Both slices together."""
        return Overlap(
            self.candidate + other.candidate,
            self.areas + other.areas,
            self.shared + other.shared,
            self.common + other.common,
            self.united + other.united,
            self.entropy + other.entropy,
            self.band + other.band,
        )

    def figures(self, variation: str) -> Figures:
        """The mean Dice with the samples, and the evidence.

        Args:
            variation: What the variation of the samples' size is called.
        """
        evidence: dict[str, float] = {}
        if self.united:
            evidence["samples_iou"] = self.common / self.united
            evidence[variation] = float(self.areas.std() / self.areas.mean())
        if self.band:
            evidence["contour_entropy"] = self.entropy / self.band
        return Figures(float(np.mean(2 * self.shared / (self.candidate + self.areas))), evidence)


class AgreementEstimator(UncertaintyEstimator[SampleCounts]):
    """The mean Dice of the candidate with each sample; no network is run.

    Evidence of a slice or a volume: ``samples_iou``, what all samples share divided by what any has; ``area_variation``
    or ``volume_variation``, standard deviation of their size divided by its mean; ``contour_entropy``, mean entropy in
    bits of the samples' votes within two pixels of the candidate's contour.
    """

    requires = frozenset({CaseInput.MASK, CaseInput.SAMPLES})
    gives = frozenset({MapKind.DISAGREEMENT})
    settings_class = AgreementSettings
    raw_measure = Measure.AGREEMENT

    def prepare(self, case: Case, parameters: Mapping[str, Any] | None = None) -> SampleCounts:
        """Count the samples on each slice.

        Raises:
            InputError: There are fewer than two, or not as many as the report was made with.
        """
        number = len(case.samples)
        if number < FEWEST_SAMPLES:
            raise InputError(
                f"The agreement needs at least {FEWEST_SAMPLES} samples beside the segmentation itself, and "
                f"{case.segment} of {case.segmentation_name} has {number}: give more with --samples."
            )
        if parameters is not None and parameters.get("samples") != number:
            raise InputError(
                f"The report was made with {parameters.get('samples')} samples, the case has {number}: assess again."
            )
        views = tuple(slices_first(sample, case.axis) for sample in case.samples)
        areas = np.zeros((number, case.n_slices), np.int64)
        common, united = np.zeros(case.n_slices, np.int64), np.zeros(case.n_slices, np.int64)
        for index in range(case.n_slices):
            votes = _votes(views, index)
            areas[:, index] = [np.count_nonzero(view[index]) for view in views]
            common[index], united[index] = np.count_nonzero(votes == number), np.count_nonzero(votes)
        return SampleCounts(case.samples, views, areas, common, united)

    def slice_figures(self, prepared: SampleCounts, case: Case, slices: Sequence[int]) -> list[Figures]:
        """The agreement of drawn slices."""
        return [_overlap(prepared, case, index).figures("area_variation") for index in slices]

    def volume_figures(self, prepared: SampleCounts, case: Case) -> Figures:
        """The agreement over all voxels: what the samples have where the candidate has nothing counts too."""
        first, *others = (_overlap(prepared, case, index) for index in range(case.n_slices))
        return sum(others, start=first).figures("volume_variation")

    def parameters(self, prepared: SampleCounts) -> dict[str, Any]:
        """How many samples there are."""
        return {"samples": len(prepared.samples)}

    def maps(self, case: Case, report: QualityReport) -> dict[MapKind, sitk.Image]:
        """The share of the samples that differ from the candidate at each voxel, on the grid of the image."""
        mask = slices_first(case.mask, case.axis) != 0
        views = tuple(slices_first(sample, case.axis) for sample in case.samples)
        differing = np.zeros(mask.shape, np.float32)
        for index in range(case.n_slices):
            votes = _votes(views, index) / np.float32(len(views))
            differing[index] = np.where(mask[index], 1 - votes, votes)
        return {MapKind.DISAGREEMENT: as_image(differing, case)}


def _votes(views: Sequence[NDArray], index: int) -> NDArray[np.uint16]:
    """How many samples have each pixel of a slice."""
    votes = np.zeros(views[0].shape[1:], np.uint16)
    for view in views:
        votes += view[index]
    return votes


def _overlap(prepared: SampleCounts, case: Case, index: int) -> Overlap:
    areas = prepared.areas[:, index]
    common, united = int(prepared.common[index]), int(prepared.united[index])
    if not case.extents.counts[index]:
        return Overlap(0, areas, np.zeros_like(areas), common, united, 0.0, 0)
    mask: NDArray[np.bool_] = slices_first(case.mask, case.axis)[index] != 0
    box = box_around(mask)  # what the candidate shares, and the band around its contour, lie within it
    inside = mask[box]
    shared = np.array([np.count_nonzero(view[index][box].astype(bool) & inside) for view in prepared.views])
    votes = sum((view[index][box].astype(np.float64) for view in prepared.views), np.zeros(inside.shape))
    band = contour_band(inside)
    entropy = binary_entropy(votes[band] / len(prepared.views))
    return Overlap(
        int(np.count_nonzero(inside)), areas, shared, common, united, float(entropy.sum()), int(np.count_nonzero(band))
    )
