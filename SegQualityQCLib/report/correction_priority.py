"""Which slice to correct first: the one whose correction is likely to put the largest area right."""

from __future__ import annotations

from .report import QualityReport, SliceScore, Status, urgency
from .volume_score import gap_areas

_ASSUMED_DICE = 0.5  # of a slice without a score, for the order alone


def expected_gain(report: QualityReport, score: SliceScore, threshold: float) -> float:
    """Area in mm² that correcting a slice is expected to put right, with the chance that it needs correcting.

    The product of the predicted error (1 - Dice), the area, and the share of the interval that lies below the
    threshold. A gap counts as wholly wrong, with an area between those of its drawn neighbours; a drawn slice without a
    score counts as Dice 0.5.

    Args:
        report: The report that the score belongs to.
        score: The slice.
        threshold: Dice below which a slice needs correcting.
    """
    if score.status is Status.EMPTY:
        return 0.0
    if score.status is Status.GAP:
        return gap_areas(report.slices)[score.index]
    if score.dice is None:
        return (1.0 - _ASSUMED_DICE) * score.area_mm2
    return (1.0 - score.dice) * score.area_mm2 * chance_below(score, threshold)


def chance_below(score: SliceScore, threshold: float) -> float:
    """Share in [0, 1] of a scored slice's interval that lies below the threshold; 0 or 1 for a number without interval.

    Raises:
        ValueError: The slice is not scored.
    """
    if score.dice is not None and (score.low is None or score.high is None):
        return float(score.dice < threshold)
    if score.low is None or score.high is None:
        raise ValueError(f"the slice {score.index} is {score.status}: only a scored slice has an interval")
    if score.low >= threshold:
        return 0.0
    if score.high <= threshold:
        return 1.0
    return (threshold - score.low) / (score.high - score.low)


def suggestion_key(
    report: QualityReport, score: SliceScore, threshold: float, *, reviewed: bool = False
) -> tuple[float, tuple[int, float, int]]:
    """Sort key of slices, of one report or of several: the largest expected gain first, then the worst first.

    A slice that was reviewed already has no gain.
    """
    return (0.0 if reviewed else -expected_gain(report, score, threshold), urgency(score))
