"""Going from slice to slice: with buttons, a double click, shortcuts and clicks on the chart."""

from __future__ import annotations

from typing import Any

import slicer
from slicer.i18n import tr as _

from ..scene.ordering import low_unreviewed
from ..scene.plots import slice_of_point
from ..scene.result_nodes import CHART, existing_node
from ..scene.stored_results import assessed_volume
from ..scene.visibility import outlines_shown, show_outlines
from .module_protocol import Parameters
from .panel_protocol import Panel
from .slice_view_marks import SliceViewMarks

_POINT_SELECTED = "dataSelected(vtkStringArray*,vtkCollection*)"


class NavigationSection:
    """The buttons under the table, the marks in the slice views and the points of the chart.

    Args:
        panel: Of it are used: ui, parameters, table, results, logic.goToSlice and errors_in_panel.
    """

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        self._plot_views: list[Any] = []
        self._installed = False
        self._marks = SliceViewMarks(slicer.app.layoutManager())
        ui = panel.ui
        for button, action in (
            (ui.goButton, self.go),
            (ui.nextButton, self.next),
            (ui.nextLowButton, self.next_low),
            (ui.previousButton, self.previous),
            (ui.chartButton, self._show_chart),
        ):
            button.connect("clicked(bool)", lambda checked=False, action=action: action())
        ui.resultsTable.connect("cellDoubleClicked(int,int)", lambda row, column: self.go_to_row(row))

    def install(self) -> None:
        """Mark the slice views and listen to the plot views, while the module is open."""
        layout_manager = slicer.app.layoutManager()
        if layout_manager is None or self._installed:
            return
        self._installed = True
        layout_manager.connect("layoutChanged(int)", self._on_layout)
        self._listen(layout_manager)

    def remove(self) -> None:
        """Leave the views as they were."""
        if self._installed:
            self._installed = False
            slicer.app.layoutManager().disconnect("layoutChanged(int)", self._on_layout)
            self._stop_listening()

    def _on_layout(self, layout: int) -> None:
        """Another layout may have other views."""
        self._stop_listening()
        self._listen(slicer.app.layoutManager())

    def _listen(self, layout_manager: Any) -> None:
        self._marks.install()
        for n in range(layout_manager.plotViewCount):
            view = layout_manager.plotWidget(n).plotView()
            view.connect(_POINT_SELECTED, self._on_point)
            self._plot_views.append(view)

    def _stop_listening(self) -> None:
        self._marks.remove()
        for view in self._plot_views:
            view.disconnect(_POINT_SELECTED, self._on_point)
        self._plot_views = []

    def show(self, parameters: Parameters) -> None:
        """Mark the slices of the selected segment; of the first one where none is selected."""
        results, selected = self._panel.results, self._panel.table.selected
        key = selected[0] if selected else next(iter(results.reports), "")
        volume = assessed_volume(parameters.segmentation) if parameters.segmentation is not None else None
        self._marks.show(volume, results, key, parameters.threshold)

    def go(self) -> None:
        """Take the slice views to the selected row."""
        self.go_to_row(max(0, self._panel.table.selected_row))

    def next(self) -> None:
        """To the row below."""
        self.go_to_row(min(len(self._panel.table.rows) - 1, self._panel.table.selected_row + 1))

    def previous(self) -> None:
        """To the row above."""
        self.go_to_row(max(0, self._panel.table.selected_row - 1))

    def next_low(self) -> None:
        """To the next low slice that was not reviewed."""
        table, parameters = self._panel.table, self._panel.parameters
        if parameters is None:
            return
        low = low_unreviewed(self._panel.results, parameters.threshold)
        rows = [row for row, entry in enumerate(table.rows) if entry in low]
        if rows:
            self.go_to_row(next((row for row in rows if row > table.selected_row), rows[0]))
        else:
            self._panel.ui.statusLabel.setText(_("No slice below the threshold is left to review."))

    def go_to_row(self, row: int) -> None:
        """Select a row and take the slice views there."""
        table, parameters = self._panel.table, self._panel.parameters
        if parameters is None or not 0 <= row < len(table.rows):
            return
        table.select(row)
        with self._panel.errors_in_panel():
            self._panel.logic.goToSlice(parameters.segmentation, *table.rows[row])

    def toggle_overlay(self) -> None:
        """Colour the slices, or stop it."""
        parameters = self._panel.parameters
        if parameters is not None:
            parameters.showOverlay = not parameters.showOverlay

    def toggle_outline(self) -> None:
        """Hide the segmentation in the slice views, or show it again."""
        parameters = self._panel.parameters
        if parameters is not None and parameters.segmentation is not None:
            show_outlines(parameters.segmentation, not outlines_shown(parameters.segmentation))

    def _show_chart(self) -> None:
        parameters = self._panel.parameters
        chart = existing_node(parameters.segmentation, CHART) if parameters is not None else None
        if chart is not None:
            slicer.modules.plots.logic().ShowChartInLayout(chart)

    def _on_point(self, series_ids: Any, selections: Any) -> None:
        for n in range(series_ids.GetNumberOfValues()):
            series, rows = slicer.mrmlScene.GetNodeByID(series_ids.GetValue(n)), selections.GetItemAsObject(n)
            found = slice_of_point(series, rows.GetValue(0)) if series is not None and rows is not None else None
            matching = [row for row, entry in enumerate(self._panel.table.rows) if found in (entry, ("", entry[1]))]
            if matching:
                self.go_to_row(matching[0])
                return
