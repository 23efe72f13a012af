"""Corrected segmentations are saved beside the original as new versions; no file is overwritten."""

from __future__ import annotations

import contextlib
import os
import re
import uuid
from collections.abc import Callable
from pathlib import Path

from ..errors import WorklistError

ENDING = ".seg.nrrd"

_ENDINGS = (".seg.nrrd", ".seg.nhdr", ".nii.gz", ".nrrd", ".nhdr", ".nii", ".mha", ".mhd")
_MOST_VERSIONS = 10_000


def publish_version(original: str | Path, write: Callable[[Path], None]) -> Path:
    """Save a new version beside the original, such as ``heart.v2.seg.nrrd`` beside ``heart.nii.gz``.

    It is written under another name first and then takes the next free number in one step. Two people who save at the
    same time get two files, and a crash leaves no incomplete file under the name of a version.

    Args:
        original: The segmentation, or a version of it.
        write: Writes the segmentation to the path that it is given; the path ends in ``.seg.nrrd``.

    Returns:
        The new file.

    Raises:
        WorklistError: It cannot be written.
    """
    original = Path(original)
    stem, _ = _parts(original.name)
    partial = original.with_name(f".{stem[:40]}-{uuid.uuid4().hex[:8]}.partial{ENDING}")
    try:
        write(partial)
        if not partial.is_file():
            raise WorklistError(f"The segmentation {stem} was not written beside {original}.")
        for number in range(_next_number(original), _MOST_VERSIONS):
            target = original.with_name(f"{stem}.v{number}{ENDING}")
            if _moved_without_overwriting(partial, target):
                return target
        raise WorklistError(f"The segmentation {stem} has too many versions.")
    except OSError as error:
        raise WorklistError(
            f"No new version can be saved beside {original}: {error.strerror or error}. Save it elsewhere by hand."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


def version_number(path: str | Path) -> int:
    """The number of a version; 1 of an original."""
    return _parts(Path(path).name)[1]


def is_saved_version(path: Path) -> bool:
    """Whether a file is a version that was saved beside an original, which is still there."""
    stem, version = _parts(path.name)
    is_version = version > 1 and path.name.lower().endswith(ENDING)
    return is_version and any(path.with_name(stem + ending).exists() for ending in _ENDINGS)


def _parts(name: str) -> tuple[str, int]:
    """The name of a segmentation without ending and version, and its version; an original is version 1."""
    ending = next((known for known in _ENDINGS if name.lower().endswith(known)), Path(name).suffix)
    stem = name[: len(name) - len(ending)] if ending else name
    match = re.fullmatch(r"(.+)\.v(\d{1,4})", stem)
    return (match[1], int(match[2])) if match else (stem, 1)


def _next_number(original: Path) -> int:
    """One more than the highest version beside a file."""
    stem, version = _parts(original.name)
    versions = [_parts(path.name) for path in original.parent.glob(f"*{ENDING}")]
    return max([version, *(number for name, number in versions if name == stem)]) + 1


def _moved_without_overwriting(source: Path, target: Path) -> bool:
    """Give a file another name unless that is taken."""
    try:
        os.link(source, target)  # fails where the target exists, in one step
        return True
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links: take the name first, then fill it
        try:
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            return False
        source.replace(target)
        return True
