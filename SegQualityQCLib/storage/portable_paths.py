"""Paths that are stored relative to the folder of the file that stores them.

Folder and files can then be moved together, or be mounted elsewhere on another machine.
"""

from __future__ import annotations

import os
from pathlib import Path


def portable(path: Path, folder: Path) -> str:
    """A path as it is stored in a file of a folder."""
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # another drive of Windows
        return str(path)


def absolute(stored: str, folder: Path) -> Path:
    """The path that :func:`portable` stored."""
    return Path(os.path.normpath(folder / stored))
