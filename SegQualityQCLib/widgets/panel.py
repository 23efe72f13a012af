"""The module's panel: shows the parameters and the results of the scene, and runs assessments."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from ..errors import SegQualityError
from ..review.decisions import Decision
from ..scene.assessment import Progress
from ..scene.node_cases import segment_ids
from ..scene.plots import drawn_threshold, write_chart
from ..scene.result_nodes import TABLE, existing_node
from ..scene.stored_results import assessed_volume, check_assessed
from .correction_section import CorrectionSection
from .edit_follower import EditFollower
from .inputs_section import InputsSection
from .module_protocol import Logic, Parameters
from .navigation_section import NavigationSection
from .node_choices import NodeChoices
from .results_table import ResultsTable
from .review_section import ReviewSection
from .steps import Steps
from .summary import summary
from .worklist_section import WorklistSection

# What the coloured slices and surfaces show: segmentation, slices on, surfaces on, identifiers of the segments.
_Colours = tuple[Any, bool, bool, tuple[str, ...]]


class AssessmentPanel:
    """Joins the sections of the panel. It holds no computation: the logic computes, in steps of the event loop.

    Args:
        ui: The widgets of the .ui file, by name.
        logic: Assesses, scores again and keeps decisions.
    """

    def __init__(self, ui: Any, logic: Logic) -> None:
        self.ui = ui
        self.logic = logic
        self.parameters: Parameters | None = None
        self.results = logic.results(None)
        self._updates = 0
        self._follows_edits = True
        self._edited_meanwhile = False  # while the steps ran
        self._another_image = False  # the panel says that another image is shown than was assessed
        self._coloured: _Colours | None = None  # as last shown
        self._table_node: Any = None  # whose results were last shown
        self._choices = NodeChoices()
        self.table = ResultsTable(ui.resultsTable)
        self.steps = Steps(self._on_progress, self._on_steps_failed, self._on_steps_end)
        self._edits = EditFollower(self._on_edits_paused)
        self._nodes_timer = qt.QTimer()
        self._nodes_timer.setSingleShot(True)
        self._nodes_timer.setInterval(0)
        self._nodes_timer.connect("timeout()", self._on_nodes_settled)
        self._inputs = InputsSection(self)
        self.navigation = NavigationSection(self)
        self.correction = CorrectionSection(self)
        self.review = ReviewSection(self)
        self.worklist = WorklistSection(self)
        ui.assessButton.connect("clicked(bool)", lambda checked=False: self.assess())
        ui.resultsTable.connect("itemSelectionChanged()", self._on_selected)

    # What the module's widget tells the panel.

    def enter(self) -> None:
        """The module was opened: use the views, and look for edits that were made while it was closed."""
        self.navigation.install()
        self.correction.resume()
        self._edits.edited()

    def leave(self) -> None:
        """Another module is opened: leave the views. An assessment goes on and writes its results into the scene."""
        self._nodes_timer.stop()
        self.navigation.remove()
        self.correction.leave()

    def stop(self) -> None:
        """End the work and put the open case of the worklist back, before the panel is deleted."""
        self.steps.stop()
        self.worklist.forget()

    def release_scene(self) -> None:
        """Let go of all nodes before the scene is closed."""
        if self.steps.running:
            self.steps.stop()
            self.ui.statusLabel.setText(_("Cancelled: the scene was closed."))
        self.correction.release()
        self.worklist.leave()
        self._coloured = self._table_node = None

    def follow(self, parameters: Parameters | None) -> None:
        """Show this parameter node from now on; ``None`` while the module is not open."""
        self.parameters = parameters
        if parameters is None:
            self._edits.watch(None)
            return
        self._choices.keep(parameters)
        self.refresh()

    def parameters_changed(self) -> None:
        """A parameter changed, by the user or by a script."""
        if self.parameters is not None:
            with self.updating():
                self._choices.follow_segmentation(self.parameters)
        self.refresh()

    def nodes_changed(self) -> None:
        """A node came or goes: looked at once for many of them, and when each has its data or is gone."""
        self._nodes_timer.start()

    def choose_defaults(self) -> None:
        """Where nothing is chosen, choose the first segmentation and its reference volume."""
        if self.parameters is not None:
            self._choices.choose_defaults(self.parameters)

    # What the sections use: see panel_protocol.

    @property
    def listening(self) -> bool:
        """Whether a change of a widget comes from the user."""
        return self._updates == 0 and self.parameters is not None

    @property
    def reviewer(self) -> str:
        """The reviewer's name as it is written in the panel."""
        return self.review.reviewer

    @contextmanager
    def updating(self) -> Iterator[None]:
        """While it is open, changes of widgets come from the panel itself."""
        self._updates += 1
        try:
            yield
        finally:
            self._updates -= 1

    @contextmanager
    def errors_in_panel(self) -> Iterator[None]:
        """Shows an error that the user can act on in the panel, and ends it there; Slicer logs any other error."""
        try:
            yield
        except SegQualityError as error:
            self.ui.statusLabel.setText(str(error))

    def go_to_row(self, row: int) -> None:
        """Select a row of the table and take the slice views to its slice."""
        self.navigation.go_to_row(row)

    def decide_open_case(self, segmentation_node: Any, decision: Decision, comment: str) -> None:
        """Decide the open case of the worklist, where it is the one of this segmentation."""
        if self.worklist.has_open(segmentation_node):
            self.worklist.decide(decision, comment)

    def refresh(self) -> None:
        """Show the parameters and the results that the segmentation keeps."""
        parameters = self.parameters
        if parameters is None or not self.listening:
            return
        segmentation = parameters.segmentation
        with self.updating():
            self._edits.watch(segmentation, assessed_volume(segmentation) if segmentation is not None else None)
            self._inputs.show(parameters)
            self._show_results(parameters)
        self.correction.show(parameters)
        self._enable_buttons()
        if parameters.follow and not self._follows_edits:
            self._edits.edited()  # they were not followed until now
        self._follows_edits = parameters.follow

    def assess(self) -> None:
        """Start an assessment; where one runs, cancel it."""
        parameters = self.parameters
        if self.steps.running:
            self.steps.stop()
            self.ui.statusLabel.setText(_("Cancelled: nothing was changed."))
            self._enable_buttons()
            return
        if parameters is None:
            return
        self._coloured = None  # show the new colours in any case
        self._another_image = False
        deselected = parameters.deselected.split("\n")
        self.ui.statusLabel.setText(_("Loading the model..."))
        self.ui.progressBar.setValue(0)
        self.steps.start(
            self.logic.iterAssess(
                parameters.volume,
                parameters.segmentation,
                segmentIds=[key for key in segment_ids(parameters.segmentation) if key not in deselected],
                model=parameters.model or None,
                axis=parameters.axis or None,
                threshold=parameters.threshold,
                difference=parameters.difference,
            )
        )
        self._enable_buttons()

    # Showing.

    def _show_results(self, parameters: Parameters) -> None:
        segmentation = parameters.segmentation
        self.results = self.logic.results(None)
        self._table_node = self._results_table()
        with self.errors_in_panel():
            self.results = self.logic.results(segmentation)
        self.table.show(self.results, parameters.order, parameters.threshold)
        self.ui.summaryLabel.setText(summary(self.results.reports, parameters.threshold))
        self._show_colours(parameters)
        if self.results.reports and drawn_threshold(segmentation) != parameters.threshold:
            write_chart(segmentation, self.results.reports, parameters.threshold)
        self.navigation.show(parameters)

    def _show_colours(self, parameters: Parameters) -> None:
        """Colour slices and surfaces only where that changed: the user may have chosen another foreground since."""
        shown = parameters.segmentation if self.results.reports else None
        wanted = (shown, parameters.showOverlay, parameters.showSurface, tuple(self.results.reports))
        if wanted == self._coloured:
            return
        before = self._coloured[0] if self._coloured is not None else None
        self._coloured = wanted
        if before is not None and before is not shown and before.GetScene() is not None:
            self.logic.showResults(before, False, False)
        if shown is not None:
            self.logic.showResults(shown, parameters.showOverlay, parameters.showSurface)

    def _results_table(self) -> Any | None:
        """The table node of the chosen segmentation."""
        segmentation = self.parameters.segmentation if self.parameters is not None else None
        return existing_node(segmentation, TABLE) if segmentation is not None else None

    def _enable_buttons(self) -> None:
        ui, parameters = self.ui, self.parameters
        if parameters is None:
            return
        running, shown = self.steps.running, bool(self.table.rows)
        ui.assessButton.setText(_("Cancel") if running else _("Assess"))
        ready = parameters.volume is not None and parameters.segmentation is not None
        ui.assessButton.setEnabled(running or (ready and self.logic.torchInstalled()))
        for button in (ui.goButton, ui.nextButton, ui.nextLowButton, ui.previousButton, ui.chartButton):
            button.setEnabled(shown)
        ui.inputsButton.setEnabled(not running)
        ui.correctButton.setEnabled(shown)
        ui.progressBar.setVisible(running)
        self._enable_decisions(parameters)

    def _enable_decisions(self, parameters: Parameters) -> None:
        """Slices can be decided on and restored while none is being scored."""
        ready = bool(self.table.rows) and not self.steps.running
        self.ui.restoreButton.setEnabled(ready and self.table.selected is not None)
        self.review.show(ready, parameters.threshold)

    # Events.

    def _on_nodes_settled(self) -> None:
        """A changed parameter refreshes the panel; results that were added or removed change none."""
        if self.parameters is None or slicer.mrmlScene.IsBatchProcessing():
            return
        self.choose_defaults()
        if self._results_table() is not self._table_node:
            self.refresh()

    def _on_selected(self) -> None:
        if self.parameters is not None and self.listening:
            self.navigation.show(self.parameters)
            self._enable_buttons()
            self.correction.follow_selection()

    def _on_progress(self, progress: Progress) -> None:
        self.ui.progressBar.setValue(int(100 * progress.fraction))
        self.ui.statusLabel.setText(progress.text)

    def _on_steps_failed(self, error: Exception) -> None:
        self._enable_buttons()
        if isinstance(error, SegQualityError):
            self.ui.statusLabel.setText(str(error))
            return
        self.ui.statusLabel.setText(_("The assessment failed; the error log says more."))
        slicer.util.errorDisplay(_("The assessment failed: {reason}").format(reason=error))

    def _on_steps_end(self) -> None:
        self.refresh()
        self.worklist.show_worst()
        if self._edited_meanwhile:
            self._edits.edited()

    def _on_edits_paused(self) -> None:
        """Score edited slices again, where the panel follows edits and the assessed image is shown."""
        parameters = self.parameters
        self._edited_meanwhile = self.steps.running
        if parameters is None or self.steps.running or parameters.segmentation is None:
            return
        with self.updating():
            self._inputs.show_segments(parameters)
        assessed = self._shows_assessed_image(parameters.segmentation)
        if assessed and parameters.follow and self.results.reports and self.logic.torchInstalled():
            self.steps.start(self.logic.iterRescore(parameters.segmentation, parameters.threshold))
            self._enable_decisions(parameters)

    def _shows_assessed_image(self, segmentation_node: Any) -> bool:
        """Whether the assessed image is shown; where it is another frame of a sequence, the panel says so."""
        was, self._another_image = self._another_image, True
        with self.errors_in_panel():
            check_assessed(segmentation_node)
            self._another_image = False
        if was and not self._another_image:
            self.ui.statusLabel.setText("")
        return not self._another_image
