"""The Dice that a candidate is expected to have under the probabilities of a network.

Sources: Mehrtash, Wells, Tempany, Abolmaesumi, Kapur, "Confidence calibration and predictive uncertainty estimation for
deep medical image segmentation", IEEE TMI 2020 (entropy and quality); Guo, Pleiss, Sun, Weinberger, "On calibration of
modern neural networks", ICML 2017 (temperature).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ...case.case import Case, CaseInput
from ...errors import InputError
from ...report.codes import Measure
from ...report.report import QualityReport
from ..base import MapKind
from .settings import ProbabilitiesSettings
from .uncertainty_estimator import (
    Figures,
    UncertaintyEstimator,
    as_image,
    binary_entropy,
    box_around,
    contour_band,
    slices_first,
)

_LEVELS = (np.arange(50) + 0.5) / 50  # of the sampled masks
_UNLIKELY = 0.01  # pixels below it are not looked at for entropy and confidence, unless they are drawn
_REGIONS = ("inside", "outside", "contour")


@dataclass(frozen=True)
class ProbabilityCounts:
    """The probabilities, and what of them does not depend on the candidate.

    Attributes:
        probabilities: In [0, 1], slices first, after the temperature.
        expected: Pixels expected on each slice, shape (slices,).
        sizes: Pixels of each sampled mask on each slice, shape (slices, levels).
        image: What the voxels are a view of.
    """

    probabilities: NDArray[np.float32]
    expected: NDArray[np.float64]
    sizes: NDArray[np.int64]
    image: sitk.Image | None


@dataclass(frozen=True)
class Expectation:
    """What the probabilities say of the candidate on a slice; of several slices it adds up.

    Attributes:
        candidate: Pixels of the candidate.
        expected: Pixels expected.
        shared: Pixels of the candidate expected.
        sizes: Pixels of each sampled mask.
        sampled: Pixels that each of them shares with the candidate.
        regions: Of the inside, the outside and the contour: pixels, sum of the entropy, sum of the confidence.
    """

    candidate: int
    expected: float
    shared: float
    sizes: NDArray[np.int64]
    sampled: NDArray[np.int64]
    regions: NDArray[np.float64] = field(default_factory=lambda: np.zeros((3, 3)))

    def __add__(self, other: Expectation) -> Expectation:
        """Both slices together."""
        return Expectation(
            self.candidate + other.candidate,
            self.expected + other.expected,
            self.shared + other.shared,
            self.sizes + other.sizes,
            self.sampled + other.sampled,
            self.regions + other.regions,
        )

    def figures(self) -> Figures:
        """The expected Dice in closed form, and the evidence."""
        evidence = {"sampled_dice": float(np.mean(2 * self.sampled / (self.candidate + self.sizes)))}
        for name, (pixels, entropy, confidence) in zip(_REGIONS, self.regions.tolist(), strict=True):
            if pixels:
                evidence |= {f"{name}_entropy": entropy / pixels, f"{name}_confidence": confidence / pixels}
        return Figures(min(2 * self.shared / (self.candidate + self.expected), 1.0), evidence)


class ProbabilitiesEstimator(UncertaintyEstimator[ProbabilityCounts]):
    """The expected Dice ``2 sum(S p) / (sum(S) + sum(p))``; no network is run.

    Evidence of a slice or a volume: ``sampled_dice``, the mean Dice with 50 masks sampled from the map, which are the
    pixels above evenly spaced levels (neighbouring pixels err together, where the closed form takes each by itself);
    mean entropy in bits and mean confidence ``max(p, 1 - p)`` inside, outside and within two pixels of the contour.
    """

    requires = frozenset({CaseInput.MASK, CaseInput.PROBABILITIES})
    gives = frozenset({MapKind.ENTROPY})
    settings_class = ProbabilitiesSettings
    raw_measure = Measure.EXPECTED_DICE

    def prepare(self, case: Case, parameters: Mapping[str, Any] | None = None) -> ProbabilityCounts:
        """Add up the probabilities on each slice.

        Raises:
            InputError: The report was made with another temperature.
        """
        if parameters is not None and parameters.get("temperature") != self.settings.temperature:
            raise InputError("The report does not say which temperature it was made with: assess the case again.")
        probabilities = self._tempered(case)
        expected = np.zeros(case.n_slices)
        sizes = np.zeros((case.n_slices, len(_LEVELS)), np.int64)
        for index, plane in enumerate(probabilities):
            expected[index] = plane.sum(dtype=np.float64)
            sizes[index] = _above_levels(plane)
        return ProbabilityCounts(probabilities, expected, sizes, case.probabilities)

    def slice_figures(self, prepared: ProbabilityCounts, case: Case, slices: Sequence[int]) -> list[Figures]:
        """The expected Dice of drawn slices."""
        return [_expectation(prepared, case, index).figures() for index in slices]

    def volume_figures(self, prepared: ProbabilityCounts, case: Case) -> Figures:
        """The expected Dice over all voxels: what is expected where the candidate has nothing counts too."""
        first, *others = (_expectation(prepared, case, index) for index in range(case.n_slices))
        return sum(others, start=first).figures()

    def parameters(self, prepared: ProbabilityCounts) -> dict[str, Any]:
        """The temperature."""
        return {"temperature": self.settings.temperature}

    def maps(self, case: Case, report: QualityReport) -> dict[MapKind, sitk.Image]:
        """The entropy of each voxel in bits, on the grid of the image."""
        entropy = np.zeros((case.n_slices, *self._tempered(case).shape[1:]), np.float32)
        for index, plane in enumerate(self._tempered(case)):
            entropy[index] = binary_entropy(plane)
        return {MapKind.ENTROPY: as_image(entropy, case)}

    def _tempered(self, case: Case) -> NDArray[np.float32]:
        """The probabilities, slices first, after the temperature."""
        if case.probabilities is None:
            raise InputError(f"The case {case.segmentation_name} has no probabilities: give them.")
        return tempered(slices_first(case.probabilities, case.axis), self.settings.temperature)


def tempered(probabilities: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Probabilities whose logits are divided by a temperature; 0, 1/2 and 1 stay as they are."""
    if temperature == 1.0:
        return probabilities
    with np.errstate(divide="ignore", over="ignore"):
        odds = (1.0 / probabilities.astype(np.float64) - 1.0) ** (1.0 / temperature)
    return (1.0 / (1.0 + odds)).astype(np.float32)


