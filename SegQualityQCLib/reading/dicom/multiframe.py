"""Multi-frame DICOM images: a stack in any order of frames, the phases of a cine, or frames without positions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ...errors import InputError
from ..checks.dicom_series import check_stack
from .belonging import FRAME_OF_REFERENCE_UID, SERIES_UID
from .files import DicomKind, dicom_reading, read_dataset
from .phases import Phase, phases_of
from .planes import Planes, functional_group, image_on, levels_of, planes_of_frames

if TYPE_CHECKING:
    from pydicom import Dataset

_LISTED = 60  # phases in a message


def read_multiframe(path: Path, role: str, frame: int | None) -> sitk.Image | None:
    """Read a multi-frame DICOM file as one stack of slices, or one phase or frame of it.

    Args:
        path: The file.
        role: What messages call it: ``image`` or ``segmentation``.
        frame: Which phase, or which frame of a cine, from 1; ``None`` where there is but one.

    Returns:
        The image, with modality values; 2-D where the file says no position. ``None`` where the file holds one plain
        image, or colours: ITK reads these as they are.

    Raises:
        InputError: It is damaged, no even stack, or has several phases and none was chosen; or pydicom is missing.
    """
    with dicom_reading(path, role, DicomKind.MULTIFRAME):
        dataset = read_dataset(path)
        number = int(dataset.get("NumberOfFrames") or 1)
        groups = dataset.get("PerFrameFunctionalGroupsSequence")
        if int(dataset.get("SamplesPerPixel") or 1) != 1 or (number == 1 and not groups):
            return None
        what = f"{DicomKind.MULTIFRAME.value} {path}"
        planes = planes_of_frames(dataset, number, f"The {what}") if groups else None
        if planes is None:
            return _frame_without_position(dataset, number, frame, what)
        phase = _chosen_phase(phases_of(dataset, levels_of_frames(planes), what), frame, role, what)
        ordered = sorted(phase.frames, key=lambda one: planes.offsets[one])
        step = _checked_step(planes, ordered, what)
        image = image_on(planes, ordered[0], step, _modality_values(dataset, ordered))
        for key, keyword in ((SERIES_UID, "SeriesInstanceUID"), (FRAME_OF_REFERENCE_UID, "FrameOfReferenceUID")):
            image.SetMetaData(key, str(dataset.get(keyword, "")))
        return image


def levels_of_frames(planes: Planes) -> NDArray[np.int64]:
    """The place of each frame in the stack, from 0 for the lowest; frames at one position have the same."""
    levels = levels_of(planes.offsets)
    return np.searchsorted(levels, planes.offsets + 1e-9, side="right") - 1


def _chosen_phase(phases: Sequence[Phase], frame: int | None, role: str, what: str) -> Phase:
    listed = ", ".join(str(phase) for phase in phases[:_LISTED])
    more = f" and {len(phases) - _LISTED} more" if len(phases) > _LISTED else ""
    if frame is not None and not 1 <= frame <= len(phases):
        raise InputError(f"The {what} has no frame {frame}: it has {listed}{more}.")
    if frame is None and len(phases) > 1:
        do = (
            "choose one with --frame N (in a manifest: the column frame)"
            if role == "image"
            else "save one as a file of its own"
        )
        raise InputError(
            f"The {what} holds {len(phases)} images at each position, such as the phases of a cine: {do}. "
            f"It has {listed}{more}."
        )
    return phases[0 if frame is None else frame - 1]


def _checked_step(planes: Planes, ordered: Sequence[int], what: str) -> float:
    """The distance of the slices of a phase, from the lowest."""
    if len(ordered) == 1:
        return planes.step_mm or min(planes.pixel_mm)
    orientations = np.tile(planes.axes[:2].ravel(), (len(ordered), 1))
    check_stack(planes.positions[ordered], orientations, what)
    offsets = planes.offsets[ordered]
    return float((offsets[-1] - offsets[0]) / (len(ordered) - 1))


def _frame_without_position(dataset: Dataset, number: int, frame: int | None, what: str) -> sitk.Image:
    """One frame of a cine in the plane, as a 2-D image."""
    if frame is None and number > 1:
        raise InputError(
            f"The {what} holds {number} frames without positions of their own, as a cine in one plane does: choose one "
            f"with --frame 1 to {number} (in a manifest: the column frame)."
        )
    if frame is not None and not 1 <= frame <= number:
        raise InputError(f"The {what} has no frame {frame}: it has 1 to {number}.")
    spacing = dataset.get("PixelSpacing") or dataset.get("ImagerPixelSpacing")
    if not spacing:
        raise InputError(f"The {what} does not say how large its pixels are: export it with its calibration.")
    image = sitk.GetImageFromArray(_modality_values(dataset, [(frame or 1) - 1])[0])
    image.SetSpacing([float(spacing[1]), float(spacing[0])])
    return image


def _modality_values(dataset: Dataset, frames: Sequence[int]) -> NDArray:
    """The pixels of some frames, rescaled as the file says for each: frames x rows x columns.

    Raises:
        InputError: Nothing here decompresses the pixels.
    """
    from pydicom.pixels import pixel_array

    try:
        pixels = np.stack([pixel_array(dataset, index=frame) for frame in frames])
    except RuntimeError as error:
        if "missing required dependencies" not in str(error) and "Unable to decompress" not in str(error):
            raise
        name = dataset.file_meta.TransferSyntaxUID.name
        raise InputError(
            f"The pixels of {Path(str(dataset.filename)).name} are compressed ({name}), which is not read in "
            "multi-frame files: decompress it first, for example with dcmdjpeg or gdcmconv --raw."
        ) from error
    rescaling = np.array([_rescaling(dataset, frame) for frame in frames])
    if (rescaling == (1.0, 0.0)).all():
        return pixels
    slopes, intercepts = rescaling.T[:, :, None, None]
    return (pixels * slopes + intercepts).astype(np.float32)


def _rescaling(dataset: Dataset, frame: int) -> tuple[float, float]:
    """Slope and intercept of a frame."""
    said = functional_group(dataset, frame, "PixelValueTransformationSequence") or dataset
    return float(said.get("RescaleSlope", 1)), float(said.get("RescaleIntercept", 0))
