"""What the sections use of the panel that holds them."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol

from ..review.decisions import Decision
from ..scene.stored_results import Results
from .module_protocol import Logic, Parameters
from .results_table import ResultsTable
from .steps import Steps


class Panel(Protocol):
    """The panel as its sections see it; widgets.panel.AssessmentPanel is the real one.

    Attributes:
        ui: The widgets of the .ui file, by name.
        logic: Assesses, scores again and keeps decisions.
        table: The table of slices, with the selected one.
        steps: The assessment or the scoring that runs.
    """

    ui: Any
    logic: Logic
    table: ResultsTable
    steps: Steps

    @property
    def parameters(self) -> Parameters | None:
        """The parameter node; ``None`` while the module is not open."""

    @property
    def results(self) -> Results:
        """The results that are shown."""

    @property
    def listening(self) -> bool:
        """Whether a change of a widget comes from the user."""

    @property
    def reviewer(self) -> str:
        """The reviewer's name as it is written in the panel."""

    def updating(self) -> AbstractContextManager[None]:
        """While it is open, changes of widgets come from the panel itself."""

    def errors_in_panel(self) -> AbstractContextManager[None]:
        """Shows an error that the user can act on in the panel, and ends it there."""

    def refresh(self) -> None:
        """Show parameters and results as they are now."""

    def assess(self) -> None:
        """Start an assessment, or cancel the one that runs."""

    def go_to_row(self, row: int) -> None:
        """Select a row of the table and take the slice views to its slice."""

    def decide_open_case(self, segmentation_node: Any, decision: Decision, comment: str) -> None:
        """Decide the open case of the worklist, where it is the one of this segmentation."""
