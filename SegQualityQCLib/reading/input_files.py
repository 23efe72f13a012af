"""All files that an input is made of: a header names others, which must be kept as safe as the header itself."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable
from pathlib import Path

_HEADER_BYTES = 1 << 20  # a list of thousands of slices is shorter
_HEADERS = {".mhd": rb"ElementDataFile\s*=\s*(.*)", ".nhdr": rb"data ?file:\s*(.*)"}
_PAIRS = {".hdr": (".img", ".img.gz"), ".img": (".hdr", ".hdr.gz")}
_FORMAT = re.compile(r"%0?\d*d")


def files_of(path: Path) -> set[Path]:
    """The files that an input is made of: itself and those that its header names, or those that lie in a folder.

    Args:
        path: An image, a segmentation, a table or a folder; it may be missing.

    Returns:
        Paths that need not exist. A header that cannot be read names nothing.
    """
    if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises where a folder above is forbidden
        return {path / name for name in os.listdir(path)} if os.access(path, os.R_OK) else set()  # noqa: PTH208
    name = path.name.lower().removesuffix(".gz")
    stem = path.name[: len(name)]
    ending = Path(name).suffix
    if ending in _PAIRS:
        return {path, *_others_of_pair(path, stem[: -len(ending)], ending)}
    if ending in _HEADERS:
        return {path, *_named_in_header(path, _HEADERS[ending])}
    return {path}


def _others_of_pair(path: Path, stem: str, ending: str) -> Iterable[Path]:
    names = _PAIRS[ending]
    return (path.with_name(stem + other) for name in names for other in (name, name.upper()))


def _named_in_header(path: Path, expression: bytes) -> set[Path]:
    """The files of the pixels of a MetaImage or NRRD header: one, a list of them, or a numbered series."""
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except (OSError, ValueError):
        return set()
    found = re.search(rb"^" + expression, header, re.IGNORECASE | re.MULTILINE)
    if found is None:
        return set()
    named = os.fsdecode(found[1]).strip()
    if named.upper().startswith("LIST"):
        names = [os.fsdecode(line).strip() for line in header[found.end() :].splitlines()]
        return {path.parent / name for name in names if name and "\0" not in name}
    if _FORMAT.search(named):
        pattern = "*".join(glob.escape(part) for part in _FORMAT.split(named.split()[0]))
        return {path.parent / name for name in glob.glob(pattern, root_dir=path.parent)}  # noqa: PTH207
    return set() if named.upper() == "LOCAL" or "\0" in named else {path.parent / named}
