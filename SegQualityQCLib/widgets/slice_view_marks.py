"""Marks in the slice views of the application's layout, which follow what each view shows."""

from __future__ import annotations

from typing import Any

import vtk

from ..scene.navigation import shown_slice
from ..scene.slice_marks import SliceMark, colour_of_score, text_of
from ..scene.stored_results import Results


class SliceViewMarks:
    """Marks the slices that the slice views show.

    Args:
        layout_manager: The application's, or ``None`` without a window.
    """

    def __init__(self, layout_manager: Any) -> None:
        self._layout_manager = layout_manager
        self._marks: list[tuple[Any, Any, SliceMark, int]] = []  # view, slice node, mark, tag of the observer
        self._volume_node: Any = None
        self._results = Results({})
        self._segment_id = ""
        self._threshold = 0.0

    def install(self) -> None:
        """Begin to mark the views of the present layout."""
        if self._layout_manager is None or self._marks:
            return
        for name in self._layout_manager.sliceViewNames():
            widget = self._layout_manager.sliceWidget(name)
            view, node = widget.sliceView(), widget.mrmlSliceNode()
            mark = SliceMark(view.renderWindow().GetRenderers().GetFirstRenderer())
            tag = node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self.update())
            self._marks.append((view, node, mark, tag))
        self.update()

    def remove(self) -> None:
        """Take all marks and observers out of the views."""
        for view, node, mark, tag in self._marks:
            node.RemoveObserver(tag)
            mark.remove()
            view.scheduleRender()
        self._marks = []

    def show(self, volume_node: Any, results: Results, segment_id: str, threshold: float) -> None:
        """Mark the slices of a segment's report from now on; an unknown segment marks nothing."""
        self._volume_node, self._results, self._segment_id = volume_node, results, segment_id
        self._threshold = threshold
        self.update()

    def update(self) -> None:
        """Mark what the views show now."""
        report = self._results.reports.get(self._segment_id)
        for view, node, mark, _ in self._marks:
            index = None
            if report is not None and self._volume_node is not None and self._volume_node.GetScene() is not None:
                index = shown_slice(node, self._volume_node, report.case.axis)
            if report is None or index is None or index >= report.case.slices:
                mark.hide()
            else:
                score = report.slice(index)
                before = self._results.before.get(self._segment_id, {}).get(index)
                mark.show(text_of(score, report.case.segment, self._threshold, before), colour_of_score(score))
            view.scheduleRender()
