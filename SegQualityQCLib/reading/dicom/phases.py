"""The phases of a multi-frame file: what tells frames at one position apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from .planes import functional_group

if TYPE_CHECKING:
    from pydicom import Dataset

# Functional group, attribute in it, and how a value is said.
_ATTRIBUTES = (
    ("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime", "trigger delay {:g} ms"),
    ("FrameContentSequence", "TemporalPositionIndex", "temporal position {:g}"),
    ("TemporalPositionSequence", "TemporalPositionTimeOffset", "{:g} s"),
    ("MREchoSequence", "EffectiveEchoTime", "echo time {:g} ms"),
    ("MRDiffusionSequence", "DiffusionBValue", "b value {:g} s/mm2"),
)


@dataclass(frozen=True)
class Phase:
    """One image of several at the same positions.

    Attributes:
        number: From 1.
        frames: Its frames, from 0, in the order of the file.
        words: What tells it from the others; empty where there is but one.
    """

    number: int
    frames: tuple[int, ...]
    words: str = ""

    def __str__(self) -> str:
        return f"{self.number} ({self.words})" if self.words else str(self.number)


def phases_of(dataset: Dataset, levels: NDArray[np.int64], what: str) -> list[Phase]:
    """The phases of a file, in the order of what tells them apart.

    Args:
        dataset: The file.
        levels: Place of each frame in the stack, from 0.
        what: What messages call the file.

    Raises:
        InputError: Positions have different numbers of frames, or nothing tells the frames apart.
    """
    counts = np.bincount(levels)
    each = int(counts.max())
    if each == 1:
        return [Phase(1, tuple(range(len(levels))))]
    if counts.min() < each:
        raise InputError(
            f"The {what} holds {counts.min()} to {each} images at one position: some are missing, or it mixes several "
            "stacks; export one image for each position."
        )
    for keys, word in _keys(dataset, levels):
        phases = _parted(keys, levels, each, word)
        if phases is not None:
            return phases
    by_order = _by_order(levels, each)
    if by_order is not None:
        return by_order
    raise InputError(
        f"The {what} holds {each} images at each position, and neither its header nor their order tells them "
        "apart: export one image for each position."
    )


_Keys = list[tuple[float, ...]]


def _keys(dataset: Dataset, levels: NDArray[np.int64]) -> list[tuple[_Keys, Callable[[tuple[float, ...]], str]]]:
    """What may tell the frames at one position apart: a key for each frame, and its words."""
    found: list[tuple[_Keys, Callable[[tuple[float, ...]], str]]] = []
    columns, texts = [], []
    for group, attribute, text in _ATTRIBUTES:
        values = [_number(functional_group(dataset, frame, group), attribute) for frame in range(len(levels))]
        known = [value for value in values if value is not None]
        if len(known) == len(values):
            columns.append(known)
            texts.append(text)
            found.append(([(value,) for value in known], partial(_joined, [text])))
    if len(columns) > 1:
        found.append((list(zip(*columns, strict=True)), partial(_joined, texts)))
    indices = [functional_group(dataset, frame, "FrameContentSequence") for frame in range(len(levels))]
    rows = [list(np.atleast_1d(one.get("DimensionIndexValues") or [])) if one is not None else [] for one in indices]
    if rows[0] and len({len(row) for row in rows}) == 1:
        table = np.array(rows, float)
        varies = [len(np.unique(column[levels == 0])) > 1 for column in table.T]
        keys = [tuple(row) for row in table[:, varies].tolist()]
        found.append((keys, lambda key: "index " + " ".join(f"{value:g}" for value in key)))
    return found


def _joined(texts: list[str], key: tuple[float, ...]) -> str:
    return ", ".join(text.format(value) for text, value in zip(texts, key, strict=True))


def _number(group: Dataset | None, attribute: str) -> float | None:
    value = group.get(attribute) if group is not None else None
    return float(value) if value is not None and np.isfinite(float(value)) else None


def _parted(
    keys: _Keys, levels: NDArray[np.int64], each: int, word: Callable[[tuple[float, ...]], str]
) -> list[Phase] | None:
    """The phases by their keys; ``None`` where these do not give each position each phase once."""
    different = sorted(set(keys))
    if len(different) != each or len(set(zip(keys, levels.tolist(), strict=True))) < len(keys):
        return None
    return [
        Phase(number, tuple(frame for frame, one in enumerate(keys) if one == key), word(key))
        for number, key in enumerate(different, start=1)
    ]


def _by_order(levels: NDArray[np.int64], each: int) -> list[Phase] | None:
    """The phases by the order in the file, where all positions of a phase, or all phases of a position, stand together.

    A cine in one plane is such a file: its frames stand in the order of time.
    """
    positions = len(levels) // each
    frames = np.arange(len(levels))
    for table in (frames.reshape(each, positions), frames.reshape(positions, each).T):  # a row is a phase
        if (levels[table] == levels[table[0]]).all() and len(np.unique(levels[table[0]])) == positions:
            return [Phase(n, tuple(row), _listed(row)) for n, row in enumerate(table.tolist(), start=1)]
    return None


def _listed(frames: list[int]) -> str:
    """Frames from 1, in few words."""
    first, last = frames[0] + 1, frames[-1] + 1
    if len(frames) == 1:
        return f"frame {first}"
    if last - first == len(frames) - 1:
        return f"frames {first} to {last}"
    return f"frames {first}, {frames[1] + 1} ... {last}" if len(frames) > 2 else f"frames {first} and {last}"
