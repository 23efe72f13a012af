"""SimpleITK images to MRML nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer.util
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from .node_cases import LPS_TO_RAS


def add_volume(scene: Any, image: sitk.Image, name: str, class_name: str = "vtkMRMLScalarVolumeNode") -> Any:
    """Add a volume node with the voxels and the geometry of an image."""
    node = scene.AddNewNodeByClass(class_name, name)
    node.SetAndObserveImageData(voxels(sitk.GetArrayFromImage(image)))
    node.SetIJKToRASMatrix(ijk_to_ras(image))
    node.CreateDefaultDisplayNodes()
    return node


def voxels(values: np.ndarray) -> Any:
    """A vtkImageData with a copy of these values, shape (k, j, i), and no geometry."""
    data = vtk.vtkImageData()
    data.SetDimensions(values.shape[::-1])
    data.GetPointData().SetScalars(numpy_to_vtk(values.ravel(), deep=True))
    return data


def ijk_to_ras(image: sitk.Image) -> Any:
    """The vtkMatrix4x4 from voxel indices of an image to RAS in mm."""
    to_lps = np.eye(4)
    to_lps[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    to_lps[:3, 3] = image.GetOrigin()
    return slicer.util.vtkMatrixFromArray(LPS_TO_RAS @ to_lps)


def add_segmentation(scene: Any, labels: sitk.Image, volume_node: Any, name: str, names: Sequence[str] = ()) -> Any:
    """Add a segmentation node of a labelmap, with names for its segments in ascending label."""
    labelmap = add_volume(scene, labels, name, "vtkMRMLLabelMapVolumeNode")
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume_node)
    slicer.vtkSlicerSegmentationsModuleLogic.ImportLabelmapToSegmentationNode(labelmap, node)
    scene.RemoveNode(labelmap)
    for n, segment_name in enumerate(names):
        node.GetSegmentation().GetNthSegment(n).SetName(segment_name)
    return node
