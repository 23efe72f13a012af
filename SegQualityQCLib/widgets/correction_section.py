"""Slicer's segment editor within the panel, to correct slices where they are assessed."""

from __future__ import annotations

from typing import Any

import slicer

from ..scene.originals import restore_slice, show_original
from ..scene.stored_results import assessed_volume, check_assessed
from .module_protocol import Parameters
from .panel_protocol import Panel

# What a slice repair needs; the other effects stay in the Segment Editor module.
EFFECTS = ["Paint", "Draw", "Erase", "Smoothing", "Fill between slices"]
_UNDO_STATES = 20
_TAG = "SegQualityQC"


class CorrectionSection:
    """The segment editor, created when it is first needed, and the segmentation as it was before corrections.

    Args:
        panel: Of it are used: ui, parameters, table, results and errors_in_panel.
    """

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        self.editor: Any = None
        self.entered = False
        self._unfolded = False
        self._compared: Any = None  # the segmentation whose original is shown
        ui = panel.ui
        ui.correctButton.connect("contentsCollapsed(bool)", self._on_collapsed)
        ui.compareCheck.connect("toggled(bool)", self._on_compare)
        ui.restoreButton.connect("clicked(bool)", lambda checked=False: self._restore())

    def resume(self) -> None:
        """Set the editor again, where it was in use when the module was left."""
        if self._unfolded:
            self._enter()

    def show(self, parameters: Parameters) -> None:
        """Follow the chosen segmentation: with the editor, where it is unfolded, and the outline of the original."""
        segmentation = parameters.segmentation
        if self._unfolded:
            if not self._panel.table.rows:
                self.release()
            elif not self.entered or self.editor.segmentationNode() is not segmentation:
                self._enter()
        if self._panel.ui.compareCheck.isChecked() and segmentation is not self._compared:
            self._compare(segmentation)

    def follow_selection(self) -> None:
        """Set the editor, where it is unfolded, to the segment of the selected row."""
        if self._unfolded:
            self._enter()

    def _on_collapsed(self, collapsed: bool) -> None:
        self._unfolded = not collapsed
        if collapsed:
            self.leave()
        else:
            self._enter()

    def _enter(self) -> None:
        table, parameters = self._panel.table, self._panel.parameters
        if not table.rows or parameters is None:
            return
        key = (table.selected or table.rows[0])[0]
        self._set_editor(parameters.segmentation, assessed_volume(parameters.segmentation), key)

    def _on_compare(self, checked: bool) -> None:
        if self._panel.parameters is not None:
            self._compare(self._panel.parameters.segmentation if checked else None)

    def _compare(self, segmentation_node: Any) -> None:
        """Show the original of this segmentation only."""
        if self._compared is not None and self._compared.GetScene() is not None:
            show_original(self._compared, False)
        shown = segmentation_node is not None and show_original(segmentation_node, True)
        self._compared = segmentation_node if shown else None

    def _restore(self) -> None:
        selected, parameters = self._panel.table.selected, self._panel.parameters
        if selected is None or parameters is None:
            return
        key, index = selected
        with self._panel.errors_in_panel():
            check_assessed(parameters.segmentation)
            if self.editor is not None and self.entered:
                self.editor.saveStateForUndo()
            axis = self._panel.results.reports[key].case.axis
            restore_slice(parameters.segmentation, assessed_volume(parameters.segmentation), key, axis, index)

    def _set_editor(self, segmentation_node: Any, volume_node: Any, segment_id: str) -> None:
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
        self._compare(None)
        if self.editor is not None:
            self.leave()
            self.editor.setSegmentationNode(None)
            self.editor.setSourceVolumeNode(None)

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
        self._panel.ui.editorFrame.layout().addWidget(self.editor)


def _editor_node() -> Any:
    """The editor's state, one a scene; apart from that of the Segment Editor module, which must not change."""
    node = slicer.mrmlScene.GetSingletonNode(_TAG, "vtkMRMLSegmentEditorNode")
    if node is None:
        node = slicer.vtkMRMLSegmentEditorNode()
        node.SetSingletonTag(_TAG)
        node = slicer.mrmlScene.AddNode(node)
    return node
