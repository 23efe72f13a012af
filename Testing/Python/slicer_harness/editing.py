"""Edits of a segmentation node, as the segment editor's effects make them."""

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy


def edit_slice(segmentation, segment_id, index, change):
    """Replace a slice (the k axis of the labelmap's own grid) by ``change(pixels)``; the labelmap grows to hold it."""
    data = slicer.vtkOrientedImageData()
    segmentation.GetBinaryLabelmapRepresentation(segment_id, data)
    *in_plane, first, last = data.GetExtent()
    pixels = vtk_to_numpy(data.GetPointData().GetScalars()).reshape(data.GetDimensions()[::-1])
    missing = (max(first - index, 0), max(index - last, 0))
    pixels = np.pad(pixels, (missing, (0, 0), (0, 0)))
    first -= missing[0]
    pixels[index - first] = change(pixels[index - first].copy())
    to_world = vtk.vtkMatrix4x4()
    data.GetImageToWorldMatrix(to_world)
    edited = slicer.vtkOrientedImageData()
    edited.SetExtent(*in_plane, first, last + missing[1])
    edited.SetImageToWorldMatrix(to_world)
    edited.GetPointData().SetScalars(numpy_to_vtk(pixels.ravel(), deep=True))
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    logic.SetBinaryLabelmapToSegment(edited, segmentation, segment_id, logic.MODE_REPLACE)


def block(pixels):
    """An edit that draws a block in the middle and nothing else."""
    drawn = np.zeros_like(pixels)
    drawn[tuple(slice(n // 3, 2 * n // 3) for n in pixels.shape)] = 1
    return drawn


def slice_pixels(segmentation, segment_id, index):
    """The drawn pixels of a slice as a set of (i, j)."""
    data = slicer.vtkOrientedImageData()
    segmentation.GetBinaryLabelmapRepresentation(segment_id, data)
    i, j, k = data.GetExtent()[::2]
    if not k <= index <= data.GetExtent()[5]:
        return set()
    pixels = vtk_to_numpy(data.GetPointData().GetScalars()).reshape(data.GetDimensions()[::-1])
    return {(int(x) + i, int(y) + j) for y, x in zip(*pixels[index - k].nonzero(), strict=True)}
