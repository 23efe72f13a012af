"""Names, layers and codes of the segments in a .seg.nrrd of 3D Slicer."""

from __future__ import annotations

import re
from pathlib import Path

from ..case.terminology import snomed_code
from ..errors import InputError
from ..storage.safe_text import printable
from .checks.nrrd_header import LONGEST_HEADER
from .segments import _Segment


def _named_segments(path: Path) -> list[_Segment]:
    """The segments that a .seg.nrrd names; none for another file."""
    if not has_segments(path):
        return []
    try:
        import slicerio
    except ImportError as error:
        raise InputError(
            f"Reading the segment names of {path.name} needs the package slicerio: pip install 'SegQualityQCLib[cli]'."
        ) from error
    try:
        header = slicerio.read_segmentation(str(path), skip_voxels=True)
        names = segment_names(path)  # slicerio leaves out the letters that are not ASCII
        return [
            _Segment(
                printable(name or str(entry.get("name") or entry["id"])),
                int(entry["labelValue"]),
                int(entry.get("layer", 0)),
                _code_of(entry),
            )
            for name, entry in zip(names, header["segments"], strict=True)
        ]
    except Exception as error:  # slicerio and pynrrd raise many kinds for damaged headers
        raise InputError(f"The segments of {path.name} cannot be read: its header is damaged.") from error


def _code_of(entry: dict) -> str | None:
    kind = entry.get("terminology", {}).get("type")
    return snomed_code(str(kind[0]), str(kind[1])) if kind and len(kind) > 1 else None


def has_segments(path: Path) -> bool:
    """Whether a file's name is that of a segmentation of 3D Slicer, with names and layers."""
    return path.name.lower().endswith((".seg.nrrd", ".seg.nhdr"))


def segment_names(path: Path) -> list[str]:
    """The names of the segments of a ``.seg.nrrd`` in the order of their numbers, in UTF-8 as Slicer writes them.

    Raises:
        OSError: The file cannot be read.
    """
    numbers: set[int] = set()
    names: dict[int, str] = {}
    with path.open("rb") as file:
        while (line := file.readline(LONGEST_HEADER)).strip(b"\r\n"):
            found = re.match(rb"Segment(\d+)_(\w+):=(.*)", line.rstrip(b"\r\n"))
            if found:
                numbers.add(int(found[1]))
                if found[2] == b"Name":
                    names[int(found[1])] = found[3].decode("utf-8", "replace").strip()
    return [names.get(number, "") for number in sorted(numbers)]
