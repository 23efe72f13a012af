"""Which slice to correct first: not merely the lowest score, but what the correction is likely to bring."""

from __future__ import annotations

from .report import QualityReport, SliceScore, Status, urgency
from .volume_score import gap_areas

_DICE_OF_NO_IDEA = 0.5  # where the model gives no number, for the order alone


def expected_gain(report: QualityReport, score: SliceScore, threshold: float) -> float:
    """Area in mm² that correcting a slice is expected to put right, with the chance that it needs correcting.

    The product of what is wrong (1 - Dice), the area, and the share of the interval that lies below the threshold. A
    gap counts as the area that its drawn neighbours suggest, surely wrong; a slice that the model gives no number for
    counts as Dice 0.5.

    Args:
        report: The report that the score belongs to.
        score: The slice.
        threshold: Dice below which a slice needs correcting.
    """
    if score.status is Status.EMPTY:
        return 0.0
    if score.status is Status.GAP:
        return gap_areas(report.slices)[score.index]
    if score.dice is None or score.low is None or score.high is None:
        return (1.0 - _DICE_OF_NO_IDEA) * score.area_mm2
    return (1.0 - score.dice) * score.area_mm2 * chance_below(score, threshold)


def chance_below(score: SliceScore, threshold: float) -> float:
    """Share in [0, 1] of a scored slice's interval that lies below the threshold."""
    assert score.dice is not None and score.low is not None and score.high is not None
    if score.low >= threshold:
        return 0.0
    if score.high <= threshold:
        return 1.0
    return (threshold - score.low) / (score.high - score.low)


def suggestion_key(
    report: QualityReport, score: SliceScore, threshold: float, *, reviewed: bool = False
) -> tuple[float, tuple[int, float, int]]:
    """Sorts slices, of one report or of several, as they are suggested: the largest expected gain first, then the
    worst first. A slice that was reviewed already gains nothing.
    """
    return (0.0 if reviewed else -expected_gain(report, score, threshold), urgency(score))
