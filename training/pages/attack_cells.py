"""Cells of the tables of the attack study."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..robustness.attack_slices import GOOD

Figures = dict[str, dict[str, Any]]  # what the attack study wrote, by the name of the model

PAPER_EPS = (0.0, 0.05, 0.1, 0.2, 0.3)
FGSM_GOAL = (".03", ".035", ".045", ".07", ".10")  # this project's goals at these eps
PGD_GOAL = (".03", ".05", ".08", "-", "-")


def by_eps(rows: list[dict[str, Any]], way: str, wanted: tuple[float, ...] = PAPER_EPS) -> tuple[str, ...]:
    """The figures at each eps of the paper; a dash where an eps was not tried."""
    found = {row["eps"]: error(row[way]) for row in rows}
    return tuple(found.get(eps, "-") for eps in wanted)


def mae_by_eps(rows: list[dict[str, Any]], way: str) -> dict[float, str]:
    """The mean absolute error by eps."""
    return {row["eps"]: f"{row[way]['mae']:.3f}" for row in rows}


def eps_head(first: str, values: tuple[float, ...] = PAPER_EPS) -> tuple[str, ...]:
    """The head of a table with one column for each eps."""
    return (first, *(f"{value:g}" for value in values))


def error(measured: dict[str, float]) -> str:
    """MAE ± standard deviation."""
    return f"{measured['mae']:.3f} ± {measured['sd']:.3f}"


def percent(share: float | None) -> str:
    """A share in percent; a dash where there is none."""
    return "-" if share is None else f"{100 * share:.0f} %"


def hits_of(further_bad: dict[str, Any]) -> int:
    """How many of the further bad slices were made to look good."""
    return int((np.array(further_bad["attacked"]) > GOOD).sum())
