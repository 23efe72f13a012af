"""Files are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

from ..errors import ReportError

# A name of what this process has open: where that is a file (a redirection), it would be taken for a file in /dev.
_STREAM = re.compile(r"/dev/(stdout|stderr)|/(?:dev|proc/self)/fd/(\d+)")


def write_text_atomically(path: str | Path, text: str | Iterable[str]) -> None:
    """Write a UTF-8 file through a temporary one beside it: a crash leaves the old file, the new one, or none.

    Args:
        path: The file.
        text: Its content, whole or in parts.

    Raises:
        ReportError: The file cannot be written.
    """
    path = Path(path)
    temporary = None
    try:
        if _is_written_through(path):
            stream = _stream(path)
            target = os.open(path, os.O_WRONLY) if stream is None else os.dup(stream)
            with os.fdopen(target, "w", encoding="utf-8", newline="") as file:
                file.writelines([text] if isinstance(text, str) else text)
            return
        path = Path(os.path.realpath(path))  # or a link would be replaced, and its file stay as it was
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.", suffix=".partial")
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.writelines([text] if isinstance(text, str) else text)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)  # mkstemp makes it private; the user's other files are not
        Path(temporary).replace(path)
    except (OSError, UnicodeError) as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
        reason = getattr(error, "strerror", None) or error
        raise ReportError(f"The file {path} cannot be written: {reason}.") from error


def check_writable(path: str | Path) -> None:
    """Check that a file can be written, before the work and not after it.

    Raises:
        ReportError: Its folder is missing or not writable, or it is a folder itself.
    """
    path = Path(path)
    if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises where a folder above is forbidden
        raise ReportError(f"{path} is a folder: give the name of a file.")
    if _is_written_through(path):
        return  # who may not write into /dev may still write to what is there
    path = Path(os.path.realpath(path))
    if not os.path.isdir(path.parent):  # noqa: PTH112
        raise ReportError(f"The folder {path.parent} does not exist: make it, or write elsewhere.")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise ReportError(f"The folder {path.parent} is not writable: {error.strerror or error}.") from error


def _is_written_through(path: Path) -> bool:
    """Whether a path is a device, a pipe or an open stream, which is written to and not replaced."""
    if _stream(path) is not None:
        return True
    return os.path.exists(path) and not os.path.isfile(path)  # noqa: PTH110, PTH113 - as above


def _stream(path: Path) -> int | None:
    """The descriptor that a path such as ``/dev/stdout`` names."""
    named = _STREAM.fullmatch(str(path))
    if named is None:
        return None
    return {"stdout": 1, "stderr": 2}[named[1]] if named[1] else int(named[2])
