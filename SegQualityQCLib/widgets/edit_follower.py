"""Notices edits of a segmentation by any tool, and asks for a re-scoring when they pause."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer

# Painting fires many events; scoring begins when they pause.
_PAUSE_MS = 50


class EditFollower:
    """Observes one segmentation at a time.

    Args:
        on_pause: Called when the segmentation was edited and the edits have paused.
    """

    def __init__(self, on_pause: Callable[[], None]) -> None:
        self._node: Any = None
        self._tags: list[int] = []
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PAUSE_MS)
        self._timer.connect("timeout()", on_pause)

    def watch(self, segmentation_node: Any) -> None:
        """Observe this segmentation and no other; ``None`` observes none."""
        if segmentation_node is self._node:
            return
        for tag in self._tags:
            self._node.RemoveObserver(tag)
        self._node, self._tags = segmentation_node, []
        if segmentation_node is None:
            return
        # The node passes on what its vtkSegmentation says, also after that was replaced by another one.
        for event in (
            slicer.vtkMRMLSegmentationNode.SegmentationChangedEvent,
            slicer.vtkSegmentation.SourceRepresentationModified,
            slicer.vtkSegmentation.SegmentAdded,
            slicer.vtkSegmentation.SegmentRemoved,
            slicer.vtkSegmentation.SegmentModified,
            slicer.vtkMRMLTransformableNode.TransformModifiedEvent,
        ):
            self._tags.append(segmentation_node.AddObserver(event, lambda *_: self.edited()))

    def edited(self) -> None:
        """Note an edit, also one that was made while nobody observed."""
        self._timer.start()  # anew, where it runs
