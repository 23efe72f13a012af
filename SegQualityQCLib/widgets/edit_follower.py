"""Notices edits of a segmentation by any tool and another image in its volume; asks to score again when they pause."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer

# Painting fires many events; scoring begins when they pause.
_PAUSE_MS = 50


class EditFollower:
    """Observes one segmentation at a time, and the volume that it was assessed with.

    Args:
        on_pause: Called when the segmentation was edited, or the volume browsed, and that has paused.
    """

    def __init__(self, on_pause: Callable[[], None]) -> None:
        self._nodes: tuple[Any, Any] = (None, None)
        self._tags: list[tuple[Any, int]] = []
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PAUSE_MS)
        self._timer.connect("timeout()", on_pause)

    def watch(self, segmentation_node: Any, volume_node: Any = None) -> None:
        """Observe these nodes and no others; ``None`` observes none."""
        if segmentation_node is self._nodes[0] and volume_node is self._nodes[1]:
            return
        for node, tag in self._tags:
            node.RemoveObserver(tag)
        self._nodes, self._tags = (segmentation_node, volume_node), []
        if volume_node is not None:
            self._observe(volume_node, slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent)
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
            self._observe(segmentation_node, event)

    def _observe(self, node: Any, event: int) -> None:
        self._tags.append((node, node.AddObserver(event, lambda *_: self.edited())))

    def edited(self) -> None:
        """Note an edit, also one that was made while it was not observed."""
        self._timer.start()  # anew, where it runs
