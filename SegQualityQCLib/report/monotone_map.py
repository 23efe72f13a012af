"""A monotone map from a figure to Dice, fitted by isotonic regression.

Source: Barlow, Bartholomew, Bremner, Brunk, "Statistical Inference under Order Restrictions", 1972 (pool adjacent
violators). It is ten lines of numpy: a package for it would weigh more than all others of the core together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..storage.json_numbers import finite_number


@dataclass(frozen=True)
class MonotoneMap:
    """Straight lines between knots, constant beyond the first and the last.

    Attributes:
        values: Figures of the knots, ascending.
        dice: Dice at the knots in [0, 1], never descending.
    """

    values: tuple[float, ...]
    dice: tuple[float, ...]

    def __call__(self, value: float) -> float:
        """The Dice of a figure."""
        return float(np.interp(value, self.values, self.dice))

    def to_dict(self) -> dict[str, list[float]]:
        """The knots as JSON types."""
        return {"values": list(self.values), "dice": list(self.dice)}

    @classmethod
    def from_dict(cls, content: Any) -> MonotoneMap:
        """Read the knots from JSON types.

        Raises:
            ValueError: They are not a monotone map.
            KeyError: A part of them is missing.
        """
        values, dice = ([finite_number(value) for value in content[key]] for key in ("values", "dice"))
        if len(values) != len(dice) or not values or values != sorted(set(values)) or dice != sorted(dice):
            raise ValueError("a map to Dice is out of order")
        if not 0 <= dice[0] <= dice[-1] <= 1:
            raise ValueError("a map to Dice leaves 0 to 1")
        return cls(tuple(values), tuple(dice))

    @classmethod
    def fit(cls, values: ArrayLike, dice: ArrayLike) -> MonotoneMap:
        """The monotone map with the least squares.

        Args:
            values: Figures, shape (n,), n at least 1.
            dice: True Dice in [0, 1], shape (n,).
        """
        known, places = np.unique(np.asarray(values, float), return_inverse=True)
        weights = np.bincount(places).astype(float)
        means = np.bincount(places, np.asarray(dice, float)) / weights
        blocks: list[tuple[float, float, int]] = []  # mean, weight, number of knots
        for mean, weight in zip(means.tolist(), weights.tolist(), strict=True):
            block = (mean, weight, 1)
            while blocks and blocks[-1][0] >= block[0]:
                before = blocks.pop()
                total = before[1] + block[1]
                block = ((before[0] * before[1] + block[0] * block[1]) / total, total, before[2] + block[2])
            blocks.append(block)
        fitted = np.repeat([block[0] for block in blocks], [block[2] for block in blocks]).clip(0, 1)
        inner = (fitted[1:-1] == fitted[:-2]) & (fitted[1:-1] == fitted[2:])  # of a level stretch, the ends are enough
        kept = np.concatenate([[True], ~inner, [True]])[: len(known)]
        return cls(tuple(known[kept].tolist()), tuple(np.maximum.accumulate(fitted[kept]).tolist()))
