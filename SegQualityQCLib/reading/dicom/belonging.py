"""Whether a DICOM segmentation was drawn on the image that it comes with, by their identifiers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import SimpleITK as sitk

from ...errors import InputError
from .files import DicomKind, dicom_kind, dicom_reading, read_dataset

if TYPE_CHECKING:
    from pydicom import Dataset

SERIES_UID, FRAME_OF_REFERENCE_UID = "0020|000e", "0020|0052"


def referenced_series(path: Path) -> frozenset[str]:
    """The identifiers of the series that a SEG or RTSTRUCT was drawn on; none for other files."""
    kind = dicom_kind(path)
    if kind not in (DicomKind.SEGMENTATION, DicomKind.CONTOURS):
        return frozenset()
    with dicom_reading(path, "segmentation", kind):
        return frozenset(series_named_in(read_dataset(path, pixels=False)))


def series_named_in(dataset: Dataset) -> Iterator[str]:
    """The identifiers of the series that a segmentation or structure set names."""
    for series in dataset.get("ReferencedSeriesSequence") or ():
        yield str(series.get("SeriesInstanceUID", ""))
    for frame in dataset.get("ReferencedFrameOfReferenceSequence") or ():
        for study in frame.get("RTReferencedStudySequence") or ():
            for series in study.get("RTReferencedSeriesSequence") or ():
                yield str(series.get("SeriesInstanceUID", ""))


def check_belongs(
    frame_of_reference: str, series: frozenset[str], image: sitk.Image, names: tuple[str, str], what: str
) -> None:
    """Check that positions of a segmentation mean the same place as positions of the image.

    Nothing is checked where the image is not DICOM, or one of the two does not say its frame of reference.

    Args:
        frame_of_reference: Identifier of the segmentation's coordinate system.
        series: Identifiers of the series that it names.
        image: The image as it was read.
        names: Of the segmentation and the image, for messages.
        what: What the segmentation is, for messages.

    Raises:
        InputError: It was drawn on another series in another coordinate system.
    """
    known = {key: image.GetMetaData(key).strip("\0 ") for key in image.GetMetaDataKeys() if key in _UIDS}
    theirs = known.get(FRAME_OF_REFERENCE_UID, "")
    if not theirs or not frame_of_reference or theirs == frame_of_reference or known.get(SERIES_UID) in series:
        return
    named = f" ({', '.join(sorted(series)[:3])})" if series else ""
    raise InputError(
        f"The {what} {names[0]} was drawn on another series{named} than the image {names[1]}, with another frame of "
        "reference: give the series that it was drawn on."
    )


_UIDS = (SERIES_UID, FRAME_OF_REFERENCE_UID)
