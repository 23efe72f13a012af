"""The figures of an attack study so far, written after each one, so that an interrupted study goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ..study.artifacts import read_json, write_arrays, write_json


class Record:
    """Figures (NAME.json) and arrays (NAME.npz) of one attacked model.

    Args:
        path: NAME.json; NAME.npz lies beside it.
        describes: What the figures hold for: name, weights, slices, settings; a record of anything else is begun anew.
    """

    def __init__(self, path: Path, describes: dict[str, Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.figures: dict[str, Any] = json.loads(json.dumps(describes))
        self.arrays: dict[str, Any] = {}
        if self.path.is_file():
            found = read_json(self.path)
            if all(found.get(key) == value for key, value in self.figures.items()):
                self.figures = found
                with np.load(self.path.with_suffix(".npz")) as stored:
                    self.arrays = {key: stored[key] for key in stored.files}

    def keep(self, arrays: dict[str, Tensor] | None = None, **figures: Any) -> None:
        """Add figures and arrays, and write both whole or not at all."""
        self.figures |= figures
        self.arrays |= {key: value.numpy() for key, value in (arrays or {}).items()}
        write_arrays(self.path.with_suffix(".npz"), self.arrays)
        write_json(self.path, self.figures)
