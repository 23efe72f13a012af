"""Edits of a segmentation node, as the segment editor's effects make them."""

import slicer
from vtk.util.numpy_support import vtk_to_numpy


def edit_slice(segmentation, segment_id, index, change):
    """Replace a slice (the k axis of the labelmap's own grid) by ``change(pixels)``."""
    data = slicer.vtkOrientedImageData()
    segmentation.GetBinaryLabelmapRepresentation(segment_id, data)
    first = data.GetExtent()[4]
    pixels = vtk_to_numpy(data.GetPointData().GetScalars()).reshape(data.GetDimensions()[::-1])
    pixels[index - first] = change(pixels[index - first].copy())
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    logic.SetBinaryLabelmapToSegment(data, segmentation, segment_id, logic.MODE_REPLACE)


def slice_pixels(segmentation, segment_id, index):
    """The drawn pixels of a slice as a set of (i, j)."""
    data = slicer.vtkOrientedImageData()
    segmentation.GetBinaryLabelmapRepresentation(segment_id, data)
    i, j, k = data.GetExtent()[::2]
    if not k <= index <= data.GetExtent()[5]:
        return set()
    pixels = vtk_to_numpy(data.GetPointData().GetScalars()).reshape(data.GetDimensions()[::-1])
    return {(int(x) + i, int(y) + j) for y, x in zip(*pixels[index - k].nonzero(), strict=True)}
