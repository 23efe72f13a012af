"""Sign-off: decisions on slices and on the case."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from ..review.decisions import Decision
from ..scene.originals import drop_original
from ..scene.reviews import Review, low_slices
from ..scene.stored_results import Results
from .panel_protocol import Panel

_REVIEWER_SETTING = "SegQualityQC/Reviewer"


class ReviewSection:
    """The buttons, the comment and the reviewer's name.

    Args:
        panel: Of it are used: ui, parameters, table, results, steps.running, logic.signSlice, logic.signCase,
            decide_open_case, errors_in_panel and refresh.
    """

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        self._comment = ""
        self._reviewer = slicer.app.userSettings().value(_REVIEWER_SETTING) or ""
        ui = panel.ui
        ui.reviewerEdit.setText(self._reviewer)
        ui.reviewerEdit.connect("textChanged(QString)", self._on_reviewer)
        ui.commentEdit.connect("textChanged(QString)", self._on_comment)
        for button, decision in (
            (ui.acceptButton, Decision.ACCEPTED),
            (ui.correctedButton, Decision.CORRECTED),
            (ui.flagButton, Decision.FLAGGED),
        ):
            button.connect("clicked(bool)", lambda checked=False, decision=decision: self.decide(decision))
        for button, decision in ((ui.acceptCaseButton, Decision.ACCEPTED), (ui.flagCaseButton, Decision.FLAGGED)):
            button.connect("clicked(bool)", lambda checked=False, decision=decision: self._decide_case(decision))

    @property
    def reviewer(self) -> str:
        """The name that is written in the panel."""
        return self._reviewer

    def decide(self, decision: Decision) -> None:
        """Keep a decision on the selected slice, with the comment that is written."""
        parameters, selected = self._panel.parameters, self._panel.table.selected
        if parameters is None or selected is None or self._busy():
            return
        with self._panel.errors_in_panel():
            review = Review.now(decision, self._reviewer, self._comment)
            self._panel.logic.signSlice(parameters.segmentation, *selected, review)
            self._panel.ui.commentEdit.setText("")
        self._panel.refresh()

    def _decide_case(self, decision: Decision) -> None:
        """Keep a decision on the whole case; accepted, the copy from before the corrections is removed."""
        parameters = self._panel.parameters
        if parameters is None or parameters.segmentation is None or self._busy():
            return
        with self._panel.errors_in_panel():
            review = Review.now(decision, self._reviewer, self._comment)
            self._panel.logic.signCase(parameters.segmentation, review)
            if decision == Decision.ACCEPTED:
                drop_original(parameters.segmentation)
            self._panel.decide_open_case(parameters.segmentation, decision, review.comment)
            self._panel.ui.commentEdit.setText("")
        self._panel.refresh()

    def _busy(self) -> bool:
        """Whether slices are being scored; then the panel says so, since a shortcut can be pressed at any time."""
        if self._panel.steps.running:
            self._panel.ui.statusLabel.setText(_("Wait until the slices are scored, then decide."))
        return self._panel.steps.running

    def show(self, enabled: bool, threshold: float) -> None:
        """Show how many low slices are reviewed, and what was decided on the case.

        Args:
            enabled: Whether decisions can be made now.
            threshold: Predicted Dice in [0, 1] below which a slice is low.
        """
        ui, results = self._panel.ui, self._panel.results
        for button in (ui.acceptButton, ui.correctedButton, ui.flagButton):
            button.setEnabled(enabled and self._panel.table.selected is not None)
        for button in (ui.acceptCaseButton, ui.flagCaseButton):
            button.setEnabled(enabled and bool(results.reports))
        ui.reviewLabel.setText(progress_text(results, threshold))

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
