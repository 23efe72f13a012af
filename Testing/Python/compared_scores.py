"""Comparing the scores of slices, and editing the mask of a case."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import SimpleITK as sitk
from numpy.typing import NDArray

from SegQualityQCLib.case.case import Case
from SegQualityQCLib.report.report import SliceScore


def values(score: SliceScore) -> tuple:
    """What must be alike of two scores of a slice; its interval follows from the Dice."""
    return (score.status, score.flags, score.area_mm2, score.dice)


def alike(score: SliceScore) -> tuple:
    """The values of a score, as others may differ from them by rounding."""
    return (score.status, score.flags, pytest.approx(score.area_mm2, rel=1e-6), pytest.approx(score.dice, abs=1e-4))


def edited(case: Case, change: Callable[[NDArray], object]) -> Case:
    """The case after ``change`` was made to the array of its mask."""
    array = sitk.GetArrayFromImage(case.mask)
    change(array)
    mask = sitk.GetImageFromArray(array)
    mask.CopyInformation(case.mask)
    return case.with_mask(mask)
