"""Stand-in for qMRMLSegmentEditorWidget: its nodes, its undo, and what it has switched on; it draws nothing itself."""

import slicer
from PySide6 import QtWidgets


class qMRMLSegmentEditorWidget(QtWidgets.QLabel):
    unorderedEffectsVisible = True

    def __init__(self):
        super().__init__("Segment editor")
        self.observing = self.shortcuts = False
        self.effect, self.states = None, []
        self._segmentation = self._volume = self._node = None
        self._segment_id = ""

    def setMRMLScene(self, scene):
        self.scene = scene

    def setMRMLSegmentEditorNode(self, node):
        self._node = node

    def setSegmentationNode(self, node):
        self._segmentation = node

    def segmentationNode(self):
        return self._segmentation

    def setSourceVolumeNode(self, node):
        self._volume = node

    def sourceVolumeNode(self):
        return self._volume

    def setCurrentSegmentID(self, segment_id):
        self._segment_id = segment_id

    def currentSegmentID(self):
        return self._segment_id

    def setEffectNameOrder(self, names):
        assert isinstance(names, list)
        self.names = names

    def setMaximumNumberOfUndoStates(self, count):
        self.maximum = count

    def setSegmentationNodeSelectorVisible(self, visible):
        pass

    def setSourceVolumeNodeSelectorVisible(self, visible):
        pass

    def setSwitchToSegmentationsButtonVisible(self, visible):
        pass

    def setActiveEffect(self, effect):
        self.effect = effect

    def setActiveEffectByName(self, name):
        self.effect = name

    def installKeyboardShortcuts(self):
        self.shortcuts = True

    def uninstallKeyboardShortcuts(self):
        self.shortcuts = False

    def setupViewObservations(self):
        self.observing = True

    def removeViewObservations(self):
        self.observing = False

    def saveStateForUndo(self):
        copy = slicer.vtkSegmentation()
        copy.DeepCopy(self._segmentation.GetSegmentation())
        self.states = [*self.states, copy][-self.maximum :]

    def undo(self):
        state = self.states.pop()
        segmentation = self._segmentation.GetSegmentation()
        for n in range(state.GetNumberOfSegments()):
            segment_id = state.GetNthSegmentID(n)
            segmentation.GetSegment(segment_id).DeepCopy(state.GetSegment(segment_id))
