"""The order of the table: slices of all segments, worst first or as suggested."""

from __future__ import annotations

from ..report.correction_priority import suggestion_key
from ..report.report import urgency
from .reviews import low_slices
from .stored_results import Results


def ordered_slices(results: Results, order: str, threshold: float) -> list[tuple[str, int]]:
    """(Segment identifier, slice index) of all slices.

    Args:
        results: The results.
        order: ``worst``: by status and predicted Dice; ``suggested``: slices without a review, by the expected gain
            of correcting them, then the others as in ``worst``.
        threshold: Dice below which a slice needs correcting.
    """

    def worst(row: tuple[str, int]) -> tuple[int, float, int]:
        return urgency(results.reports[row[0]].slice(row[1]))

    def suggested(row: tuple[str, int]) -> tuple[float, tuple[int, float, int]]:
        report = results.reports[row[0]]
        reviewed = results.reviews.of(*row) is not None
        return suggestion_key(report, report.slice(row[1]), threshold, reviewed=reviewed)

    rows = [(key, score.index) for key, report in results.reports.items() for score in report.slices]
    return sorted(rows, key=suggested if order == "suggested" else worst)


def low_unreviewed(results: Results, threshold: float) -> set[tuple[str, int]]:
    """The low slices (see :func:`.reviews.low_slices`) without a review."""
    return {
        (key, index)
        for key, report in results.reports.items()
        for index in low_slices(report, results.before.get(key, {}), threshold)
        if results.reviews.of(key, index) is None
    }
