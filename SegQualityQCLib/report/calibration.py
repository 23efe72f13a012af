"""How sure a predicted Dice is: split-conformal intervals, conditional on the prediction.

Source: Lei, G'Sell, Rinaldo, Tibshirani, Wasserman, "Distribution-free predictive inference for regression", JASA 2018
(locally weighted conformal inference): residuals are divided by the error that the network expects of each slice.
Within each bin of predicted Dice the two signed quantiles of those of held-out patients are the offsets of the
interval, to be multiplied by the expected error.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

COVERAGE = 0.9
_SMALLEST_BIN = 40  # below this, the outer quantiles of a 90 % interval rest on two or three residuals


@dataclass(frozen=True)
class IntervalTable:
    """The offsets of an interval, for each bin of predicted Dice.

    Attributes:
        edges: Ends of the bins, ascending, one more than bins.
        low: Offset of the lower end in each bin, at most 0, in units of the expected error.
        high: Offset of the upper end in each bin, at least 0.
    """

    edges: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def interval(self, dice: float, spread: float = 1.0) -> tuple[float, float]:
        """The interval around a predicted Dice, clipped to [0, 1]; it holds the prediction.

        Args:
            dice: Predicted Dice in [0, 1].
            spread: The error expected of it.
        """
        place = min(max(int(np.searchsorted(self.edges, dice, side="right")) - 1, 0), len(self.edges) - 2)
        low = min(max(dice + self.low[place] * spread, 0.0), dice)
        high = max(min(dice + self.high[place] * spread, 1.0), dice)
        return low, high

    def to_dict(self) -> dict[str, list[float]]:
        """The table as JSON types."""
        return {key: list(values) for key, values in asdict(self).items()}

    @classmethod
    def from_dict(cls, content: Any) -> IntervalTable:
        """Read a table from JSON types.

        Raises:
            ValueError: It is not a calibration table.
            KeyError: A part of it is missing.
        """
        edges, low, high = (content[key] for key in ("edges", "low", "high"))
        values = [*edges, *low, *high]
        if not all(type(v) in (int, float) and math.isfinite(v) for v in values):
            raise ValueError("a calibration table holds something that is not a number")
        if len(edges) < 2 or len(low) != len(edges) - 1 or len(high) != len(edges) - 1:
            raise ValueError("a calibration table has a wrong length")
        if sorted(edges) != list(edges) or max(low) > 0 or min(high) < 0:
            raise ValueError("a calibration table is out of order")
        return cls(tuple(edges), tuple(low), tuple(high))


@dataclass(frozen=True)
class Calibration:
    """The 90 % intervals of a model for one structure: of slices, and of volumes of several slices."""

    slice: IntervalTable
    volume: IntervalTable

    def to_dict(self) -> dict[str, Any]:
        """The tables as JSON types, with the coverage that they were fitted for."""
        return {"coverage": COVERAGE, "slice": self.slice.to_dict(), "volume": self.volume.to_dict()}

    @classmethod
    def from_dict(cls, content: Any) -> Calibration:
        """Read the tables from JSON types; raises as :meth:`IntervalTable.from_dict` does."""
        return cls(IntervalTable.from_dict(content["slice"]), IntervalTable.from_dict(content["volume"]))


def fit_table(
    predicted: ArrayLike,
    true: ArrayLike,
    spread: ArrayLike = 1.0,
    *,
    bins: int = 10,
) -> IntervalTable:
    """Fit the offsets of the interval on held-out cases.

    Bins hold equally many predictions, and fewer bins are made where there are fewer than 40 for each.

    Args:
        predicted: Predicted Dice, shape (n,).
        true: True Dice, shape (n,).
        spread: The expected error of each prediction, above 0, shape (n,); or one for all, which changes nothing.
        bins: Number of bins at most.

    Returns:
        The offsets to add to a predicted Dice, in units of its expected error; the bins span [0, 1].

    Raises:
        ValueError: The vectors differ in length or are empty.
    """
    predicted, true = np.asarray(predicted, float), np.asarray(true, float)
    if predicted.shape != true.shape or predicted.ndim != 1 or len(predicted) == 0:
        raise ValueError(f"predicted and true must be two vectors of one length, not {predicted.shape}, {true.shape}")
    bins = max(1, min(bins, len(predicted) // _SMALLEST_BIN))
    inner = np.unique(np.quantile(predicted, np.linspace(0, 1, bins + 1)[1:-1]))
    edges = np.concatenate([[0.0], inner[(inner > 0) & (inner < 1)], [1.0]])
    places = np.searchsorted(edges, predicted, side="right").clip(1, len(edges) - 1) - 1
    tail = (1 - COVERAGE) / 2
    scaled = (true - predicted) / np.asarray(spread, float)
    low, high = [], []
    for place in range(len(edges) - 1):
        residuals = scaled[places == place]
        low.append(min(0.0, -_conformal_quantile(-residuals, 1 - tail)))
        high.append(max(0.0, _conformal_quantile(residuals, 1 - tail)))
    return IntervalTable(tuple(edges.tolist()), tuple(low), tuple(high))


def _conformal_quantile(scores: NDArray[np.float64], level: float) -> float:
    """The finite-sample quantile ceil((n + 1) level) / n of split-conformal prediction."""
    ordered = np.sort(scores)
    rank = min(math.ceil((len(ordered) + 1) * level), len(ordered))
    return float(ordered[rank - 1])
