"""Files are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from .errors import ReportError


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
        if path.exists() and not path.is_file():  # a device or a pipe is written to, and not replaced
            with path.open("w", encoding="utf-8", newline="") as file:
                file.writelines([text] if isinstance(text, str) else text)
            return
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
    if path.is_dir():
        raise ReportError(f"{path} is a folder: give the name of a file.")
    if not path.parent.is_dir():
        raise ReportError(f"The folder {path.parent} does not exist: make it, or write elsewhere.")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise ReportError(f"The folder {path.parent} is not writable: {error.strerror or error}.") from error
