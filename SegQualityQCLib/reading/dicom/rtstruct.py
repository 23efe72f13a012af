"""DICOM structure sets (RTSTRUCT): contours, drawn as masks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ...errors import InputError
from ...storage.safe_text import printable
from ..layers import DecodedLayers
from ..segments import Segment, SegmentationFile
from .belonging import check_belongs, series_named_in
from .codes import snomed_code_of
from .contours import filled
from .files import DicomKind, dicom_reading, read_dataset
from .planes import Planes, axis_across, blank, image_on, levels_of, slices_of, step_of

if TYPE_CHECKING:
    from pydicom import Dataset

_CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")  # points and open lines enclose nothing
_BENT_MM = 0.2  # largest distance of a corner from the plane of its contour: programs round coordinates


def read_rtstruct(path: Path, image: sitk.Image, image_name: str) -> SegmentationFile:
    """Read a structure set: each region is a segment, whose label is its place in the file, from 1.

    Args:
        path: The file.
        image: The image that it belongs to: contours in its planes are drawn on its own pixels.
        image_name: Name of the image in messages.

    Raises:
        InputError: It is damaged or was drawn on another series; or pydicom is missing.
    """
    if image.GetDimension() == 2:
        raise InputError(
            f"The image {image_name} is 2-D, without a position in space, and the contours of {path.name} need one: "
            "give the DICOM series."
        )
    kind = DicomKind.CONTOURS
    with dicom_reading(path, "segmentation", kind):
        dataset = read_dataset(path)
        frames = {str(roi.get("ReferencedFrameOfReferenceUID", "")) for roi in dataset.StructureSetROISequence}
        for frame in frames:
            check_belongs(frame, frozenset(series_named_in(dataset)), image, (path.name, image_name), kind.value)
        contours = {int(one.ReferencedROINumber): one for one in dataset.get("ROIContourSequence") or ()}
        kinds = {int(one.ReferencedROINumber): one for one in dataset.get("RTROIObservationsSequence") or ()}
        rois = list(dataset.StructureSetROISequence)
        numbers = [int(roi.ROINumber) for roi in rois]
        if len(set(numbers)) < len(numbers):
            raise InputError(f"Two regions of the {kind.value} {path.name} have the same number: export it again.")
        segments = tuple(
            _segment(roi, kinds.get(number), layer)
            for layer, (roi, number) in enumerate(zip(rois, numbers, strict=True))
        )

    def decode(layer: int) -> sitk.Image:
        with dicom_reading(path, "segmentation", kind):
            what = f"the segment {segments[layer].name} of the {kind.value} {path.name}"
            return _labelmap(_closed_contours(contours.get(numbers[layer]), what), layer + 1, image, what)

    return SegmentationFile(path.name, segments, DecodedLayers(len(segments), decode), is_named=True)


def _segment(roi: Dataset, observation: Dataset | None, layer: int) -> Segment:
    codes = observation.get("RTROIIdentificationCodeSequence") if observation is not None else None
    name = printable(str(roi.get("ROIName") or f"region {layer + 1}"))
    return Segment(name, layer + 1, layer, snomed_code_of(codes[0] if codes else None))


def _closed_contours(entry: Dataset | None, what: str) -> list[NDArray[np.float64]]:
    """The corners of the closed contours of a region, each N x 3 in mm."""
    found = []
    for contour in (entry.get("ContourSequence") if entry is not None else None) or ():
        if contour.ContourGeometricType not in _CLOSED:
            continue
        corners = np.array([float(value) for value in contour.ContourData]).reshape(-1, 3)
        if not np.isfinite(corners).all():
            raise InputError(f"A contour of {what} has a position that is not a number: export it again.")
        if len(corners) > 2:
            found.append(corners)
    return found


def _labelmap(contours: list[NDArray[np.float64]], label: int, image: sitk.Image, what: str) -> sitk.Image:
    """The contours of a region as a labelmap; one empty voxel where there is none."""
    normals = [normal for normal in map(_normal, contours) if normal is not None]
    if not normals:
        return sitk.Image(1, 1, 1, sitk.sitkUInt8)
    across = _common_normal(normals, image)
    for corners in contours:
        if np.ptp(corners @ across) > 2 * _BENT_MM:
            raise InputError(f"A contour of {what} is not flat, or not parallel to the others: export it again.")
    grid = _Grid.of(contours, across, image)
    offsets = np.array([float(np.mean(corners @ across)) for corners in contours])
    step = step_of(levels_of(offsets), across, image, None)
    slices = slices_of(offsets, step, what)
    pixels = blank(int(slices.max()) + 1, *grid.shape, label, f"The {what.removeprefix('the ')}")
    for k in np.unique(slices):
        there = [grid.indices(corners) for corners, slice_ in zip(contours, slices, strict=True) if slice_ == k]
        pixels[k] = filled(there, grid.shape) * label
    lowest = grid.origin + across * (offsets.min() - grid.origin @ across)
    return image_on(Planes(grid.axes, lowest[None], grid.pixel_mm, step), 0, step, pixels)


def _normal(corners: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """The direction across a contour; ``None`` where it has no area. Its length is twice the area."""
    beside = corners - corners[0]
    normal = np.cross(beside, np.roll(beside, -1, axis=0)).sum(axis=0)
    return normal if np.linalg.norm(normal) > 1e-6 else None


def _common_normal(normals: list[NDArray[np.float64]], image: sitk.Image) -> NDArray[np.float64]:
    """The unit vector across all contours: that of the image's axis where they lie in its planes."""
    largest = max(normals, key=lambda normal: float(np.linalg.norm(normal)))
    largest = largest / np.linalg.norm(largest)
    axis = axis_across(largest, image)
    across = largest if axis is None else np.array(image.GetDirection()).reshape(3, 3)[:, axis]
    return across if axis is not None or across[int(np.argmax(np.abs(across)))] > 0 else -across


