"""The tables of how far PGD gets: more bad slices, the smallest eps, more steps."""

from __future__ import annotations

import numpy as np
from scipy.stats import beta

from ..robustness.attack_slices import GOOD
from ..robustness.attack_study import settings_of
from ..study.configuration import Study
from .attack_cells import Figures, hits_of, percent
from .markdown import markdown_table

_CHOSEN_STEPS = (10, 20, 40, 80, 160)
_CONFIDENCE = 0.95


def further_bad_section(figures: Figures) -> list[str]:
    """How many bad slices can be made to look good, of more than the other attacks are tried on."""
    rows = []
    for name, measured in figures.items():
        if "further_bad" in measured:
            found = measured["further_bad"]
            attacked = np.array(found["attacked"])
            count, hits = len(attacked), hits_of(found)
            limit = f"{100 * _upper_limit(hits, count):.1f} %"
            clean = int((np.array(found["clean"]) > GOOD).sum())
            patients = len({p for p, made in zip(found["patient"], attacked > GOOD, strict=True) if made})
            reached = f"{attacked.max():.2f}" if count else "-"
            cells = (f"{clean} of {count}", f"{hits} of {count}", str(patients), limit, reached)
            rows.append((name, f"{found['eps']:g}", *cells))
    head = (
        *("model", "eps", "good without attack", "made to look good", "of so many patients"),
        *(f"at most, {_CONFIDENCE:.0%}", "highest predicted Dice"),
    )
    return [
        "## More bad slices made to look good",
        "",
        "PGD upwards on bad candidates that were drawn separately, evenly over the bins below the limit. The upper",
        "limit of the true share (Clopper and Pearson) assumes independent slices, though several are of one patient.",
        "",
        *markdown_table(head, rows),
        "",
    ]


def _upper_limit(hits: int, count: int) -> float:
    """The largest true share with which so few hits have a chance of more than 5 %."""
    return 1.0 if hits == count else float(beta.ppf(_CONFIDENCE, hits + 1, count - hits))


def smallest_section(study: Study, figures: Figures) -> list[str]:
    """The smallest change of a pixel that is enough."""
    settings = settings_of(study)
    largest = max(settings.eps)
    tried = sorted({min(eps, largest) for eps in (0.05, 0.1, largest)})
    rows = []
    for name, measured in figures.items():
        for key, says in (("bad_made_good", "bad made to look good"), ("good_made_bad", "good made to look bad")):
            values = np.array([np.inf if v is None else v for v in measured.get("smallest_eps", {}).get(key, [])])
            if len(values):
                shares = (percent(float((values <= eps).mean())) for eps in tried)
                middle = float(np.median(values))
                rows.append((name, says, str(len(values)), *shares, f"{middle:.3f}" if middle <= largest else "none"))
    head = ("model", "aim", "slices", *(f"at most {eps:g}" for eps in tried), "median eps")
    return [
        "## The smallest eps of a successful attack",
        "",
        f"Bisection with PGD of {settings.bisection_steps} steps from {largest:g}: the answers are up to",
        f"{largest / 2**settings.bisection_rounds:.3f} too large. None: fewer than half of the slices can be moved.",
        "",
        *markdown_table(head, rows),
        "",
    ]


def strength_section(study: Study, figures: Figures) -> list[str]:
    """The error, and the gain that PGD maximises, after more steps."""
    longest = settings_of(study).long_steps
    shown = [step for step in _CHOSEN_STEPS if step <= longest] or [longest]
    measured = {name: row["steps"] for name, row in figures.items() if "steps" in row}
    rows = []
    for name, steps in measured.items():
        rows += [
            (name, f"MAE, worst, eps {steps['eps']:g}", *_at_steps(steps["mae"], shown, 3)),
            (name, "gain of the directed logit", *_at_steps(steps["gain"], shown, 2)),
        ]
    counts = sorted({steps["slices"] for steps in measured.values()}) or [0]
    head = ("model", "figure", *(f"{step} steps" for step in shown))
    return [
        "## How strong PGD is",
        "",
        f"On {' or '.join(map(str, counts))} of the slices, best so far after so many steps of one run. "
        "PGD maximises the gain.",
        "",
        *markdown_table(head, rows),
        "",
    ]


def _at_steps(trace: list[float], shown: list[int], digits: int) -> tuple[str, ...]:
    """The figures after these steps; a dash where a record of other settings ends before."""
    return tuple(f"{trace[step]:.{digits}f}" if step < len(trace) else "-" for step in shown)
