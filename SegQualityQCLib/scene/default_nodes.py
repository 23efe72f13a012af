"""Which nodes of a scene to assess where the user has not chosen any."""

from __future__ import annotations

from typing import Any

import slicer

from .result_nodes import is_result, nodes_of_class


def default_segmentation(scene: Any) -> Any | None:
    """The first segmentation node of a scene; not one that is hidden, such as the copy from before corrections."""
    nodes = nodes_of_class(scene, "vtkMRMLSegmentationNode")
    return next((node for node in nodes if not node.GetHideFromEditors()), None)


def default_volume(scene: Any, segmentation_node: Any) -> Any | None:
    """The reference volume of a segmentation; where it has none, the only image of the scene."""
    reference = reference_volume(segmentation_node)
    if reference is not None:
        return reference
    images = [node for node in nodes_of_class(scene, "vtkMRMLScalarVolumeNode") if _is_image(node)]
    return images[0] if len(images) == 1 else None


def reference_volume(segmentation_node: Any) -> Any | None:
    """The volume node of the image that a segmentation was drawn on; ``None`` where that is not known, or not here."""
    if segmentation_node is None:
        return None
    role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
    reference = segmentation_node.GetNodeReference(role)
    return reference if _is_image(reference) else None  # Slicer allows regions of interest and models, too


def _is_image(node: Any) -> bool:
    """Whether a node is a volume to assess on: neither a labelmap nor a result of this module."""
    if node is None or not node.IsA("vtkMRMLScalarVolumeNode") or node.IsA("vtkMRMLLabelMapVolumeNode"):
        return False
    return not is_result(node)
