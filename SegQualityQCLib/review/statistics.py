"""The reviewers' decisions: as a table, and compared with the predicted scores."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from ..report.csv_table import four_digits
from ..storage.safe_text import spreadsheet_safe
from .decisions import ReviewStatus
from .worklist_case import WorklistCase

DECISION_COLUMNS = (
    *("case", "status", "reviewer", "opened", "decided", "minutes", "comment"),
    *("dice", "low", "high", "worst_slice", "saved"),
)


def decisions_csv(cases: Sequence[WorklistCase]) -> str:
    """The review of each case as CSV text, in the order given; times in UTC (ISO 8601)."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(DECISION_COLUMNS)
    for case in cases:
        minutes = ""
        if case.status.is_decided and case.opened is not None and case.decided is not None:
            minutes = f"{(case.decided - case.opened) / 60:.1f}"
        writer.writerow(
            [
                *(spreadsheet_safe(case.name), case.status.value, spreadsheet_safe(case.reviewer or "")),
                *(_time(case.opened), _time(case.decided), minutes, spreadsheet_safe(case.comment)),
                *(four_digits(value) for value in (case.dice, case.low, case.high)),
                "" if case.worst_slice is None else case.worst_slice,
                spreadsheet_safe(case.saved.name) if case.saved is not None else "",
            ]
        )
    return text.getvalue()


@dataclass(frozen=True)
class ReviewStatistics:
    """How the scores agree with the decisions.

    Attributes:
        threshold: Predicted volume Dice below which a case counts as poor.
        accepted_above: Accepted, and predicted good.
        accepted_below: Accepted, though predicted poor: opened without need.
        corrected_above: Corrected, though predicted good: would have been missed.
        corrected_below: Corrected, and predicted poor.
        flagged: Flagged; neither right nor wrong.
        without_score: Decided, but without a score.
        left: Not decided yet.
        ranking: Probability that a corrected case was predicted lower than an accepted one (area under the ROC curve);
            ``None`` where one of the two is missing.
        reviewed_up_to: Highest predicted Dice among the reviewed cases; nothing is known of cases above it.
        best: The threshold that would have saved the most work.
    """

    threshold: float
    accepted_above: int
    accepted_below: int
    corrected_above: int
    corrected_below: int
    flagged: int
    without_score: int
    left: int
    ranking: float | None
    reviewed_up_to: float | None
    best: BestThreshold | None

    @property
    def agreement(self) -> float | None:
        """Share of the accepted and corrected cases that the threshold classifies correctly."""
        right, wrong = self.accepted_above + self.corrected_below, self.accepted_below + self.corrected_above
        return right / (right + wrong) if right + wrong else None


@dataclass(frozen=True)
class BestThreshold:
    """The lowest threshold that misses no more of the corrected cases than allowed.

    Attributes:
        threshold: Cases predicted below it are opened.
        saved: Accepted cases at or above it, which need not have been opened.
        missed: Corrected cases at or above it.
    """

    threshold: float
    saved: int
    missed: int


def review_statistics(cases: Sequence[WorklistCase], threshold: float, allowed_miss: float = 0.0) -> ReviewStatistics:
    """Compare the decisions so far with the scores.

    Args:
        cases: All cases of a worklist.
        threshold: Predicted volume Dice below which a case counts as poor.
        allowed_miss: Share of the corrected cases that the best threshold may miss.
    """
    accepted = _scores(cases, ReviewStatus.ACCEPTED)
    corrected = _scores(cases, ReviewStatus.CORRECTED)
    decided = [case for case in cases if case.status.is_decided]
    known = [case.dice for case in decided if case.dice is not None]
    return ReviewStatistics(
        threshold=threshold,
        accepted_above=sum(dice >= threshold for dice in accepted),
        accepted_below=sum(dice < threshold for dice in accepted),
        corrected_above=sum(dice >= threshold for dice in corrected),
        corrected_below=sum(dice < threshold for dice in corrected),
        flagged=sum(case.status is ReviewStatus.FLAGGED for case in decided),
        without_score=sum(case.dice is None for case in decided),
        left=len(cases) - len(decided),
        ranking=_ranking(corrected, accepted),
        reviewed_up_to=max(known, default=None),
        best=_best_threshold(accepted, corrected, allowed_miss),
    )


def _best_threshold(accepted: list[float], corrected: list[float], allowed_miss: float) -> BestThreshold | None:
    if not accepted or not corrected:
        return None
    may_miss = int(allowed_miss * len(corrected) + 1e-9)
    highest_kept = sorted(corrected, reverse=True)[may_miss] if may_miss < len(corrected) else 0.0
    # Rounded up to three digits, which a person can type; the case itself stays below.
    threshold = min((int(highest_kept * 1000) + 1) / 1000, 1.001)
    return BestThreshold(
        threshold, sum(dice >= threshold for dice in accepted), sum(dice >= threshold for dice in corrected)
    )


def _ranking(lower: list[float], higher: list[float]) -> float | None:
    if not lower or not higher:
        return None
    wins = sum((a < b) + 0.5 * (a == b) for a in lower for b in higher)
    return wins / (len(lower) * len(higher))


def _scores(cases: Sequence[WorklistCase], status: ReviewStatus) -> list[float]:
    return [case.dice for case in cases if case.status is status and case.dice is not None]


def _time(seconds: float | None) -> str:
    return "" if seconds is None else datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds")
