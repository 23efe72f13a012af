"""Cases of cohorts for the tests: copies of the demo heart under many names."""

from __future__ import annotations

import csv
from pathlib import Path

import SimpleITK as sitk

from SegQualityQCLib.cohort.manifest import CohortCase
from SegQualityQCLib.demo import MYOCARDIUM, demo_images


def write_demo(folder: Path) -> Path:
    """Write the demo heart as image.nii.gz and labels.nii.gz."""
    image, labels = demo_images()
    sitk.WriteImage(image, str(folder / "image.nii.gz"))
    sitk.WriteImage(labels, str(folder / "labels.nii.gz"))
    return folder


def some_cases(files: Path, count: int) -> list[CohortCase]:
    """The demo heart as many cases."""
    return [
        CohortCase(f"case {n}", files / "image.nii.gz", files / "labels.nii.gz", MYOCARDIUM, extra={"site": f"={n}"})
        for n in range(count)
    ]


def rows(path: Path) -> list[dict[str, str]]:
    """The rows of a table."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
