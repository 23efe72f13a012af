"""The colour scale of predicted Dice as a colour table of the scene."""

from __future__ import annotations

from typing import Any

from ..report.colours import colour_of

NAME = "SegQualityQC predicted Dice"


def colour_node(scene: Any) -> Any:
    """The scene's colour table node for predicted Dice; made where it is missing."""
    node = scene.GetFirstNode(NAME, "vtkMRMLColorTableNode")
    if node is None:
        node = scene.AddNewNodeByClass("vtkMRMLColorTableNode", NAME)
        node.SetTypeToUser()
        node.SetNumberOfColors(256)
        for n in range(256):
            node.SetColor(n, f"{n / 255:.2f}", *colour_of(n / 255), 1.0)
        node.GetLookupTable().SetRange(0.0, 1.0)
    return node
