"""What the views show of the results: the overlay, the surfaces, the outlines; and the nodes of the slice views."""

from __future__ import annotations

from typing import Any

from .overlays import legend
from .result_nodes import OVERLAY, SURFACE, existing_node, nodes_of_class

_FIRST_VIEWS = ("Red", "Yellow", "Green")


def slice_nodes(scene: Any) -> list[Any]:
    """The nodes of all slice views: Red, Yellow and Green first."""

    def key(node: Any) -> tuple[int, str]:
        name = node.GetLayoutName()
        return (_FIRST_VIEWS.index(name) if name in _FIRST_VIEWS else len(_FIRST_VIEWS), name or "")

    return sorted(nodes_of_class(scene, "vtkMRMLSliceNode"), key=key)


def show_overlay(segmentation_node: Any, visible: bool) -> None:
    """Show or hide the coloured slices, as the foreground of all slice views.

    The fill of the segments would cover the colours, so it is hidden meanwhile; their outlines stay.
    """
    overlay = existing_node(segmentation_node, OVERLAY)
    segments = segmentation_node.GetDisplayNode()
    if segments is not None:
        segments.SetVisibility2DFill(overlay is None or not visible)
    if overlay is None:
        return
    for composite in nodes_of_class(segmentation_node.GetScene(), "vtkMRMLSliceCompositeNode"):
        # Where the overlay is shown already, the user may have chosen another opacity.
        if visible and composite.GetForegroundVolumeID() != overlay.GetID():
            composite.SetForegroundVolumeID(overlay.GetID())
            composite.SetForegroundOpacity(0.5)
        elif not visible and composite.GetForegroundVolumeID() == overlay.GetID():
            composite.SetForegroundVolumeID(None)
    legend_node = legend(overlay.GetDisplayNode())
    if legend_node is not None:
        legend_node.SetVisibility(visible)


def show_surfaces(segmentation_node: Any, visible: bool) -> None:
    """Show or hide the coloured surfaces in 3-D."""
    for n in range(segmentation_node.GetNumberOfNodeReferences(SURFACE)):
        node = segmentation_node.GetNthNodeReference(SURFACE, n)
        if node is not None and node.GetDisplayNode() is not None:
            node.GetDisplayNode().SetVisibility(visible)


def show_outlines(segmentation_node: Any, visible: bool) -> None:
    """Show or hide the segmentation itself in the slice views."""
    display = segmentation_node.GetDisplayNode()
    if display is not None:
        display.SetVisibility2D(visible)


def outlines_shown(segmentation_node: Any) -> bool:
    """Whether the slice views show the segmentation."""
    display = segmentation_node.GetDisplayNode()
    return display is not None and bool(display.GetVisibility2D())
