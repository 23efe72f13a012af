"""Writes the files and folders of a study whole or not at all."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from SegQualityQCLib.errors import InputError, ReportError
from SegQualityQCLib.storage.atomic_files import write_text_atomically


def write_json(path: Path, content: Any, indent: int | None = 1) -> None:
    """Write a JSON file.

    Raises:
        ReportError: It cannot be written.
    """
    write_text_atomically(path, json.dumps(content, indent=indent) + "\n")


def read_json(path: Path) -> Any:
    """Read what :func:`write_json` wrote.

    Raises:
        InputError: The file is missing or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"The file {path} is missing: run the stage that writes it first.") from error
    except (OSError, ValueError) as error:
        raise InputError(f"The file {path} cannot be read: {error}.") from error


def write_arrays(path: Path, arrays: Mapping[str, ArrayLike]) -> None:
    """Write a compressed .npz file.

    Raises:
        ReportError: It cannot be written.
    """
    columns: dict[str, Any] = dict(arrays)  # the stubs would take a column's name for an option
    _write(path, lambda file: np.savez_compressed(file, **columns))


def save_weights(module: torch.nn.Module, path: Path) -> None:
    """Save a network's state dict as float32.

    Raises:
        ReportError: It cannot be written.
    """
    save_tensors({key: value.detach().float().cpu().clone() for key, value in module.state_dict().items()}, path)


def save_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Save a table of tensors as they are.

    Raises:
        ReportError: It cannot be written.
    """
    content = io.BytesIO()  # torch.save itself does not say why a file cannot be written
    torch.save(dict(tensors), content)
    _write(path, lambda file: file.write(content.getbuffer()))


@contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """An empty folder to fill, which takes the place of ``folder`` at the end; a fault leaves the folder as it was.

    The folder before is moved aside and then removed: removed in its place, a stop meanwhile would leave a part of it.
    """
    partial, before = (folder.with_name(f".{folder.name}.{part}") for part in ("partial", "before"))
    if before.exists() and not folder.exists():
        before.rename(folder)  # an earlier process was stopped while it replaced the folder
    for rest in (partial, before):
        shutil.rmtree(rest, ignore_errors=True)
    partial.mkdir(parents=True)
    yield partial
    if folder.exists():
        folder.rename(before)
    partial.rename(folder)
    shutil.rmtree(before, ignore_errors=True)


def _write(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    # The process is in the name: each process of a training on several devices writes its result.
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise ReportError(f"The file {path} cannot be written: {error.strerror or error}.") from error
