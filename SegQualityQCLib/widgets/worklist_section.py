"""The worklist in the panel: opens the worst case left, saves its corrections as a new version, and decides it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from ..errors import InputError, WorklistError
from ..review.decisions import Decision, ReviewStatus
from ..review.worklist import Worklist, WorklistCase
from ..scene.node_cases import segment_ids
from ..scene.worklist_cases import chosen_segments, close_case, drawing_times, load_case, save_segmentation
from .module_protocol import Parameters
from .panel_protocol import Panel

_KEEP_ALIVE_MS = 60_000


class WorklistSection:
    """The list of cases and the case that is open.

    Args:
        panel: Of it are used: ui, parameters, results, reviewer, logic.torchInstalled, assess, go_to_row,
            errors_in_panel and refresh.
    """

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        self._ui = ui = panel.ui
        self._path = ""
        self._worklist: Worklist | None = None
        self._cases: list[WorklistCase] = []
        self._case: WorklistCase | None = None
        self._skipped: set[str] = set()
        self._saved_at: dict[str, int] = {}  # drawing times of its segments when they were saved last
        self._decided: WorklistCase | None = None  # while its segmentation is still in the scene
        self._nodes: tuple[Any, Any] = (None, None)
        self._unseen: Any = None  # the segmentation of a case that was opened and has no scores yet
        labels = [_("Case"), _("Dice"), _("Interval"), _("Status"), _("Reviewer")]
        ui.worklistTable.setColumnCount(len(labels))
        ui.worklistTable.setHorizontalHeaderLabels(labels)
        ui.worklistTable.verticalHeader().hide()
        ui.worklistTable.horizontalHeader().setStretchLastSection(True)
        ui.worklistPath.connect("currentPathChanged(QString)", self._on_path)
        for button, action in (
            (ui.openWorklistButton, self.open),
            (ui.nextCaseButton, self.next),
            (ui.openCaseButton, self.open_selected),
            (ui.saveCaseButton, self.save),
        ):
            button.connect("clicked(bool)", lambda checked=False, action=action: self._run(action))
        self._enable()

    @property
    def case(self) -> WorklistCase | None:
        """The open case, while its segmentation is in the scene."""
        segmentation = self._nodes[1]
        return self._case if segmentation is not None and segmentation.GetScene() is not None else None

    def has_open(self, segmentation_node: Any) -> bool:
        """Whether a segmentation is the one of the open case."""
        return self.case is not None and segmentation_node is self._nodes[1]

    def open(self) -> None:
        """Open the worklist of the folder or manifest that is written in the panel."""
        if not self._path:
            raise InputError("No worklist is chosen: choose the folder of a cohort's results, or a manifest.")
        if not self._panel.reviewer.strip():
            raise InputError("The reviewer has no name: enter your name as the reviewer first.")
        self._close()
        self._skipped.clear()
        self._worklist = Worklist.open(self._path, self._panel.reviewer)
        self._keep_alive(self._worklist)
        self.show()

    def next(self) -> None:
        """Open the worst case left; those that were left undecided before come last."""
        parameters = self._panel.parameters
        if self._worklist is None or parameters is None:
            return
        if self.case is not None:
            self._skipped.add(self.case.name)
        self._close()
        case = self._worklist.next(self._skipped)
        if case is None:
            self._skipped.clear()
            case = self._worklist.next()
        if case is None:
            self.show()
            self._ui.statusLabel.setText(_("No case is left: each one is decided or open elsewhere."))
            return
        self._load(case, parameters)

    def open_selected(self) -> None:
        """Open the selected case; asks first where another reviewer has it open."""
        row, parameters = self._ui.worklistTable.currentRow(), self._panel.parameters
        if self._worklist is None or parameters is None or not 0 <= row < len(self._cases):
            return
        chosen = self._worklist.case(self._cases[row].name)
        theirs = chosen.status is ReviewStatus.IN_PROGRESS and chosen.name != (self._case.name if self._case else None)
        question = _("The case {case} is open in a session of {reviewer}. Take it over?").format(
            case=chosen.name, reviewer=chosen.reviewer
        )
        if theirs and not slicer.util.confirmYesNoDisplay(question):
            return
        self._close()
        self._load(self._worklist.open_case(chosen.name, take_over=theirs), parameters)

    def save(self) -> None:
        """Save the open case as a new version beside the original."""
        if self._worklist is None or self._case is None:
            return
        segmentation = self._nodes[1]
        saved = self._worklist.save(self._case.name, lambda path: save_segmentation(segmentation, path))
        self._saved_at = drawing_times(segmentation)
        self.show()
        self._say_saved(self._worklist.case(self._case.name), saved)

    def decide(self, decision: Decision, comment: str) -> None:
        """Close the open case with a decision on it; corrections are saved first."""
        if self._worklist is None or self.case is None or self._case is None:
            return
        if self._changed():
            self.save()
        corrected = self._worklist.case(self._case.name).saved is not None
        status = ReviewStatus.CORRECTED if decision == Decision.ACCEPTED and corrected else ReviewStatus(decision)
        self._decided = self._worklist.decide(self._case.name, status, comment)
        self._case = None
        self.show()

    def leave(self) -> None:
        """Put the open case back before its nodes are removed; changes are saved as a new version."""
        case = self._case or self._decided
        with self._panel.errors_in_panel():
            if self._worklist is not None and case is not None and self._changed():
                self._save_before_closing(self._worklist, case)
        with self._panel.errors_in_panel():
            self._put_back()
        self._nodes, self._decided, self._unseen = (None, None), None, None
        self._enable()

    def forget(self) -> None:
        """Leave the open case and the worklist, before the panel is deleted."""
        self.leave()
        self._worklist = None  # ends the signs of life

    def show(self) -> None:
        """Show the cases as they stand."""
        if self._worklist is None:
            return
        self._cases = self._worklist.cases()
        table = self._ui.worklistTable
        table.setRowCount(len(self._cases))
        for row, case in enumerate(self._cases):
            scored = case.dice is not None
            cells = (
                case.name,
                f"{case.dice:.2f}" if scored else "–",
                f"{case.low:.2f} – {case.high:.2f}" if scored else "–",
                _(case.status.value),
                case.reviewer or "",
            )
            for column, text in enumerate(cells):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(case.reason or case.comment)
                table.setItem(row, column, item)
        table.resizeColumnsToContents()
        done = sum(case.status.is_decided for case in self._cases)
        self._ui.worklistLabel.setText(_("{done} of {cases} cases decided.").format(done=done, cases=len(self._cases)))
        self._enable()

    def _load(self, case: WorklistCase, parameters: Parameters) -> None:
        self._case = case
        try:
            self._nodes = load_case(slicer.mrmlScene, case, parameters.threshold)
        except Exception:
            self._skipped.add(case.name)  # else Next would try this case again and again
            self._put_back()
            self.show()
            raise
        self._saved_at = drawing_times(self._nodes[1])
        self.show()
        self._show_in_panel(case, parameters)

    def _show_in_panel(self, case: WorklistCase, parameters: Parameters) -> None:
        """Choose the case's nodes and segments; without stored scores it is assessed."""
        volume_node, segmentation_node = self._nodes
        chosen = chosen_segments(segmentation_node, case)
        was_modifying = parameters.StartModify()
        parameters.segmentation, parameters.volume = segmentation_node, volume_node
        parameters.deselected = "\n".join(key for key in segment_ids(segmentation_node) if key not in chosen)
        parameters.EndModify(was_modifying)
        slicer.util.setSliceViewerLayers(background=volume_node, fit=True)
        self._panel.refresh()
        self._unseen = segmentation_node
        self.show_worst()
        if self._unseen is not None and self._panel.logic.torchInstalled():
            self._panel.assess()

    def show_worst(self) -> None:
        """Go to the worst slice of the case that was opened, once it has scores."""
        parameters = self._panel.parameters
        chosen = parameters is not None and parameters.segmentation is self._unseen
        if self._unseen is not None and chosen and self._panel.results.reports:
            self._unseen = None
            self._panel.go_to_row(0)

    def _run(self, action: Callable[[], None]) -> None:
        with self._panel.errors_in_panel():
            action()

    def _close(self) -> None:
        """Close the open case, or the one decided last, after asking what to do with its changes."""
        case = self._case or self._decided
        if self._worklist is not None and case is not None and self._changed():
            question = _("The case {case} was changed. Save a new version before it is closed?").format(case=case.name)
            if slicer.util.confirmYesNoDisplay(question):
                self._save_before_closing(self._worklist, case)
        self._put_back()
        close_case(slicer.mrmlScene, *self._nodes)
        self._nodes, self._decided, self._unseen = (None, None), None, None

    def _save_before_closing(self, worklist: Worklist, case: WorklistCase) -> None:
        if self._case is not None:
            self.save()
            return
        # Edited after it was decided: the decision holds for the new version, unless another one was made since.
        now = worklist.case(case.name)
        if (now.status, now.decided) != (case.status, case.decided):
            saved = worklist.save(case.name, lambda path: save_segmentation(self._nodes[1], path))
            self._say_saved(worklist.case(case.name), saved)
            return
        self._case = worklist.open_case(case.name)
        decision = ReviewStatus.ACCEPTED if case.status is ReviewStatus.CORRECTED else case.status
        self.decide(Decision(decision.value), case.comment)

    def _say_saved(self, case: WorklistCase, saved: Path) -> None:
        text = _("Saved as {name}.").format(name=saved.name)
        if case.saved != saved:
            text += " " + _("It is not the version of the case {case}, which is {reviewer}'s now.").format(
                case=case.name, reviewer=case.reviewer
            )
        self._ui.statusLabel.setText(text)

    def _put_back(self) -> None:
        if self._worklist is not None and self._case is not None:
            case, self._case = self._case, None
            self._worklist.release(case.name)

    def _changed(self) -> bool:
        segmentation = self._nodes[1]
        in_scene = segmentation is not None and segmentation.GetScene() is not None
        return in_scene and drawing_times(segmentation) != self._saved_at

    def _enable(self) -> None:
        opened = self._worklist is not None
        self._ui.nextCaseButton.setEnabled(opened)
        self._ui.openCaseButton.setEnabled(opened)
        self._ui.saveCaseButton.setEnabled(self.case is not None)

    def _on_path(self, path: str) -> None:
        self._path = str(Path(path)) if path else ""

    def _keep_alive(self, worklist: Worklist) -> None:
        if worklist is self._worklist:
            with suppress(WorklistError):  # locked, or the network is gone: it is tried again in a minute
                worklist.keep_alive()
            qt.QTimer.singleShot(_KEEP_ALIVE_MS, lambda: self._keep_alive(worklist))
