"""The rules that hold for the slices of all families: empty slices, gaps, ends of the stack, and intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ..case.case import Case
from ..report.calibration import IntervalTable
from ..report.codes import SliceFlag, Status
from ..report.report import SliceScore

# An end slice that still has this share of the median area hints that the structure goes on beyond it.
_GOES_ON_ABOVE = 0.5


@dataclass(frozen=True)
class SliceEstimate:
    """What an estimator says of a drawn slice: a predicted Dice, or why it gives none.

    Attributes:
        dice: Predicted Dice in [0, 1]; ``None`` unless scored.
        spread: The absolute error expected of it, which the interval is proportional to; 1 where none is expected.
        status: ``scored``, or why there is no number.
        flags: Evidence in single words.
        evidence: Further figures, by name.
    """

    dice: float | None
    spread: float = 1.0
    status: Status = Status.SCORED
    flags: tuple[str, ...] = ()
    evidence: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def without_number(cls, status: Status, *flags: str) -> SliceEstimate:
        """No number, and why."""
        return cls(None, status=status, flags=flags)


@dataclass(frozen=True)
class VolumeEstimate:
    """What an estimator says of a whole volume, where it does not follow from the slices.

    Attributes:
        dice: Predicted Dice in [0, 1].
        evidence: Further figures, by name.
    """

    dice: float
    evidence: Mapping[str, float] = field(default_factory=dict)


class SliceRules:
    """Turns estimates of drawn slices into scores of all slices of a case.

    Args:
        case: The case as it is drawn now.
        table: The intervals of slices; ``None`` where the numbers are not calibrated.
    """

    def __init__(self, case: Case, table: IntervalTable | None) -> None:
        self._table = table
        self._area = case.extents.counts * case.pixel_area_mm2
        drawn = np.flatnonzero(case.extents.counts)
        self._first, self._last = (int(drawn[0]), int(drawn[-1])) if len(drawn) else (0, -1)
        self._median_area = float(np.median(self._area[drawn])) if len(drawn) else 0.0

    def is_drawn(self, index: int) -> bool:
        """Whether something is drawn on a slice."""
        return bool(self._area[index] > 0)

    def scored(self, index: int, estimate: SliceEstimate) -> SliceScore:
        """The score of a drawn slice."""
        low, high = None, None
        if estimate.dice is not None and self._table is not None:
            low, high = self._table.interval(estimate.dice, estimate.spread)
        return SliceScore(
            index,
            estimate.status,
            *(estimate.dice, low, high),
            float(self._area[index]),
            tuple(estimate.flags),
            estimate.evidence,
        )

    def empty(self, index: int) -> SliceScore:
        """The score of a slice on which nothing is drawn: a gap between drawn ones, else empty."""
        if self._first < index < self._last:
            return SliceScore(index, Status.GAP, None, None, None, 0.0)
        return SliceScore(index, Status.EMPTY, None, None, None, 0.0, self._beyond_the_end(index))

    def _beyond_the_end(self, index: int) -> tuple[str, ...]:
        for end, neighbour in ((self._first, self._first - 1), (self._last, self._last + 1)):
            if index == neighbour and end >= 0 and self._area[end] >= _GOES_ON_ABOVE * self._median_area > 0:
                return (SliceFlag.CHECK,)
        return ()
