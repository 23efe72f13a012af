"""The one guard of what commands write: no output may take the place of an input or of a file of this tool."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..errors import InputError
from .atomic_files import check_writable

_FIRST_BYTES = 4096  # an image, an archive or a database has a byte 0 among them


class OutputGuard:
    """Remembers the files that must stay, and checks each output against them before the work.

    Files are compared by what they are on disk: a link, a hard link or another spelling of a path is the same file.

    Example::

        guard = OutputGuard()
        guard.keep("image", files_of(image))
        guard.check({"--json": Path("report.json"), "--csv": None})
    """

    def __init__(self) -> None:
        self._kept: dict[object, str] = {}
        self._waiting: list[tuple[str, Iterable[Path]]] = []

    def keep(self, what: str, files: Iterable[Path]) -> None:
        """Remember files that must stay.

        Args:
            what: What messages call them, such as ``image``.
            files: The files. They are asked for when an output exists already: those of a large cohort take long.
        """
        self._waiting.append((what, files))

    def check(self, outputs: Mapping[str, Path | None]) -> None:
        """Check outputs, by the names of their options; a device such as ``/dev/stdout`` may take several.

        Raises:
            InputError: One would overwrite a file that must stay or another output, or a file that is not text.
            ReportError: One cannot be written.
        """
        for option, target in outputs.items():
            if target is None:
                continue
            check_writable(target)
            if target.exists() and not target.is_file():
                continue
            self.check_one(option, target)

    def check_one(self, option: str, target: Path) -> None:
        """Check one output, whose folder may be missing, and remember it.

        Raises:
            InputError: See :meth:`check`.
        """
        if target.exists():
            for what, files in self._waiting:
                for file in files:
                    self._kept.setdefault(_identity(file), what)
            self._waiting.clear()
        other = self._kept.setdefault(_identity(target), option)
        if other != option:
            raise InputError(f"The file {target} of {option} is that of the {other}: name another one.")
        if _is_binary(target):
            raise InputError(
                f"The file {target} of {option} exists and is not text, such as an image or a database: name another "
                "one, or remove it first."
            )


def _identity(path: Path) -> object:
    """What tells files apart: device and number of a file, which hard links share; else its path without links."""
    try:
        facts = path.stat()
    except (OSError, ValueError):
        return os.path.normcase(os.path.realpath(path))
    return (facts.st_dev, facts.st_ino)


def _is_binary(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return b"\0" in file.read(_FIRST_BYTES)
    except (OSError, ValueError):
        return False
