"""SimpleITK images to MRML nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def add_volume(scene: Any, image: sitk.Image, name: str, class_name: str = "vtkMRMLScalarVolumeNode") -> Any:
    """Add a volume node with the voxels and the geometry of an image."""
    data = vtk.vtkImageData()
    data.SetDimensions(image.GetSize())
    data.GetPointData().SetScalars(numpy_to_vtk(sitk.GetArrayFromImage(image).ravel(), deep=True))
    to_lps = np.eye(4)
    to_lps[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    to_lps[:3, 3] = image.GetOrigin()
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy((_LPS_TO_RAS @ to_lps).ravel().tolist())
    node = scene.AddNewNodeByClass(class_name, name)
    node.SetAndObserveImageData(data)
    node.SetIJKToRASMatrix(matrix)
    node.CreateDefaultDisplayNodes()
    return node


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
