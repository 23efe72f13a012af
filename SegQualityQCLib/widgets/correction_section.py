"""Slicer's segment editor within the panel, for corrections in place."""

from __future__ import annotations

from typing import Any

import slicer

# What a slice repair needs; the other effects stay in the Segment Editor module.
EFFECTS = ["Paint", "Draw", "Erase", "Smoothing", "Fill between slices"]
_UNDO_STATES = 20
_TAG = "SegQualityQC"


class CorrectionSection:
    """The segment editor, made when it is first needed.

    Args:
        frame: The widget that it is put into; must have a layout.
    """

    def __init__(self, frame: Any) -> None:
        self._frame = frame
        self.editor: Any = None
        self.entered = False

    def show(self, segmentation_node: Any, volume_node: Any, segment_id: str) -> None:
        """Set the editor to a segment and a volume."""
        if self.editor is None:
            self._make()
        self.editor.setMRMLSegmentEditorNode(_editor_node())
        self.editor.setSegmentationNode(segmentation_node)
        self.editor.setSourceVolumeNode(volume_node)
        if segmentation_node.GetSegmentation().GetSegment(segment_id) is not None:
            self.editor.setCurrentSegmentID(segment_id)
        if not self.entered:
            self.entered = True
            self.editor.setupViewObservations()
            self.editor.installKeyboardShortcuts()

    def leave(self) -> None:
        """Stop the effect, the shortcuts and the view observations."""
        if self.editor is None or not self.entered:
            return
        self.entered = False
        self.editor.setActiveEffect(None)
        self.editor.uninstallKeyboardShortcuts()
        self.editor.removeViewObservations()

    def release(self) -> None:
        """Let go of the nodes, before the scene is closed."""
        if self.editor is not None:
            self.leave()
            self.editor.setSegmentationNode(None)
            self.editor.setSourceVolumeNode(None)

    def save_state_for_undo(self) -> None:
        """Remember the segmentation, so that the editor's undo takes back what follows."""
        if self.editor is not None and self.entered:
            self.editor.saveStateForUndo()

    def _make(self) -> None:
        self.editor = slicer.qMRMLSegmentEditorWidget()
        self.editor.setMaximumNumberOfUndoStates(_UNDO_STATES)
        self.editor.setMRMLSegmentEditorNode(_editor_node())
        self.editor.setMRMLScene(slicer.mrmlScene)
        self.editor.setSegmentationNodeSelectorVisible(False)
        self.editor.setSourceVolumeNodeSelectorVisible(False)
        self.editor.setSwitchToSegmentationsButtonVisible(False)
        self.editor.setEffectNameOrder(EFFECTS)
        self.editor.unorderedEffectsVisible = False
        self._frame.layout().addWidget(self.editor)


def _editor_node() -> Any:
    """The editor's state, one a scene; not that of the Segment Editor module, whose choices it must not change."""
    node = slicer.mrmlScene.GetSingletonNode(_TAG, "vtkMRMLSegmentEditorNode")
    if node is None:
        node = slicer.vtkMRMLSegmentEditorNode()
        node.SetSingletonTag(_TAG)
        node = slicer.mrmlScene.AddNode(node)
    return node
