"""The score of a volume from those of its slices."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .calibration import IntervalTable
from .report import SliceScore, Status, VolumeScore


def volume_score(table: IntervalTable | None, scores: list[SliceScore]) -> VolumeScore:
    """Predicted Dice of a volume, with its interval by the calibration table for volumes; without a table no interval.

    A volume of one slice has that slice's interval. Slices without a score may be as bad or as good as any.
    """
    dice = volume_dice(scores)
    if dice is None or table is None:
        return VolumeScore(dice, None, None)
    low, high = table.interval(dice)
    rated = [(score.low, score.high) for score in scores if score.dice is not None or score.status is Status.GAP]
    if len(rated) == 1 and rated[0][0] is not None and rated[0][1] is not None:
        low, high = rated[0][0], rated[0][1]
    known = scored_share(scores)
    low, high = known * low, known * high + (1 - known)
    return VolumeScore(dice, min(low, dice), min(max(high, dice), 1.0))  # products round


def volume_dice(scores: Iterable[SliceScore]) -> float | None:
    """Dice of the volume from its slices, weighted by area.

    A gap counts as a slice of Dice 0 with half the area of its drawn neighbours: the reference has area there and the
    candidate none, so it weighs half as much as where both have it. ``None`` where no slice is scored.
    """
    scores = tuple(scores)
    scored = [score for score in scores if score.dice is not None]
    if not scored:
        return None
    missed = 0.5 * sum(gap_areas(scores).values())
    weight = sum(score.area_mm2 for score in scored)
    return sum(score.dice * score.area_mm2 for score in scored if score.dice is not None) / (weight + missed)


def scored_share(scores: Iterable[SliceScore]) -> float:
    """The share of the drawn area whose slices are scored, in [0, 1]."""
    drawn = [score for score in scores if score.area_mm2 > 0]
    area = sum(score.area_mm2 for score in drawn)
    return sum(score.area_mm2 for score in drawn if score.dice is not None) / area if area else 0.0


def gap_areas(scores: Iterable[SliceScore]) -> dict[int, float]:
    """The area in mm² that each gap, by slice index, probably should have: between those of its drawn neighbours."""
    scores = sorted(scores, key=lambda score: score.index)
    gaps = [score.index for score in scores if score.status is Status.GAP]
    if not gaps:
        return {}
    positions, areas = zip(*((score.index, score.area_mm2) for score in scores if score.area_mm2 > 0), strict=True)
    return dict(zip(gaps, np.interp(gaps, positions, areas).tolist(), strict=True))
