"""The interval of a figure, over patients, since slices of one patient are alike."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

_RESAMPLES = 1000


def with_bootstrap(
    measured: Callable[[NDArray[np.int64]], float], patient: NDArray, places: NDArray[np.int64]
) -> list[float]:
    """A figure, and the ends of its 95 % interval over patients drawn with replacement.

    Args:
        measured: The figure of some places, where a place may come more than once.
        patient: The patient of each place, shape (n,).
        places: The places that the figure is measured on, at least one.

    Returns:
        The figure, the lower and the upper end.
    """
    rng = np.random.default_rng(0)
    members = [places[patient[places] == one] for one in np.unique(patient[places])]
    values = [
        measured(np.concatenate([members[turn] for turn in rng.choice(len(members), len(members))]))
        for _ in range(_RESAMPLES)
    ]
    low, high = np.quantile(values, [0.025, 0.975])
    return [measured(places), float(low), float(high)]
