"""Sign-off: decisions on slices and on the case."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer
from slicer.i18n import tr as _

from ..scene.reviews import Review, low_slices
from ..scene.tables import Results
from .results_table import Row

_REVIEWER_SETTING = "SegQualityQC/Reviewer"


class ReviewSection:
    """The buttons, the comment and the reviewer's name.

    Args:
        ui: The panel's widgets.
        on_slice: Gets a decision on the selected slice.
        on_case: Gets a decision on the whole case.
    """

    def __init__(self, ui: Any, on_slice: Callable[[str], None], on_case: Callable[[str], None]) -> None:
        self._ui = ui
        self._comment = ""
        self._reviewer = slicer.app.userSettings().value(_REVIEWER_SETTING) or ""
        ui.reviewerEdit.setText(self._reviewer)
        ui.reviewerEdit.connect("textChanged(QString)", self._on_reviewer)
        ui.commentEdit.connect("textChanged(QString)", self._on_comment)
        for button, decision in (
            (ui.acceptButton, "accepted"),
            (ui.correctedButton, "corrected"),
            (ui.flagButton, "flagged"),
        ):
            button.connect("clicked(bool)", lambda checked=False, decision=decision: on_slice(decision))
        ui.acceptCaseButton.connect("clicked(bool)", lambda checked=False: on_case("accepted"))
        ui.flagCaseButton.connect("clicked(bool)", lambda checked=False: on_case("flagged"))

    @property
    def reviewer(self) -> str:
        """The name that is written in the panel."""
        return self._reviewer

    def review(self, decision: str) -> Review:
        """The decision with the comment and the name that are written in the panel; the comment is used up.

        Raises:
            InputError: No name is written.
        """
        review = Review.now(decision, self._reviewer, self._comment)
        self._ui.commentEdit.setText("")
        return review

    def show(self, results: Results, selected: Row | None, threshold: float, enabled: bool) -> None:
        """Show how many low slices are reviewed, and what was decided on the case."""
        for button in (self._ui.acceptButton, self._ui.correctedButton, self._ui.flagButton):
            button.setEnabled(enabled and selected is not None)
        for button in (self._ui.acceptCaseButton, self._ui.flagCaseButton):
            button.setEnabled(enabled and bool(results.reports))
        self._ui.reviewLabel.setText(progress_text(results, threshold))

    def _on_reviewer(self, text: str) -> None:
        self._reviewer = text
        slicer.app.userSettings().setValue(_REVIEWER_SETTING, text)

    def _on_comment(self, text: str) -> None:
        self._comment = text


def progress_text(results: Results, threshold: float) -> str:
    """How many of the low slices are reviewed, and the decision on the case."""
    if not results.reports:
        return ""
    low = [
        (key, index)
        for key, report in results.reports.items()
        for index in low_slices(report, results.before.get(key, {}), threshold)
    ]
    reviewed = sum(results.reviews.of(key, index) is not None for key, index in low)
    text = _("{reviewed} of {low} low slices reviewed.").format(reviewed=reviewed, low=len(low))
    case = results.reviews.case
    if case is None:
        return text
    decision = _("Case {decision} by {reviewer}, {time}.").format(
        decision=case.decision, reviewer=case.reviewer, time=case.time
    )
    return f"{text}\n{decision}"
