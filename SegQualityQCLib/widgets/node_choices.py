"""What the panel chooses by itself: nodes where none are chosen, and the image of another segmentation."""

from __future__ import annotations

from typing import Any

import slicer

from ..scene.default_nodes import default_segmentation, default_volume, reference_volume
from .module_protocol import Parameters


class NodeChoices:
    """Chooses segmentation and volume; not while a scene is loaded, which brings choices of its own."""

    def __init__(self) -> None:
        self._chosen: tuple[Any, Any] = (None, None)  # segmentation and volume, as last seen

    def keep(self, parameters: Parameters) -> None:
        """Take what a parameter node brings as chosen."""
        self._chosen = (parameters.segmentation, parameters.volume)

    def choose_defaults(self, parameters: Parameters) -> None:
        """Where nothing is chosen, choose the first segmentation and its reference volume."""
        if slicer.mrmlScene.IsBatchProcessing():
            return
        was_modifying = parameters.StartModify()
        if parameters.segmentation is None:
            segmentation = default_segmentation(slicer.mrmlScene)
            if segmentation is not None:
                parameters.segmentation = segmentation
        if parameters.volume is None:
            volume = default_volume(slicer.mrmlScene, parameters.segmentation)
            if volume is not None:
                parameters.volume = volume
        parameters.EndModify(was_modifying)

    def follow_segmentation(self, parameters: Parameters) -> None:
        """Assess another segmentation on its own image and with all segments.

        Where a volume was chosen together with the segmentation, volume and segments stay as they were chosen.
        """
        if slicer.mrmlScene.IsBatchProcessing():
            return
        segmentation, volume = self._chosen
        self.keep(parameters)
        if parameters.segmentation is segmentation or parameters.volume is not volume:
            return
        parameters.deselected = ""
        reference = reference_volume(parameters.segmentation)
        if reference is not None:
            parameters.volume = reference
