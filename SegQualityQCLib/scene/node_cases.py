"""MRML nodes to cases: a volume and a segment on the volume's own grid, in world coordinates."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer.util
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from ..case.case import Case
from ..case.checks import checked_image
from ..case.grids import slice_axis
from ..case.terminology import snomed_code
from ..errors import EmptySegmentError, InputError

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])  # and back


def ijk_to_world(volume_node: Any) -> np.ndarray:
    """From voxel indices of a volume node to world RAS in mm, shape (4, 4).

    Raises:
        InputError: The volume is under a non-linear transform.
    """
    ijk_to_ras = vtk.vtkMatrix4x4()
    volume_node.GetIJKToRASMatrix(ijk_to_ras)
    transform_node = volume_node.GetParentTransformNode()
    if transform_node is None:
        return slicer.util.arrayFromVTKMatrix(ijk_to_ras)
    if not transform_node.IsTransformToWorldLinear():
        raise InputError(
            f"The volume {volume_node.GetName()} is under a warping transform: harden the transform first."
        )
    to_world = vtk.vtkMatrix4x4()
    transform_node.GetMatrixTransformToWorld(to_world)
    return slicer.util.arrayFromVTKMatrix(to_world) @ slicer.util.arrayFromVTKMatrix(ijk_to_ras)


def image_of(volume_node: Any) -> sitk.Image:
    """The image of a scalar volume node in world coordinates (LPS), a copy.

    Raises:
        InputError: The node is missing, empty or holds colours or vectors.
    """
    if volume_node is None:
        raise InputError("No volume is chosen: load one, or choose it in the panel.")
    data = volume_node.GetImageData()
    if data is None or data.GetNumberOfPoints() == 0:
        raise InputError(f"The volume {volume_node.GetName()} has no pixels: load it again.")
    return _image(data, ijk_to_world(volume_node), volume_node.GetName())


def case_of(volume_node: Any, segmentation_node: Any, segment_id: str, *, axis: str | None = None) -> Case:
    """The case of one segment.

    A segment on another grid, or under another transform, is brought onto the volume's grid.

    Args:
        volume_node: Scalar volume node.
        segmentation_node: Segmentation node.
        segment_id: Identifier of the segment.
        axis: ``"i"``, ``"j"`` or ``"k"``; ``None`` takes the axis of the largest spacing.

    Raises:
        InputError: The input cannot be assessed; the message says why.
    """
    image = image_of(volume_node)
    segment = segmentation_node.GetSegmentation().GetSegment(segment_id)
    if segment is None:
        raise InputError(f"The segmentation {segmentation_node.GetName()} has no segment {segment_id}.")
    mask = _mask(segmentation_node, segment_id, segment.GetName())
    if mask is None:
        raise EmptySegmentError(
            f"The segment {segment.GetName()} of {segmentation_node.GetName()} is empty: draw something in it first."
        )
    return Case.from_images(
        image,
        mask,
        label=1,
        axis=axis,
        segment=segment.GetName(),
        image_name=volume_node.GetName(),
        segmentation_name=segmentation_node.GetName(),
        terminology_code=terminology_code(segment),
    )


def unmarked_case(volume_node: Any, axis: str) -> Case:
    """The case of a volume in which nothing is drawn; :func:`edited_case` fills in a segment."""
    image = checked_image(image_of(volume_node), volume_node.GetName())
    mask = sitk.Image(image.GetSize(), sitk.sitkUInt8)
    mask.CopyInformation(image)
    return Case(image, mask, slice_axis(image, axis), image_name=volume_node.GetName())


def edited_case(case: Case, segmentation_node: Any, segment_id: str) -> Case:
    """A volume's unmarked case with a segment as it is drawn now, which may be nothing."""
    segment = segmentation_node.GetSegmentation().GetSegment(segment_id)
    mask = _mask(segmentation_node, segment_id, segment.GetName())
    return replace(
        case if mask is None else case.with_mask(mask),
        segment=segment.GetName(),
        segmentation_name=segmentation_node.GetName(),
        terminology_code=terminology_code(segment),
    )


