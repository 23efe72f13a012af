"""Reads and writes the files of a study; they are written whole or not at all."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from SegQualityQCLib.errors import InputError
from SegQualityQCLib.storage.atomic_files import write_atomically, write_text_atomically


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
    write_atomically(path, lambda file: np.savez_compressed(file, **columns))


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
    write_atomically(path, lambda file: file.write(content.getbuffer()))
