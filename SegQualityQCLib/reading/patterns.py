"""Paths that a user lists in one text: separated by semicolons, with wildcards."""

from __future__ import annotations

import glob
from pathlib import Path

from ..errors import InputError


def listed_files(text: str, base: Path = Path()) -> list[Path]:
    """The files that a text lists; those of a wildcard in the order of their names.

    Args:
        text: Paths or wildcards such as ``folds/*/case1.nii.gz``, separated by ``;``.
        base: What relative ones are relative to.

    Raises:
        InputError: A wildcard fits no file, or nothing is listed.
    """
    files: list[Path] = []
    for part in (part.strip() for part in text.split(";")):
        if not part:
            continue
        path = base / part
        if not glob.has_magic(part) or path.exists():
            files.append(path)
            continue
        found = [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207 - Path.glob takes no absolute pattern
        if not found:
            raise InputError(f"No file fits {path}: check the path and the wildcard.")
        files += found
    if not files:
        raise InputError("No file is listed where samples are given: name some, or leave them out.")
    return files
