"""The nodes that belong to a segmentation: found again, or made, by the role they are referenced with."""

from __future__ import annotations

from typing import Any

TABLE = "SegQualityQC.Table"
CHART = "SegQualityQC.Chart"
OVERLAY = "SegQualityQC.Overlay"
DIFFERENCE = "SegQualityQC.Difference"
SURFACE = "SegQualityQC.Surface"
SERIES = "SegQualityQC.Series"
SERIES_TABLE = "SegQualityQC.SeriesTable"
ORIGINAL = "SegQualityQC.Original"
ROLES = (TABLE, CHART, OVERLAY, DIFFERENCE, SURFACE, SERIES, SERIES_TABLE, ORIGINAL)

KEY = "SegQualityQC.Key"


def nodes_of_class(scene: Any, class_name: str) -> list[Any]:
    """All nodes of a class in a scene."""
    nodes = scene.GetNodesByClass(class_name)
    nodes.UnRegister(scene)
    return [nodes.GetItemAsObject(n) for n in range(nodes.GetNumberOfItems())]


def existing_node(owner: Any, role: str, key: str = "") -> Any | None:
    """The node that the owner references with this role, and this key among several; ``None`` if there is none."""
    for n in range(owner.GetNumberOfNodeReferences(role)):
        node = owner.GetNthNodeReference(role, n)
        if node is not None and (node.GetAttribute(KEY) or "") == key:
            return node
    return None


def node_for(owner: Any, role: str, class_name: str, name: str, key: str = "", *, hidden: bool = False) -> Any:
    """The node of :func:`existing_node`, made and referenced where it is missing.

    Args:
        owner: The segmentation node.
        role: One of :data:`ROLES`.
        class_name: Class of the node.
        name: Name of a new node.
        key: Tells several nodes of a role apart.
        hidden: Keep a new node out of lists and selectors; they look only when it enters the scene.
    """
    node = existing_node(owner, role, key)
    if node is None:
        scene = owner.GetScene()
        node = scene.CreateNodeByClass(class_name)
        node.UnRegister(None)
        node.SetName(scene.GenerateUniqueName(name))
        node.SetHideFromEditors(hidden)
        node.SetSelectable(not hidden)
        scene.AddNode(node)
        if key:
            node.SetAttribute(KEY, key)
        owner.AddNodeReferenceID(role, node.GetID())
    return node


def remove_nodes(owner: Any, role: str, keep: set[str] | None = None) -> None:
    """Remove the nodes of a role from the scene, except those with a key to keep."""
    nodes = [owner.GetNthNodeReference(role, n) for n in range(owner.GetNumberOfNodeReferences(role))]
    for node in nodes:
        if node is not None and (node.GetAttribute(KEY) or "") not in (keep or set()):
            for n in reversed(range(owner.GetNumberOfNodeReferences(role))):
                if owner.GetNthNodeReferenceID(role, n) == node.GetID():
                    owner.RemoveNthNodeReferenceID(role, n)
            remove_from_scene(owner.GetScene(), with_parts(node))


def result_nodes(owner: Any) -> list[Any]:
    """All nodes that belong to a segmentation and to no copy of it, with their display and storage nodes."""
    segmentations = nodes_of_class(owner.GetScene(), owner.GetClassName())
    shared = {node.GetID() for other in segmentations if other is not owner for node in _referenced(other)}
    return [part for node in _referenced(owner) if node.GetID() not in shared for part in with_parts(node)]


def is_result(node: Any) -> bool:
    """Whether a segmentation of the scene keeps this node as a result of its own."""
    owners = node.GetScene().GetNodesByClass("vtkMRMLSegmentationNode")
    owners.UnRegister(node.GetScene())
    return any(
        owners.GetItemAsObject(n).HasNodeReferenceID(role, node.GetID())
        for n in range(owners.GetNumberOfItems())
        for role in ROLES
    )


def _referenced(owner: Any) -> list[Any]:
    nodes = [owner.GetNthNodeReference(role, n) for role in ROLES for n in range(owner.GetNumberOfNodeReferences(role))]
    return [node for node in nodes if node is not None]


def remove_from_scene(scene: Any, nodes: list[Any]) -> None:
    """Remove nodes from a scene, as far as they are still there."""
    for node in nodes:
        if node.GetScene() is scene:
            scene.RemoveNode(node)


def with_parts(node: Any) -> list[Any]:
    """A node with its storage and display nodes."""
    displays = [node.GetNthDisplayNode(n) for n in range(node.GetNumberOfDisplayNodes())] if _displayable(node) else []
    storage = node.GetStorageNode() if node.IsA("vtkMRMLStorableNode") else None
    return [part for part in (node, storage, *displays) if part is not None]


def _displayable(node: Any) -> bool:
    return bool(node.IsA("vtkMRMLDisplayableNode"))
