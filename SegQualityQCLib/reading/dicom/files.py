"""What a DICOM file is, told by its first bytes; and its contents, by pydicom."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import InputError

if TYPE_CHECKING:
    from pydicom import Dataset

_STORAGE = "1.2.840.10008.5.1.4.1.1."
_SEGMENTATIONS = {_STORAGE + "66.4", _STORAGE + "66.7"}  # the latter is a labelmap
_CONTOURS = {_STORAGE + "481.3"}
# Enhanced CT, MR, PET and X-ray, ultrasound, nuclear medicine, angiography, secondary capture, parametric map, dose.
_MULTIFRAME = {
    _STORAGE + end
    for end in (
        *("2.1", "2.2", "3.1", "4.1", "4.3", "4.4", "6.2", "7.1", "7.2", "7.3", "7.4", "12.1", "12.1.1", "12.2"),
        *("12.2.1", "13.1.1", "13.1.2", "13.1.3", "20", "30", "128.1", "130", "481.2"),
    )
}
_START_BYTES = 16384  # the class stands within the first elements
_LONG_LENGTHS = {b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"SQ", b"UN", b"UC", b"UR", b"UT", b"SV", b"UV"}


class DicomKind(Enum):
    """What a DICOM file holds, as far as it decides who reads it."""

    SEGMENTATION = "DICOM segmentation (SEG)"
    CONTOURS = "DICOM structure set (RTSTRUCT)"
    MULTIFRAME = "multi-frame DICOM file"
    OTHER = "DICOM file"


def dicom_kind(path: Path) -> DicomKind | None:
    """What a file is by its SOP class; ``None`` where it is not DICOM or cannot be opened. It needs no package."""
    try:
        with path.open("rb") as file:
            start = file.read(_START_BYTES)
    except (OSError, ValueError):
        return None
    sop_class = _sop_class(start)
    if sop_class is None:
        return DicomKind.OTHER if start[128:132] == b"DICM" else None
    known = ((_SEGMENTATIONS, DicomKind.SEGMENTATION), (_CONTOURS, DicomKind.CONTOURS))
    for classes, kind in (*known, (_MULTIFRAME, DicomKind.MULTIFRAME)):
        if sop_class in classes:
            return kind
    return DicomKind.OTHER


def _sop_class(start: bytes) -> str | None:
    """The SOP class in the first bytes of a file, in little endian; with or without the preamble."""
    at = 132 if start[128:132] == b"DICM" else 0
    if start[at : at + 2] not in (b"\x02\x00", b"\x08\x00"):
        return None
    while at + 8 <= len(start):
        tag, kind = start[at : at + 4], start[at + 4 : at + 6]
        if not (kind.isalpha() and kind.isupper()):  # implicit
            length, at = int.from_bytes(start[at + 4 : at + 8], "little"), at + 8
        elif kind in _LONG_LENGTHS:
            length, at = int.from_bytes(start[at + 8 : at + 12], "little"), at + 12
        else:
            length, at = int.from_bytes(start[at + 6 : at + 8], "little"), at + 8
        if tag in (b"\x02\x00\x02\x00", b"\x08\x00\x16\x00"):
            return start[at : at + length].rstrip(b"\0 ").decode("ascii", "replace")
        at += length
    return None


@contextmanager
def dicom_reading(path: Path, role: str, kind: DicomKind) -> Iterator[None]:
    """Say in a sentence what a file is and what to install, or that it is damaged.

    Args:
        path: The file.
        role: What messages call it: ``image`` or ``segmentation``.
        kind: What it is.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of values that do not keep to the standard; what matters is checked
            yield
    except InputError:
        raise
    except ImportError as error:
        raise InputError(
            f"The {role} {path} is a {kind.value}: reading it needs the package {error.name}: "
            "pip install 'SegQualityQCLib[cli]'."
        ) from error
    except PermissionError as error:
        raise InputError(f"The {role} {path} may not be read: ask for the permission.") from error
    except Exception as error:  # pydicom and highdicom raise many kinds for damaged files
        raise InputError(f"The {role} {path} cannot be read: this {kind.value} is damaged.") from error


def read_dataset(path: Path, *, pixels: bool = True) -> Dataset:
    """The elements of a DICOM file, with or without a preamble; call it inside :func:`dicom_reading`."""
    import pydicom

    return pydicom.dcmread(path, force=True, stop_before_pixels=not pixels)


def series_of_file(path: Path) -> str | None:
    """The identifier of the series that a DICOM file belongs to; ``None`` where it cannot be read.

    Raises:
        InputError: pydicom is missing.
    """
    try:
        with dicom_reading(path, "image", DicomKind.OTHER):
            return str(read_dataset(path, pixels=False).get("SeriesInstanceUID", ""))
    except InputError as error:
        if isinstance(error.__cause__, ImportError):
            raise
        return None
