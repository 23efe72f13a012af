"""Cases with samples and probabilities for the tests, and bundles calibrated on them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import SimpleITK as sitk

from SegQualityQCLib.bundles.header import BundleHeader, TrainedTarget
from SegQualityQCLib.case.case import Case
from SegQualityQCLib.case.terminology import Target
from SegQualityQCLib.estimators.registry import FAMILIES
from SegQualityQCLib.report.calibration import Calibration, IntervalTable
from SegQualityQCLib.report.monotone_map import MonotoneMap


def equipped(case: Case) -> Case:
    """The case with three samples, a little larger and smaller than its mask, and their mean as probabilities.

    The samples are the same in space however the image is stored.
    """
    larger, smaller = sitk.BinaryDilate(case.mask, (1, 1, 1)), sitk.BinaryErode(case.mask, (1, 1, 1))
    samples = (larger, sitk.BinaryDilate(case.mask, (2, 2, 2)), sitk.BinaryMorphologicalClosing(case.mask, (1, 1, 1)))
    total = sum((sitk.Cast(sample, sitk.sitkFloat32) for sample in samples), sitk.Cast(smaller, sitk.sitkFloat32))
    return replace(case, samples=samples, probabilities=total / 4)


def write_calibrated_bundle(folder: Path, family: str, structure: str = "left ventricular myocardium") -> Path:
    """Write a bundle of a family that needs no training, as a calibration would."""
    table = IntervalTable((0.0, 1.0), (-0.1,), (0.1,))
    target = TrainedTarget(Target(structure, "74281007", ("LV myocardium",)), Calibration(table, table))
    line = MonotoneMap((0.2, 1.0), (0.1, 0.95))
    settings = FAMILIES[family].settings_class()
    block = settings(slice_map=line, volume_map=line, cases=("a", "b")).to_block()  # type: ignore[call-arg]
    header = BundleHeader(f"my {family}", "1.0", "Calibrated.", "CC0", family, (target,), {}, block)
    (folder / "configs").mkdir(parents=True)
    (folder / "configs" / "metadata.json").write_text(json.dumps(header.to_metadata()), encoding="utf-8")
    return folder
