"""What ITK passes over in a NIfTI file.

It reads a missing end and NaN as 0, and a spacing of 0 as 1 mm, and turns an axis of negative spacing round.
"""

from __future__ import annotations

import gzip
import io
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
import SimpleITK as sitk

from .errors import InputError

_HEADER_BYTES = 348
_SIZES, _SPACING = 42, 80  # where the first three stand in the header of NIfTI-1
_PAIR = (".hdr", ".img")
_FLOATS = {"16": "f4", "64": "f8"}  # by the header's datatype
_CHUNK_BYTES = 2**20


def is_nifti(path: Path) -> bool:
    """Whether a file's name is that of a NIfTI file, or of a part of a pair of header and pixels."""
    return path.name.lower().removesuffix(".gz").endswith((".nii", *_PAIR))


def check_nifti_file(path: Path, role: str, image: sitk.Image) -> None:
    """Check the file of an image that ITK read.

    Args:
        path: The file.
        role: What messages call it: ``image`` or ``segmentation``.
        image: What ITK made of it.

    Raises:
        InputError: Its last part is missing, a spacing is not above 0, or a pixel is NaN or infinite.
        OSError, EOFError, zlib.error: The file cannot be read or unpacked.
    """
    if not image.HasMetaDataKey("vox_offset"):
        return  # of another format, whatever its name
    dimensions = [int(float(image.GetMetaData(f"dim[{n}]"))) for n in range(8)]
    pixels = math.prod(max(n, 1) for n in dimensions[1 : dimensions[0] + 1])
    first = int(float(image.GetMetaData("vox_offset")))
    end = first + pixels * int(float(image.GetMetaData("bitpix"))) // 8
    header_file, pixel_file = _parts(path)
    if _is_cut_short(pixel_file, end):
        raise InputError(f"The {role} {path} is damaged: its last part is missing. Copy it again.")
    with _opened(header_file) as file:
        header = file.read(_HEADER_BYTES)
    order = "<" if struct.unpack_from("<i", header)[0] == _HEADER_BYTES else ">"
    if struct.unpack_from(f"{order}i", header)[0] != _HEADER_BYTES:
        return  # NIfTI-2
    sizes = struct.unpack_from(f"{order}3h", header, _SIZES)
    spacing = struct.unpack_from(f"{order}3f", header, _SPACING)
    if any(size > 1 and step <= 0 for size, step in zip(sizes, spacing, strict=True)):
        raise InputError(f"The {role} {path} has an impossible spacing {spacing} mm: correct its header.")
    kind = _FLOATS.get(image.GetMetaData("datatype"))
    if kind is None:
        return
    with _opened(pixel_file) as file:
        if not _is_finite(file, first, end, np.dtype(order + kind)):
            raise InputError(f"The {role} {path} holds NaN or infinite values: repair it or export it again.")


def _parts(path: Path) -> tuple[Path, Path]:
    """The file of the header and that of the pixels, of which ITK reads a pair by the name of either."""
    stem = path.name[:-3] if path.name.lower().endswith(".gz") else path.name
    if not stem.lower().endswith(_PAIR):
        return path, path
    upper = stem[-3:].isupper()
    names = [stem[:-4] + (ending.upper() if upper else ending) for ending in _PAIR]
    header, pixels = (path.with_name(name) for name in names)
    return (
        header if header.exists() else header.with_name(f"{header.name}.gz"),
        pixels if pixels.exists() else pixels.with_name(f"{pixels.name}.gz"),
    )


def _is_packed(path: Path) -> bool:
    """By its first bytes, as ITK does: what its name says may be wrong."""
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _opened(path: Path) -> BinaryIO | gzip.GzipFile:
    return gzip.open(path) if _is_packed(path) else path.open("rb")


def _is_finite(file: BinaryIO | gzip.GzipFile, first: int, end: int, dtype: np.dtype) -> bool:
    file.seek(first)
    for at in range(first, end, _CHUNK_BYTES):
        wanted = min(_CHUNK_BYTES, end - at)
        part = file.read(wanted)
        if len(part) < wanted:
            raise EOFError
        if not np.isfinite(np.frombuffer(part, dtype)).all():
            return False
    return True


def _is_cut_short(path: Path, end: int) -> bool:
    """Whether a file, unpacked, is shorter than ``end`` bytes."""
    if not _is_packed(path):
        return path.stat().st_size < end
    with path.open("rb") as file:
        file.seek(-4, io.SEEK_END)
        if int.from_bytes(file.read(4), "little") == end % 2**32:
            return False
        # Gzip ends with the size of what was packed; where that says otherwise, the file may still be whole: packed in
        # several parts, or with something behind the pixels.
        file.seek(0)
        try:
            with gzip.open(file) as unpacked:
                return sum(len(part) for part in iter(lambda: unpacked.read(_CHUNK_BYTES), b"")) < end
        except (EOFError, OSError, zlib.error):
            return True
