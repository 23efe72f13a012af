"""DICOM segmentations (SEG): binary, fractional and labelmap.

highdicom reads the file and decodes its frames. Its own volumes are not used: where empty frames were left out, only
the image tells which slice each of the others is.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from ...errors import InputError
from ...storage.safe_text import printable
from ..layers import DecodedLayers
from ..segments import FRACTIONAL, Segment, SegmentationFile
from .belonging import check_belongs, series_named_in
from .codes import snomed_code_of
from .files import DicomKind, dicom_reading, read_dataset
from .planes import Planes, blank, check_not_shifted, functional_group, image_on, planes_of_frames, slices_of, step_of

FRACTION = 0.5  # of the largest value that the file names: a voxel of at least so much belongs to the segment


@dataclass(frozen=True)
class _Masks:
    """The frames of a file, and how they become labelmaps.

    Attributes:
        what: What messages call the file.
        file: The file, as highdicom opened it.
        planes: Where the frames lie.
        step: Distance of the slices in mm.
        frames: The frames of each layer.
        labels: The label of each layer; ``None`` where the frames hold labels themselves.
        least: Smallest value that belongs to the segment.
    """

    what: str
    file: Any
    planes: Planes
    step: float
    frames: list[list[int]]
    labels: list[int | None]
    least: float

    def labelmap(self, layer: int) -> sitk.Image:
        """One layer, from the lowest to the highest slice that has a frame; one empty voxel where none has."""
        frames, label = self.frames[layer], self.labels[layer]
        if not frames:
            return sitk.Image(1, 1, 1, sitk.sitkUInt8)
        slices = slices_of(self.planes.offsets[frames], self.step, self.what)
        if len(np.unique(slices)) < len(slices):
            raise InputError(
                f"{self.what} has several masks of one segment at one position, as of the phases of a cine: "
                "save those of one phase as a file of their own."
            )
        rows, columns = self.file.get_stored_frame(frames[0] + 1).shape  # fails where the file has too few pixels
        labelmap = blank(int(slices.max()) + 1, rows, columns, label, self.what)
        for frame, k in zip(frames, slices, strict=True):
            pixels = self.file.get_stored_frame(frame + 1)
            labelmap[k] = pixels if label is None else np.where(pixels >= self.least, label, 0)
        return image_on(self.planes, frames[int(np.argmin(slices))], self.step, labelmap)


def read_dicom_seg(path: Path, image: sitk.Image, image_name: str) -> SegmentationFile:
    """Read a DICOM segmentation; each frame gets to its slice by its position.

    Args:
        path: The file.
        image: The image that it belongs to.
        image_name: Name of the image in messages.

    Returns:
        The segments with the file's numbers as labels. A fractional segmentation is cut at one half, and flagged.

    Raises:
        InputError: It is damaged, its frames are no stack, or it was drawn on another series; or highdicom is missing.
    """
    with dicom_reading(path, "segmentation", DicomKind.SEGMENTATION):
        import highdicom

        dataset = read_dataset(path)
        if int(dataset.NumberOfFrames) != len(dataset.PerFrameFunctionalGroupsSequence):
            raise ValueError("another number of frames than is described")  # highdicom makes a table of that length
        # Not from the file lazily: highdicom 0.28 then loses pixels of frames whose bits do not end with a byte.
        file = highdicom.seg.Segmentation.from_dataset(dataset, copy=False)
        what = f"The {DicomKind.SEGMENTATION.value} {path.name}"
        check_belongs(
            str(file.get("FrameOfReferenceUID", "")),
            frozenset(series_named_in(file)),
            image,
            (path.name, image_name),
            DicomKind.SEGMENTATION.value,
        )
        planes = planes_of_frames(file, int(file.NumberOfFrames), what)
        if planes is None:
            raise InputError(f"{what} does not say where its frames lie, as in microscopy: it cannot be assessed.")
        check_not_shifted(planes, what)
        is_fractional = file.SegmentationType == "FRACTIONAL"
        descriptions = [entry for entry in file.SegmentSequence if int(entry.SegmentNumber) > 0]
        frames, layers = _frames_of(file, descriptions)
        masks = _Masks(
            what,
            file,
            planes,
            step_of(planes.offsets, planes.axes[2], image, planes.step_mm),
            frames,
            [None] if file.SegmentationType == "LABELMAP" else [int(entry.SegmentNumber) for entry in descriptions],
            FRACTION * float(file.MaximumFractionalValue) if is_fractional else 1,
        )
        segments = tuple(_segment(entry, layer) for entry, layer in zip(descriptions, layers, strict=True))

    def decode(layer: int) -> sitk.Image:
        with dicom_reading(path, "segmentation", DicomKind.SEGMENTATION):
            return masks.labelmap(layer)

    flags = (FRACTIONAL,) if is_fractional else ()
    return SegmentationFile(path.name, segments, DecodedLayers(len(frames), decode), is_named=True, flags=flags)


def _frames_of(file: Any, descriptions: list[Any]) -> tuple[list[list[int]], list[int]]:
    """The frames of each layer, and the layer of each segment."""
    number = int(file.NumberOfFrames)
    if file.SegmentationType == "LABELMAP":
        return [list(range(number))], [0] * len(descriptions)
    frames = defaultdict(list)
    for frame in range(number):
        group = functional_group(file, frame, "SegmentIdentificationSequence")
        if group is None:
            raise ValueError(f"frame {frame + 1} names no segment")
        frames[int(group.ReferencedSegmentNumber)].append(frame)
    if not set(frames) <= {int(entry.SegmentNumber) for entry in descriptions}:
        raise ValueError("a frame names a segment that is not described")
    return [frames[int(entry.SegmentNumber)] for entry in descriptions], list(range(len(descriptions)))


def _segment(entry: Any, layer: int) -> Segment:
    """A segment by its description."""
    number = int(entry.SegmentNumber)
    kinds = entry.get("SegmentedPropertyTypeCodeSequence")
    name = printable(str(entry.get("SegmentLabel") or f"segment {number}"))
    return Segment(name, number, layer, snomed_code_of(kinds[0] if kinds else None))