@dataclass(frozen=True)
class _Grid:
    """Pixels in the plane of the contours.

    Attributes:
        axes: 3 x 3; the rows are the directions along a row, along a column and across.
        origin: Centre of the first pixel of some plane, in mm.
        pixel_mm: Spacing along a row and along a column.
        shape: Rows and columns.
    """

    axes: NDArray[np.float64]
    origin: NDArray[np.float64]
    pixel_mm: tuple[float, float]
    shape: tuple[int, int]

    @classmethod
    def of(cls, contours: list[NDArray[np.float64]], across: NDArray[np.float64], image: sitk.Image) -> _Grid:
        """Around the contours, the image's own pixels where they lie in its planes, else ones as fine as its finest."""
        directions = np.array(image.GetDirection()).reshape(3, 3).T
        spacing = image.GetSpacing()
        axis = axis_across(across, image)
        if axis is not None:
            along, down = (a for a in range(3) if a != axis)
            if np.cross(directions[along], directions[down]) @ across < 0:
                along, down = down, along  # the axes of the labelmap are right-handed
            axes = np.array([directions[along], directions[down], across])
            return cls._around(contours, axes, np.array(image.GetOrigin()), (spacing[along], spacing[down]))
        along_axis = directions[int(np.argmin(np.abs(directions @ across)))]
        along_row = along_axis - across * (along_axis @ across)
        along_row /= np.linalg.norm(along_row)
        axes = np.array([along_row, np.cross(across, along_row), across])
        return cls._around(contours, axes, contours[0][0], (min(spacing), min(spacing)))

    @classmethod
    def _around(
        cls,
        contours: list[NDArray[np.float64]],
        axes: NDArray[np.float64],
        start: NDArray[np.float64],
        pixel_mm: tuple[float, float],
    ) -> _Grid:
        """The part of a grid, of which one pixel is known, that the contours reach."""
        corners = (np.concatenate(contours) - start) @ axes[:2].T / pixel_mm
        low, high = np.floor(corners.min(axis=0)), np.ceil(corners.max(axis=0))
        columns, rows = (high - low + 1).astype(np.int64).tolist()
        return cls(axes, start + (low * pixel_mm) @ axes[:2], pixel_mm, (rows, columns))

    def indices(self, corners: NDArray[np.float64]) -> NDArray[np.float64]:
        """Corners in mm as columns and rows."""
        return (corners - self.origin) @ self.axes[:2].T / self.pixel_mm
