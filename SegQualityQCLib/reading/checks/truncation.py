"""Files whose last part is missing, as after an interrupted copy.

In some formats ITK does not notice it: it fills the missing pixels with what its memory held before, or gives fewer
slices.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from pathlib import Path
from typing import BinaryIO, Literal

import SimpleITK as sitk

from ...errors import InputError

CHUNK_BYTES = 2**20
_HEADER_BYTES = {".gipl": 256, ".mrc": 1024}  # at least; these formats pack no pixels themselves
# By the first bytes: byte order, place of the first directory's offset, bytes of an offset, of a count, of an entry.
_TIFF: dict[bytes, tuple[Literal["little", "big"], int, int, int, int]] = {
    b"II*\0": ("little", 4, 4, 2, 12),
    b"MM\0*": ("big", 4, 4, 2, 12),
    b"II+\0": ("little", 8, 8, 8, 20),
    b"MM\0+": ("big", 8, 8, 8, 20),
}
_VTK = b"# vtk DataFile"
_VTK_HEADER_BYTES = 4096  # at most
_VTK_PIXELS = re.compile(rb"\n(SCALARS|VECTORS|TENSORS|COLOR_SCALARS)[^\n]*\n(LOOKUP_TABLE[^\n]*\n)?")


def check_end(path: Path, role: str, image: sitk.Image) -> None:
    """Check that a file of GIPL, MRC, TIFF or VTK's old format is as long as it says.

    Args:
        path: The file.
        role: What messages call it: ``image`` or ``segmentation``.
        image: What ITK made of it.

    Raises:
        InputError: Its last part is missing.
        OSError, EOFError, zlib.error: The file cannot be read or unpacked.
    """
    values = image.GetNumberOfPixels() * image.GetNumberOfComponentsPerPixel()
    pixel_bytes = values * image.GetSizeOfPixelComponent()
    ending = Path(path.name.lower().removesuffix(".gz")).suffix
    with path.open("rb") as file:
        start = file.read(_VTK_HEADER_BYTES)
    if start.startswith(_VTK):
        before = _VTK_PIXELS.search(start)
        if before is None:
            return
        if start.splitlines()[2].strip().upper() == b"ASCII":
            short = len(path.read_bytes()[before.end() :].split()) < values
        else:
            short = is_cut_short(path, before.end() + pixel_bytes)
    elif start[:4] in _TIFF:
        short = _lacks_pages(path)
    else:
        short = ending in _HEADER_BYTES and is_cut_short(path, _HEADER_BYTES[ending] + pixel_bytes)
    if short:
        raise InputError(f"The {role} {path} is damaged: its last part is missing. Copy it again.")


def opened(path: Path) -> BinaryIO | gzip.GzipFile:
    """A file for reading in binary; a gzip file is unpacked."""
    return gzip.open(path) if _is_packed(path) else path.open("rb")


def is_cut_short(path: Path, end: int) -> bool:
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
                return sum(len(part) for part in iter(lambda: unpacked.read(CHUNK_BYTES), b"")) < end
        except (EOFError, OSError, zlib.error):
            return True


def _lacks_pages(path: Path) -> bool:
    """Whether the chain of a TIFF's directories, one for each slice, leads beyond the end of the file."""
    end = path.stat().st_size
    with path.open("rb") as file:
        order, place, offset_bytes, count_bytes, entry_bytes = _TIFF[file.read(4)]
        seen: set[int] = set()
        while True:
            file.seek(place)
            directory = int.from_bytes(file.read(offset_bytes), order)
            if directory == 0 or directory in seen:
                return False
            seen.add(directory)
            if directory + count_bytes > end:  # the offset may even be larger than a file can be
                return True
            file.seek(directory)
            count = int.from_bytes(file.read(count_bytes), order)
            place = directory + count_bytes + entry_bytes * count
            if place + offset_bytes > end:
                return True


def _is_packed(path: Path) -> bool:
    """Whether a file is packed with gzip, by its first bytes, as ITK does: its name may be wrong."""
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"
