"""The files of a study, written whole or not at all."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from SegQualityQCLib.errors import InputError, ReportError
from SegQualityQCLib.storage.atomic_files import write_text_atomically


def write_json(path: Path, content: Any, indent: int | None = 1) -> None:
    """Write a JSON file.

    Raises:
        ReportError: It cannot be written.
    """
    write_text_atomically(path, json.dumps(content, indent=indent) + "\n")


def read_json(path: Path) -> Any:
    """What :func:`write_json` wrote.

    Raises:
        InputError: It is not there, or damaged.
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
    _write(path, lambda file: np.savez_compressed(file, **arrays))


def save_weights(module: torch.nn.Module, path: Path) -> None:
    """Save a network's state dict as float32.

    Raises:
        ReportError: It cannot be written.
    """
    weights = {key: value.detach().float().cpu().clone() for key, value in module.state_dict().items()}
    content = io.BytesIO()  # torch.save itself does not say why a file cannot be written
    torch.save(weights, content)
    _write(path, lambda file: file.write(content.getbuffer()))


def _write(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    # A name of its own, for each process of a training on several devices writes its result.
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
