"""A family of estimators that is no use but to show what a new one takes: these classes and a line in the registry.

It calls a slice as good as the share of its drawn pixels that are darker than the image's median.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from SegQualityQCLib.bundles.header import BundleHeader, TrainedTarget
from SegQualityQCLib.case.case import Case, CaseInput
from SegQualityQCLib.case.terminology import Target
from SegQualityQCLib.errors import InputError
from SegQualityQCLib.estimators.base import Estimator
from SegQualityQCLib.estimators.registry import Family
from SegQualityQCLib.estimators.slice_rules import SliceEstimate
from SegQualityQCLib.report.calibration import Calibration, IntervalTable

NEEDS = frozenset({CaseInput.IMAGE, CaseInput.MASK})
TOY = Family(NEEDS, "toy_family:ToySettings", "toy_family:ToyEstimator")
PROBABILISTIC_TOY = Family(
    NEEDS | {CaseInput.PROBABILITIES}, "toy_family:ToySettings", "toy_family:ProbabilisticToyEstimator"
)


@dataclass(frozen=True)
class ToySettings:
    """How much a darker pixel counts."""

    weight: float

    @classmethod
    def read(cls, block: Mapping[str, Any], files: Collection[str]) -> ToySettings:
        """Check the block."""
        if not 0 < block["weight"] <= 1 or files:
            raise ValueError("its weight is impossible")
        return cls(block["weight"])

    def to_block(self) -> dict[str, Any]:
        """The block."""
        return {"weight": self.weight}


class ToyEstimator(Estimator[float]):
    """See above."""

    requires = NEEDS

    def prepare(self, case: Case, parameters: Mapping[str, Any] | None = None) -> float:
        """The median of the image."""
        if parameters is None:
            return float(np.median(sitk.GetArrayViewFromImage(case.image)))
        if "median" not in parameters:
            raise InputError("The report does not say its median: assess the case again.")
        return float(parameters["median"])

    def estimate(
        self, prepared: float, case: Case, slices: Sequence[int], target: TrainedTarget | None
    ) -> list[SliceEstimate]:
        """The share of drawn pixels that are darker."""
        image, mask = (
            np.moveaxis(sitk.GetArrayViewFromImage(one), 2 - case.axis, 0) for one in (case.image, case.mask)
        )
        weight = self.bundle.header.block["weight"]
        return [SliceEstimate(weight * float((image[n][mask[n] > 0] < prepared).mean())) for n in slices]

    def parameters(self, prepared: float) -> dict[str, Any]:
        """The median."""
        return {"median": prepared}


class ProbabilisticToyEstimator(ToyEstimator):
    """The same, which asks for probabilities."""

    requires = NEEDS | {CaseInput.PROBABILITIES}


def write_toy_bundle(folder: Path, family: str = "toy", structure: str = "left ventricular myocardium") -> Path:
    """Write a bundle of a toy family."""
    table = IntervalTable((0.0, 1.0), (-0.1,), (0.1,))
    target = TrainedTarget(Target(structure, "74281007", ("LV myocardium",)), Calibration(table, table))
    header = BundleHeader("toy", "1.0", "A toy.", "CC0", family, (target,), {}, ToySettings(0.5).to_block())
    (folder / "configs").mkdir(parents=True)
    (folder / "configs" / "metadata.json").write_text(json.dumps(header.to_metadata()), encoding="utf-8")
    return folder
