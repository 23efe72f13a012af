"""The segmentation as it was before corrections: a hidden copy, to compare with and to take slices back from."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer.util
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from ..errors import InputError
from .node_cases import ijk_to_world, image_to_world, labelmap_of
from .result_nodes import ORIGINAL, existing_node, node_for, remove_nodes

_OUTLINE_COLOUR = (1.0, 1.0, 1.0)


def keep_original(segmentation_node: Any) -> Any:
    """The hidden copy of a segmentation; made now where there is none, and kept as it is where there is one."""
    node = existing_node(segmentation_node, ORIGINAL)
    if node is not None:
        return node
    name = f"{segmentation_node.GetName()} before corrections"
    node = node_for(segmentation_node, ORIGINAL, "vtkMRMLSegmentationNode", name, hidden=True)
    copy = node.GetSegmentation()
    copy.DeepCopy(segmentation_node.GetSegmentation())  # whole: segment by segment each would get the layer they share
    # The copy holds its labelmaps alone: surfaces would double the memory for nothing.
    representations: list[str] = []
    copy.GetContainedRepresentationNames(representations)
    for representation in representations:
        if representation != copy.GetSourceRepresentationName():
            copy.RemoveRepresentation(representation)
    node.SetAndObserveTransformNodeID(segmentation_node.GetTransformNodeID())
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetVisibility(False)
    display.SetVisibility3D(False)
    display.SetVisibility2DFill(False)
    display.SetVisibility2DOutline(True)
    for n in range(copy.GetNumberOfSegments()):
        display.SetSegmentOverrideColor(copy.GetNthSegmentID(n), *_OUTLINE_COLOUR)
    return node


def show_original(segmentation_node: Any, visible: bool) -> bool:
    """Show or hide the white outline of the original beside the segmentation's own; returns whether there is one."""
    node = existing_node(segmentation_node, ORIGINAL)
    if node is None or node.GetDisplayNode() is None:
        return False
    node.GetDisplayNode().SetVisibility(visible)
    return True


def drop_original(segmentation_node: Any) -> None:
    """Remove the copy, once the case is accepted."""
    remove_nodes(segmentation_node, ORIGINAL)


def restore_slice(segmentation_node: Any, volume_node: Any, segment_id: str, axis: str, index: int) -> None:
    """Draw a slice of a segment as it was before corrections; the other slices and segments stay.

    Args:
        segmentation_node: An assessed segmentation.
        volume_node: The volume that it was assessed with, whose slice is meant.
        segment_id: Identifier of the segment.
        axis: Slice axis of the volume.
        index: Slice index.

    Raises:
        InputError: There is no copy, or the copy has no such segment.
    """
    original = existing_node(segmentation_node, ORIGINAL)
    if original is None:
        raise InputError("The segmentation before corrections is no longer kept: the case was accepted.")
    if original.GetSegmentation().GetSegment(segment_id) is None:
        raise InputError("This segment was not there before the corrections: there is nothing to take back.")
    before, now = labelmap_of(original, segment_id), labelmap_of(segmentation_node, segment_id)
    if before is None and now is None:
        return
    if before is not None and now is not None and not _same_lattice(before, now):
        aligned = slicer.vtkOrientedImageData()
        # Padded: by default what lies outside the present drawing, such as a slice that was erased, is cut off.
        slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(
            before, now, aligned, False, True
        )
        before = aligned
    lattice: Any = now if now is not None else before
    extent = _union(part.GetExtent() for part in (before, now) if part is not None)
    in_slice = _slice_of(lattice, extent, segmentation_node, volume_node, axis) == index
    values = np.where(in_slice, _placed(before, extent), _placed(now, extent))
    edited = slicer.vtkOrientedImageData()
    edited.SetExtent(extent)
    to_world = vtk.vtkMatrix4x4()
    lattice.GetImageToWorldMatrix(to_world)
    edited.SetImageToWorldMatrix(to_world)
    edited.GetPointData().SetScalars(numpy_to_vtk(values.ravel(), deep=True))
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    logic.SetBinaryLabelmapToSegment(edited, segmentation_node, segment_id, logic.MODE_REPLACE)


def _same_lattice(a: Any, b: Any) -> bool:
    return bool(slicer.vtkOrientedImageDataResample.DoGeometriesMatchIgnoreOrigin(a, b)) and image_to_world(
        a
    ).tolist() == (image_to_world(b).tolist())


def _union(extents: Any) -> list[int]:
    stacked = np.array(list(extents))
    low, high = stacked[:, ::2].min(axis=0), stacked[:, 1::2].max(axis=0)
    return np.column_stack([low, high]).ravel().tolist()


def _placed(data: Any | None, extent: list[int]) -> np.ndarray:
    """The pixels of a labelmap as 0 and 1 within a larger extent, shape (k, j, i)."""
    shape = tuple(extent[2 * a + 1] - extent[2 * a] + 1 for a in (2, 1, 0))
    values = np.zeros(shape, np.uint8)
    if data is not None:
        own = data.GetExtent()
        pixels = vtk_to_numpy(data.GetPointData().GetScalars()).reshape(data.GetDimensions()[::-1])
        i, j, k = (slice(own[2 * a] - extent[2 * a], own[2 * a + 1] - extent[2 * a] + 1) for a in range(3))
        values[k, j, i] = pixels != 0
    return values


def _slice_of(lattice: Any, extent: list[int], segmentation_node: Any, volume_node: Any, axis: str) -> np.ndarray:
    """Which slice of the volume each pixel of an extent lies in, shape (k, j, i)."""
    to_world = np.eye(4)
    transform_node = segmentation_node.GetParentTransformNode()
    if transform_node is not None:
        matrix = vtk.vtkMatrix4x4()
        transform_node.GetMatrixTransformToWorld(matrix)
        to_world = slicer.util.arrayFromVTKMatrix(matrix)
    to_volume = np.linalg.inv(ijk_to_world(volume_node)) @ to_world @ image_to_world(lattice)
    row = to_volume["ijk".index(axis)]
    i, j, k = (np.arange(extent[2 * a], extent[2 * a + 1] + 1) for a in range(3))
    return np.rint(row[0] * i[None, None, :] + row[1] * j[None, :, None] + row[2] * k[:, None, None] + row[3]).astype(
        int
    )
