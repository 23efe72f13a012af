"""Numbers from JSON files, where a value may be of any type, infinite, or too large."""

from __future__ import annotations

import math
from typing import Any


def finite_number(value: Any) -> float:
    """A value as a finite number.

    Raises:
        ValueError: It is a text, a truth value or the like, not finite, or too large for a float.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{str(value)[:40]!r} is not a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{str(value)[:40]!r} is not a finite number")
    return number


def is_whole_number(value: Any, least: int, most: float = math.inf) -> bool:
    """Whether a value is an integer from ``least`` to ``most``, both included."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def index_number(value: Any) -> int:
    """A value as an index: an integer from 0 on.

    Raises:
        ValueError: It is something else.
    """
    if not is_whole_number(value, 0):
        raise ValueError(f"{str(value)[:40]!r} is not an index")
    return int(value)
