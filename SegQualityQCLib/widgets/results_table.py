"""The table of slices in the panel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import qt
from slicer.i18n import tr as _

from ..report.report import SliceScore
from ..report.wording import short_words
from ..scene.ordering import ordered_slices
from ..scene.slice_marks import colour_of_score
from ..scene.stored_results import Results

Row = tuple[str, int]


class ResultsTable:
    """Shows one row a slice: (segment identifier, slice index).

    Args:
        table: A QTableWidget.
    """

    def __init__(self, table: Any) -> None:
        self._table = table
        self.rows: list[Row] = []
        self._swatches: dict[tuple[int, ...], Any] = {}  # one a colour: Qt keeps what it painted of each new icon
        labels = [_("Segment"), _("Slice"), _("Dice"), _("Interval"), _("Status"), _("Decision")]
        table.setColumnCount(len(labels))
        table.setHorizontalHeaderLabels(labels)
        table.verticalHeader().hide()
        table.horizontalHeader().setStretchLastSection(True)

    def show(self, results: Results, order: str, threshold: float) -> None:
        """Fill the table, worst first or as suggested; the selected slice stays selected where it is still there."""
        selected = self.selected
        self.rows = ordered_slices(results, order, threshold)
        self._table.setRowCount(len(self.rows))
        for number, (key, index) in enumerate(self.rows):
            report = results.reports[key]
            score, before = report.slice(index), results.before.get(key, {})
            review = results.reviews.of(key, index)
            low = score.is_low(threshold)
            cells = (
                report.case.segment,
                str(index),
                _dice_text(score, before),
                "–" if score.dice is None else f"{score.low:.2f} – {score.high:.2f}",
                _status_text(score, low),
                "" if review is None else review.decision,
            )
            told = ""
            if review is not None:
                told = _("{decision} by {reviewer}, {time}. {comment}").format(
                    decision=review.decision, reviewer=review.reviewer, time=review.time, comment=review.comment
                )
            for column, text in enumerate(cells):
                item = self._item(number, column)
                item.setText(text)
                item.setToolTip(told)
            coloured = low or score.dice is not None
            self._item(number, 2).setIcon(self._swatch(score) if coloured else qt.QIcon())
        self._table.resizeColumnsToContents()
        if selected in self.rows:
            self.select(self.rows.index(selected))

    @property
    def selected(self) -> Row | None:
        """The selected slice."""
        number = self._table.currentRow()
        return self.rows[number] if 0 <= number < len(self.rows) else None

    @property
    def selected_row(self) -> int:
        """Number of the selected row; -1 where none is."""
        return self._table.currentRow()

    def select(self, number: int) -> None:
        """Select a row; the views stay where they are."""
        self._table.setCurrentCell(number, 0)

    def _item(self, row: int, column: int) -> Any:
        """The item of a cell, made where there is none."""
        item = self._table.item(row, column)
        if item is None:
            item = qt.QTableWidgetItem()
            self._table.setItem(row, column, item)
        return item

    def _swatch(self, score: SliceScore) -> Any:
        colour = tuple(round(255 * channel) for channel in colour_of_score(score))
        if colour not in self._swatches:
            picture = qt.QPixmap(12, 12)
            picture.fill(qt.QColor(*colour))
            self._swatches[colour] = qt.QIcon(picture)
        return self._swatches[colour]


def _dice_text(score: SliceScore, before: Mapping[int, float | None]) -> str:
    """The predicted Dice; of an edited slice also that before the edit."""
    now = _number(score.dice)
    if score.index not in before:
        return now
    return _("{before} to {now}").format(before=_number(before[score.index]), now=now)


def _number(dice: float | None) -> str:
    return "–" if dice is None else f"{dice:.2f}"


def _status_text(score: SliceScore, low: bool) -> str:
    """A slice's status, flags included, in words that can be translated."""
    name = _("low") if low and score.dice is not None else _(short_words(score.status))
    return ", ".join([name, *(_(short_words(flag)) for flag in score.flags)])
