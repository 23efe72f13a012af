"""The tables of the attacks, of their transfer to other models and of the defences."""

from __future__ import annotations

from typing import Any

from ..robustness.attack_slices import BAD, GOOD
from ..robustness.attack_study import settings_of
from ..study.configuration import Structure, Study
from ..study.run import main_run
from .attack_cells import FGSM_GOAL, PAPER_EPS, PGD_GOAL, Figures, by_eps, eps_head, error, percent
from .markdown import markdown_table

# arXiv 1903.08773, table 2: MAE ± SD at eps 0, 0.05, 0.1, 0.2, 0.3.
_PAPER = {
    "Robinson's net, image": (".04 ± .05", ".08 ± .06", ".11 ± .07", ".14 ± .08", ".16 ± .09"),
    "difference image": (".04 ± .05", ".07 ± .06", ".09 ± .06", ".09 ± .07", ".12 ± .09"),
    "surrogate": (".04 ± .05", ".04 ± .05", ".04 ± .05", ".07 ± .06", ".14 ± .10"),
}
_WAYS = ("along", "worst")


def paper_section(study: Study, structure: Structure, figures: Figures) -> list[str]:
    """The paper's three attacks, beside the paper's own figures where the data are its own."""
    direct, rec_reg = (
        figures.get(main_run(study, structure, method).model_name, {}) for method in ("direct", "rec-reg")
    )
    rows: list[tuple[str, ...]] = []
    for attack, measured in (
        ("Robinson's net, image", direct.get("fgsm")),
        ("difference image", rec_reg.get("fgsm-difference")),
        ("surrogate", rec_reg.get("surrogate")),
    ):
        if study.data.of_the_paper:
            rows.append((f"{attack}: paper", *_PAPER[attack]))
        if measured:
            rows += [(f"{attack}: measured, {way}", *by_eps(measured, way)) for way in ("along", "worst")]
    return ["## The paper's attacks: FGSM", "", *markdown_table(eps_head("MAE at eps"), rows), ""]


def pipeline_section(figures: Figures, with_goals: bool) -> list[str]:
    """White-box attacks through all networks, beside the goals."""
    rows: list[tuple[str, ...]] = [("goal, FGSM", *FGSM_GOAL)] if with_goals else []
    rows += [(f"FGSM, {name}, {way}", *by_eps(m["fgsm"], way)) for name, m in figures.items() for way in _WAYS]
    rows += [("goal, PGD", *PGD_GOAL)] if with_goals else []
    rows += [
        (f"PGD, {name}, {way}", *by_eps([m["fgsm"][0], *m["pgd"]], way)) for name, m in figures.items() for way in _WAYS
    ]
    return ["## Attacks through the whole pipeline", "", *markdown_table(eps_head("MAE at eps"), rows), ""]


def target_section(figures: Figures, with_goals: bool) -> list[str]:
    """Shares of slices that change sides, and the share that the distribution check calls unfamiliar."""
    rows = [
        (
            name,
            attack.upper(),
            f"{row['eps']:g}",
            percent(row["bad_made_good"]),
            percent(row["good_made_bad"]),
            percent(row["unfamiliar"]),
        )
        for name, measured in figures.items()
        for attack in ("fgsm", "pgd")
        for row in measured[attack]
    ]
    goal = "; the goal is at most 2 % at eps .05" if with_goals else ""
    head = ("model", "attack", "eps", "bad made to look good", "good made to look bad", "called unfamiliar")
    return [
        "## Targeted attacks through the whole pipeline",
        "",
        f"Bad made to look good: a Dice below {BAD:g} predicted above {GOOD:g}{goal}.",
        f"Good made to look bad: a Dice of at least {GOOD:g} predicted below {BAD:g}. The last column is the share of",
        "the attacked images (in the worst direction) that the distribution check calls unfamiliar.",
        "",
        *markdown_table(head, rows),
        "",
    ]


def transfer_section(study: Study, transfer: dict[str, Any]) -> list[str]:
    """The error of each model on the images made against each other one."""
    table = transfer["mae"]
    rows = [(source, *(f"{table[source][judge]:.3f}" for judge in table)) for source in table]
    seeds = "" if len(study.seeds) > 1 else " The study trained one seed, so transfer between seeds is not measured."
    return [
        "## Transfer between models",
        "",
        f"MAE of each model (columns) on images that PGD made against another (rows), eps {transfer['eps']:g}.{seeds}",
        "",
        *markdown_table(("made against", *table), rows),
        "",
    ]


def defence_section(study: Study, figures: Figures) -> list[str]:
    """Attacks through the cheap defences."""
    settings = settings_of(study)
    rows = []
    for name, measured in figures.items():
        for defence, says in (("", "none"), ("-smoothed", "smoothing"), ("-averaged", "averaging over noise")):
            if f"pgd{defence}" not in measured:
                continue
            pgd = measured[f"pgd{defence}"][0]
            by_fgsm = by_eps(measured[f"fgsm{defence}"], "worst", PAPER_EPS[:4])
            rows.append((name, says, *by_fgsm, error(pgd["worst"]), percent(pgd["bad_made_good"])))
    fgsm = [f"FGSM {eps:g}" for eps in PAPER_EPS[:4]]
    head = ("model", "defence", *fgsm, f"PGD {settings.pgd_eps[0]:g}", "bad made to look good")
    return [
        "## Defences that need no training",
        "",
        f"Smoothing by a Gaussian of {settings.smoothing:g} pixels; averaging over {settings.noise_copies} copies with",
        f"noise of {settings.noise:g}.",
        "The attacks go through the defence, worst direction; through the average each step follows the mean gradient",
        "of as many copies.",
        "",
        *markdown_table(head, rows),
        "",
    ]
