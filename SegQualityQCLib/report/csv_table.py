"""The slices of reports as a CSV table."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from ..storage.safe_text import spreadsheet_safe
from .codes import CaseFlag
from .report import QualityReport, SliceScore

CSV_COLUMNS = ("segment", "index", "status", "dice", "low", "high", "area_mm2", "flags")


def reports_to_csv(reports: Iterable[QualityReport]) -> str:
    """The slices of several reports as CSV text, one row a slice; cells are empty where nothing was scored."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for report in reports:
        writer.writerows(csv_rows(report))
    return text.getvalue()


def csv_rows(report: QualityReport) -> list[list[str]]:
    """The cells of :data:`CSV_COLUMNS` for each slice of a report."""
    return [
        [
            *(spreadsheet_safe(report.case.segment), str(score.index), score.status.value),
            *(four_digits(value) for value in (score.dice, score.low, score.high)),
            *(f"{score.area_mm2:.1f}", spreadsheet_safe(" ".join(_flags(report, score)))),
        ]
        for score in report.slices
    ]


def _flags(report: QualityReport, score: SliceScore) -> list[str]:
    """The flags of a slice; a number that is not a predicted Dice is marked in its own row."""
    plain = report.is_calibrated or score.dice is None
    return [*score.flags, *([] if plain else [report.measure, CaseFlag.NOT_CALIBRATED])]


def four_digits(value: float | None) -> str:
    """A score in a cell of a table; empty where there is none."""
    return "" if value is None else f"{value:.4f}"
