"""Files and folders that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from ..errors import ReportError

# The name of a stream that this process has open. A stream that is redirected to a file looks like a file in /dev.
_STREAM = re.compile(r"/dev/(stdout|stderr)|/(?:dev|proc/self)/fd/(\d+)")


def write_text_atomically(path: str | Path, text: str | Iterable[str]) -> None:
    """Write a UTF-8 file whole or not at all, see :func:`write_atomically`.

    Args:
        path: The file.
        text: Its content, whole or in parts.

    Raises:
        ReportError: The file cannot be written.
    """
    parts = [text] if isinstance(text, str) else text
    write_atomically(path, lambda file: file.writelines(part.encode("utf-8") for part in parts))


def write_atomically(path: str | Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file through a temporary one beside it: a crash leaves the old file, the new one, or none.

    Several processes may write the same file at once; the last one wins.

    Args:
        path: The file. A device, a pipe or an open stream is written to directly.
        write: Writes the content into the binary file that it is given.

    Raises:
        ReportError: The file cannot be written. Other errors of ``write`` are passed on, and the old file stays.
    """
    path = Path(path)
    try:
        if _is_written_through(path):
            stream = _stream(path)
            with os.fdopen(os.open(path, os.O_WRONLY) if stream is None else os.dup(stream), "wb") as file:
                write(file)
            return
        path = Path(os.path.realpath(path))  # or a link would be replaced, and its file stay as it was
        _write_through_temporary(path, write)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ReportError(f"The file {path} cannot be written: {reason}.") from error


def _write_through_temporary(path: Path, write: Callable[[BinaryIO], object]) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.", suffix=".partial")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp makes it private; the user's other files are not
        temporary.replace(path)
    except BaseException:  # an interrupt too
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


@contextlib.contextmanager
def replaced_folder(folder: str | Path) -> Iterator[Path]:
    """Fill an empty folder that takes the place of another when the block ends: whole, or not at all.

    After an error in the block the old folder stays as it was. A process that is killed leaves the old folder or the
    new one; between two renames the old one is called ``.NAME.before``, and the next call puts it back.

    Example::

        with replaced_folder("models/mine") as partial:
            (partial / "weights.pt").write_bytes(weights)

    Args:
        folder: The folder to make or to replace; the folders above it are made where they are missing.

    Yields:
        The empty folder ``.NAME.partial`` beside it. What an interrupted call left there is removed first.

    Raises:
        OSError: A folder cannot be made or renamed.
    """
    folder = Path(os.path.realpath(folder))  # or a link would be replaced, and its folder stay as it was
    partial, before = (folder.with_name(f".{folder.name}.{part}") for part in ("partial", "before"))
    if before.exists() and not folder.exists():
        before.rename(folder)  # a process was killed between the two renames
    for rest in (partial, before):
        shutil.rmtree(rest, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        if folder.exists():
            folder.rename(before)  # and removed later: a kill while it is removed would leave a part of it
        try:
            partial.rename(folder)
        except OSError:
            if before.exists():
                before.rename(folder)
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(before, ignore_errors=True)


def check_writable(path: str | Path) -> None:
    """Check that a file can be written, before the work and not after it.

    Raises:
        ReportError: Its folder is missing or not writable, or it is a folder itself.
    """
    path = Path(path)
    if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises where a folder above is forbidden
        raise ReportError(f"{path} is a folder: give the name of a file.")
    if _is_written_through(path):
        return  # a user who may not write into /dev may still write to what is there
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