def _above_levels(probabilities: NDArray[np.float32]) -> NDArray[np.int64]:
    """How many pixels lie above each level."""
    likely = np.sort(probabilities[probabilities > _LEVELS[0]])
    return len(likely) - np.searchsorted(likely, _LEVELS, side="right")


def _expectation(prepared: ProbabilityCounts, case: Case, index: int) -> Expectation:
    plane, expected, sizes = prepared.probabilities[index], float(prepared.expected[index]), prepared.sizes[index]
    if not case.extents.counts[index]:
        return Expectation(0, expected, 0.0, sizes, np.zeros_like(sizes))
    mask: NDArray[np.bool_] = slices_first(case.mask, case.axis)[index] != 0
    box = box_around(mask, plane > _UNLIKELY)
    inside, likely = mask[box], plane[box]
    entropy, confidence = binary_entropy(likely), np.maximum(likely, 1 - likely)
    band = contour_band(inside)
    drawn = likely[inside]
    regions = [
        (np.count_nonzero(region), entropy[region].sum(), confidence[region].sum())
        for region in (inside & ~band, ~inside & ~band, band)
    ]
    return Expectation(
        len(drawn),
        expected,
        float(drawn.sum(dtype=np.float64)),
        sizes,
        _above_levels(drawn),
        np.array(regions, np.float64),
    )
