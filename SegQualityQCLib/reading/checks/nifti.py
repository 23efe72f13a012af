"""Checks of NIfTI files that ITK does not do.

ITK reads a missing end and NaN as 0 and a spacing of 0 as 1 mm, and it reverses an axis of negative spacing.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
import SimpleITK as sitk

from ...errors import InputError
from .truncation import CHUNK_BYTES, is_cut_short, opened

_HEADER_BYTES = 348
_HEADER_2_BYTES = 540  # of NIfTI-2
_SIZES, _SPACING = 42, 80  # bytes before the first three sizes and spacings in a NIfTI-1 header
_PAIR = (".hdr", ".img")
_FLOATS = {"16": "f4", "64": "f8"}  # the header's datatype: numpy's


def is_nifti(path: Path) -> bool:
    """Whether a file's name is that of a NIfTI file, or of a part of a pair of header and pixels."""
    return path.name.lower().removesuffix(".gz").endswith((".nii", *_PAIR))


def is_nifti_2(path: Path) -> bool:
    """Whether a file begins with the header of NIfTI-2, by the size that the header says it has."""
    try:
        with opened(path) as file:
            return file.read(4) in (struct.pack("<i", _HEADER_2_BYTES), struct.pack(">i", _HEADER_2_BYTES))
    except (OSError, EOFError, zlib.error):
        return False


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
    if is_cut_short(pixel_file, end):
        raise InputError(f"The {role} {path} is damaged: its last part is missing. Copy it again.")
    with opened(header_file) as file:
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
    with opened(pixel_file) as file:
        if not _is_finite(file, first, end, np.dtype(order + kind)):
            raise InputError(f"The {role} {path} holds NaN or infinite values: repair it or export it again.")


def _parts(path: Path) -> tuple[Path, Path]:
    """The file of the header and the file of the pixels; ITK reads a pair by the name of either."""
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


def _is_finite(file: BinaryIO | gzip.GzipFile, first: int, end: int, dtype: np.dtype) -> bool:
    file.seek(first)
    for at in range(first, end, CHUNK_BYTES):
        wanted = min(CHUNK_BYTES, end - at)
        part = file.read(wanted)
        if len(part) < wanted:
            raise EOFError
        if not np.isfinite(np.frombuffer(part, dtype)).all():
            return False
    return True