def slice_checksums(case: Case) -> list[int]:
    """One number a slice that changes when the mask there does (CRC-32 of its pixels, 0 where nothing is drawn)."""
    slices = np.moveaxis(sitk.GetArrayViewFromImage(case.mask), 2 - case.axis, 0)
    return [zlib.crc32(np.packbits(plane).tobytes()) if plane.any() else 0 for plane in slices]


def terminology_code(segment: Any) -> str | None:
    """The SNOMED-CT code of a segment's type, where its terminology entry has one."""
    # "context~category~type~type modifier~...", each a triple "scheme^code^meaning"
    tag = vtk.reference("")
    if not segment.GetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), tag):
        return None
    entries = str(tag).split("~")
    kind = entries[2].split("^") if len(entries) > 2 else []
    return snomed_code(kind[0], kind[1]) if len(kind) > 1 else None


def segment_ids(segmentation_node: Any) -> list[str]:
    """The identifiers of all segments in their order."""
    segmentation = segmentation_node.GetSegmentation()
    return [segmentation.GetNthSegmentID(n) for n in range(segmentation.GetNumberOfSegments())]


def _mask(segmentation_node: Any, segment_id: str, name: str) -> sitk.Image | None:
    """One segment as an image of 0 and 1, on the segmentation's own grid in world coordinates; ``None`` if empty."""
    if not segmentation_node.GetSegmentation().ContainsRepresentation("Binary labelmap"):
        raise InputError(
            f"The segmentation {segmentation_node.GetName()} has no binary labelmap: create one in Segmentations."
        )
    data = labelmap_of(segmentation_node, segment_id)
    if data is None:
        return None
    slicer.vtkSlicerSegmentationsModuleLogic.ApplyParentTransformToOrientedImageData(segmentation_node, data, False)
    mask = sitk.NotEqual(_image(data, image_to_world(data), name), 0)
    return mask if sitk.GetArrayViewFromImage(mask).any() else None


def labelmap_of(segmentation_node: Any, segment_id: str) -> Any | None:
    """A copy of a segment's binary labelmap (vtkOrientedImageData) in the node's own coordinates; ``None`` if empty."""
    data = slicer.vtkOrientedImageData()
    # The node's own method isolates the segment from a layer that it shares with others; the module logic's does not.
    if not segmentation_node.GetBinaryLabelmapRepresentation(segment_id, data) or data.GetNumberOfPoints() == 0:
        return None
    return data


def image_to_world(data: Any) -> np.ndarray:
    """From voxel indices of a vtkOrientedImageData to its RAS in mm, shape (4, 4)."""
    matrix = vtk.vtkMatrix4x4()
    data.GetImageToWorldMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def _image(data: Any, index_to_world: np.ndarray, name: str) -> sitk.Image:
    scalars = data.GetPointData().GetScalars()
    if scalars is None or scalars.GetNumberOfComponents() != 1:
        raise InputError(f"The volume {name} has several values per pixel (colour or vector): a scalar one is needed.")
    array = vtk_to_numpy(scalars).reshape(data.GetDimensions()[::-1])
    image = sitk.GetImageFromArray(array)
    extent = data.GetExtent()  # a segment's layer may begin anywhere in its grid
    first = np.array([extent[0], extent[2], extent[4], 1.0])
    to_lps = LPS_TO_RAS @ index_to_world
    spacing = np.linalg.norm(to_lps[:3, :3], axis=0)
    if not np.isfinite(to_lps).all() or (spacing <= 0).any():
        raise InputError(f"The volume {name} has an impossible geometry: correct its spacing and directions.")
    image.SetSpacing(spacing.tolist())
    image.SetOrigin((to_lps @ first)[:3].tolist())
    try:
        image.SetDirection((to_lps[:3, :3] / spacing).ravel().tolist())
    except RuntimeError as error:
        raise InputError(f"The volume {name} has a degenerate direction matrix: correct its header.") from error
    return image
