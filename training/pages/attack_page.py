"""Stage 13: the page of the attack study, attacks.md, with its figures, from what the other stages wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import beta

from SegQualityQCLib.errors import InputError
from SegQualityQCLib.storage.atomic_files import write_text_atomically

from ..robustness.attack_slices import BAD, GOOD
from ..robustness.attack_study import settings_of
from ..robustness.attack_transfer import attacked_names
from ..study.artifacts import read_json
from ..study.configuration import Structure, Study
from ..study.paths import attacked_models, model_name
from ..study.stage_arguments import stage_arguments
from .attack_figures import draw_all
from .markdown import markdown_table

# arXiv 1903.08773, table 2: MAE ± SD at eps 0, 0.05, 0.1, 0.2, 0.3.
PAPER = {
    "Robinson's net, image": (".04 ± .05", ".08 ± .06", ".11 ± .07", ".14 ± .08", ".16 ± .09"),
    "difference image": (".04 ± .05", ".07 ± .06", ".09 ± .06", ".09 ± .07", ".12 ± .09"),
    "surrogate": (".04 ± .05", ".04 ± .05", ".04 ± .05", ".07 ± .06", ".14 ± .10"),
}
_PAPER_EPS = (0.0, 0.05, 0.1, 0.2, 0.3)
_FGSM_GOAL = (".03", ".035", ".045", ".07", ".10")
_PGD_GOAL = (".03", ".05", ".08", "-", "-")
_CHOSEN_STEPS = (10, 20, 40, 80, 160)
_CONFIDENCE = 0.95

Figures = dict[str, dict[str, Any]]  # by the name of the model


def write_attack_page(study: Study, structure: Structure, target: Path) -> None:
    """Write attacks.md and its figures into ``target``.

    Raises:
        InputError: No model was attacked yet.
    """
    target.mkdir(parents=True, exist_ok=True)
    folder = study.folder / "attacks"
    figures = {name: read_json(folder / f"{name}.json") for name in attacked_names(study, structure)}
    if not figures:
        raise InputError(
            f"No model of the {structure.name} was attacked yet: run python -m training.robustness.attack_study."
        )
    some = next(iter(figures.values()))
    lines = [
        f"# Attacks and corruptions: {structure.name}, study {study.name}",
        "",
        "Made by `python -m training.pages.attack_page`; do not edit. What each attack is and how to run all of it:",
        "`docs/attack-study.md`.",
        "",
        f"{some['slices']} candidates of {some['patients']} test patients, evenly over ten bins of Dice as far as the",
        f"bins allow; {some['bad']} are bad (Dice below {BAD:g}), {some['good']} good (at least {GOOD:g}). Images lie",
        "in [-1, 1]. MAE ± standard deviation. Along: in the direction in which the clean error grows, as in the",
        "paper. Worst: in the direction that does more harm, slice by slice.",
        *_smoothing(study, structure),
        *_missing(study, structure, figures),
        "",
        *_summary_section(study, figures),
        *_paper_section(study, structure, figures),
        *_pipeline_section(figures, study.data.of_the_paper),
        *_target_section(figures, study.data.of_the_paper),
        *_further_bad_section(figures),
        *_smallest_section(study, figures),
        *_strength_section(study, figures),
        *_transfer_section(study, read_json(folder / "transfer.json")),
        *_defence_section(study, figures),
        *_corruption_section(study, structure),
        "## Figures",
        "",
    ]
    lines += [f"![{says}]({name})\n" for name, says in draw_all(study, structure, figures, target)]
    lines += ["## Weights", "", *_weights_table(figures)]
    write_text_atomically(target / "attacks.md", "\n".join(lines) + "\n")


def _smoothing(study: Study, structure: Structure) -> list[str]:
    """Says which models see blurred images."""
    return [
        f"{model_name(study, structure, kind, seed, variant)} sees images blurred by a Gaussian of {pixels:g} pixels."
        for kind, seed, variant in attacked_models(study, structure)
        if (pixels := study.image_smoothing(kind, variant))
    ]


def _missing(study: Study, structure: Structure, figures: Figures) -> list[str]:
    """Says which models the tables lack, and of which a part."""
    lacking = [name for name in _main_models(study, structure) if name not in figures]
    partly = [name for name, measured in figures.items() if "pgd-averaged" not in measured]
    lines = [f"Not attacked yet: {', '.join(lacking)}."] if lacking else []
    return lines + ([f"Attacked in part: {', '.join(partly)}."] if partly else [])


def _main_models(study: Study, structure: Structure) -> list[str]:
    """The names of one seed's models of each method, the hardened ones last."""
    return [
        model_name(study, structure, kind, seed, variant)
        for kind, seed, variant in attacked_models(study, structure)
        if seed == study.main_seed(structure, kind)
    ]


def _summary_section(study: Study, figures: Figures) -> list[str]:
    """One row for each model: attacks through the whole pipeline, and what hardening costs on clean images."""
    rows = []
    for name, measured in figures.items():
        fgsm, pgd = (_mae_by_eps(measured[attack], "worst") for attack in ("fgsm", "pgd"))
        further = measured.get("further_bad")
        hits = f"{_made_good(further)} of {len(further['attacked'])} at {further['eps']:g}" if further else "-"
        cells = [*(fgsm.get(eps, "-") for eps in _PAPER_EPS), *(pgd.get(eps, "-") for eps in _PAPER_EPS[1:3]), hits]
        path = study.folder / "evaluation" / f"{name}.json"
        clean = read_json(path) if path.is_file() else {}
        cells += [f"{clean[part]['mae'][0]:.4f}" if part in clean else "-" for part in ("nets", "perturbed")]
        rows.append((name, *cells))
    if study.data.of_the_paper:
        rows.insert(
            0, ("goal", *_FGSM_GOAL, *_PGD_GOAL[1:3], "at most 2 % at 0.05", "hardening: at most .005 more", "-")
        )
    head = ("model", "clean", *(f"one step of {eps:g}" for eps in _PAPER_EPS[1:]))
    head = (*head, *(f"PGD of {eps:g}" for eps in _PAPER_EPS[1:3]), "bad made to look good")
    head = (*head, "MAE U-nets, whole test sample", "MAE perturbed, whole test sample")
    return [
        "## In short",
        "",
        "MAE under attacks through the whole pipeline, in the worst direction; the last two columns as on the results",
        "page, without attack.",
        "",
        *markdown_table(head, rows),
        "",
    ]


def _paper_section(study: Study, structure: Structure, figures: Figures) -> list[str]:
    """The paper's three attacks; beside the measured figures those of the paper, where the data are its own."""
    direct, rec_reg = (
        figures.get(model_name(study, structure, kind, study.main_seed(structure, kind)), {})
        for kind in ("direct", "rec-reg")
    )
    rows: list[tuple[str, ...]] = []
    for attack, measured in (
        ("Robinson's net, image", direct.get("fgsm")),
        ("difference image", rec_reg.get("fgsm-difference")),
        ("surrogate", rec_reg.get("surrogate")),
    ):
        if study.data.of_the_paper:
            rows.append((f"{attack}: paper", *PAPER[attack]))
        if measured:
            rows += [(f"{attack}: measured, {way}", *_by_eps(measured, way)) for way in ("along", "worst")]
    return ["## The paper's attacks: FGSM", "", *markdown_table(_head("MAE at eps", _PAPER_EPS), rows), ""]


def _pipeline_section(figures: Figures, with_goals: bool) -> list[str]:
    """White-box attacks through everything, beside the goals."""
    rows: list[tuple[str, ...]] = [("goal, FGSM", *_FGSM_GOAL)] if with_goals else []
    rows += [(f"FGSM, {name}, {way}", *_by_eps(m["fgsm"], way)) for name, m in figures.items() for way in _WAYS]
    rows += [("goal, PGD", *_PGD_GOAL)] if with_goals else []
    rows += [
        (f"PGD, {name}, {way}", *_by_eps([m["fgsm"][0], *m["pgd"]], way))
        for name, m in figures.items()
        for way in _WAYS
    ]
    return ["## Attacks through the whole pipeline", "", *markdown_table(_head("MAE at eps", _PAPER_EPS), rows), ""]


_WAYS = ("along", "worst")


def _target_section(figures: Figures, with_goals: bool) -> list[str]:
    """Shares of slices made to look other than they are; and what the familiarity check notices."""
    rows = [
        (
            name,
            attack.upper(),
            f"{row['eps']:g}",
            _percent(row["bad_made_good"]),
            _percent(row["good_made_bad"]),
            _percent(row["unfamiliar"]),
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
        "the attacked images (in the more harmful direction) that the familiarity check refuses.",
        "",
        *markdown_table(head, rows),
        "",
    ]


def _further_bad_section(figures: Figures) -> list[str]:
    """Whether bad slices can be made to look good, on more of them than the other attacks are tried on."""
    rows = []
    for name, measured in figures.items():
        if "further_bad" in measured:
            found = measured["further_bad"]
            attacked = np.array(found["attacked"])
            count, hits = len(attacked), _made_good(found)
            limit = f"{100 * _upper_limit(hits, count):.1f} %"
            clean = int((np.array(found["clean"]) > GOOD).sum())
            patients = len({p for p, made in zip(found["patient"], attacked > GOOD, strict=True) if made})
            reached = f"{attacked.max():.2f}" if count else "-"
            cells = (f"{clean} of {count}", f"{hits} of {count}", str(patients), limit, reached)
            rows.append((name, f"{found['eps']:g}", *cells))
    head = ("model", "eps", "good without attack", "made to look good", "of so many patients")
    head = (*head, f"at most, {_CONFIDENCE:.0%}", "highest predicted Dice")
    return [
        "## More bad slices made to look good",
        "",
        "PGD upwards on bad candidates that were drawn apart, evenly over the bins below the limit. The upper limit of",
        "the true share (Clopper and Pearson) takes slices for independent, though several are of one patient.",
        "",
        *markdown_table(head, rows),
        "",
    ]


def _made_good(further_bad: dict[str, Any]) -> int:
    return int((np.array(further_bad["attacked"]) > GOOD).sum())


def _upper_limit(hits: int, count: int) -> float:
    """The largest share that leaves so few hits a chance of more than 5 %."""
    return 1.0 if hits == count else float(beta.ppf(_CONFIDENCE, hits + 1, count - hits))


def _smallest_section(study: Study, figures: Figures) -> list[str]:
    """How small a change is enough."""
    settings = settings_of(study)
    largest = max(settings.eps)
    tried = sorted({min(eps, largest) for eps in (0.05, 0.1, largest)})
    rows = []
    for name, measured in figures.items():
        for key, says in (("bad_made_good", "bad made to look good"), ("good_made_bad", "good made to look bad")):
            values = np.array([np.inf if v is None else v for v in measured.get("smallest_eps", {}).get(key, [])])
            if len(values):
                shares = (_percent(float((values <= eps).mean())) for eps in tried)
                middle = float(np.median(values))
                rows.append((name, says, str(len(values)), *shares, f"{middle:.3f}" if middle <= largest else "none"))
    head = ("model", "aim", "slices", *(f"at most {eps:g}" for eps in tried), "median eps")
    return [
        "## The smallest eps that does it",
        "",
        f"Bisection with PGD of {settings.bisection_steps} steps from {largest:g}: the answers are up to",
        f"{largest / 2**settings.bisection_rounds:.3f} too large. None: fewer than half of the slices can be moved.",
        "",
        *markdown_table(head, rows),
        "",
    ]


def _strength_section(study: Study, figures: Figures) -> list[str]:
    """What more steps add, and that the loss that the attack maximises goes up."""
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


def _transfer_section(study: Study, transfer: dict[str, Any]) -> list[str]:
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


def _defence_section(study: Study, figures: Figures) -> list[str]:
    """The cheap defences, attacked through."""
    settings = settings_of(study)
    rows = []
    for name, measured in figures.items():
        for defence, says in (("", "none"), ("-smoothed", "smoothing"), ("-averaged", "averaging over noise")):
            if f"pgd{defence}" not in measured:
                continue
            pgd = measured[f"pgd{defence}"][0]
            by_eps = _by_eps(measured[f"fgsm{defence}"], "worst", _PAPER_EPS[:4])
            rows.append((name, says, *by_eps, _figure(pgd["worst"]), _percent(pgd["bad_made_good"])))
    head = ("model", "defence", *(f"FGSM {eps:g}" for eps in _PAPER_EPS[:4]))
    head = (*head, f"PGD {settings.pgd_eps[0]:g}", "bad made to look good")
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


def _corruption_section(study: Study, structure: Structure) -> list[str]:
    """MAE, r, coverage and refusals by corruption and strength."""
    lines = ["## Faults of a scanner", ""]
    for path in _corruption_files(study, structure):
        measured = read_json(path)
        rows = [("none", "0", *_corruption_cells(measured["clean"]))]
        for kind, strengths in measured["kinds"].items():
            rows += [(kind, str(number), *_corruption_cells(row)) for number, row in enumerate(strengths, 1)]
        head = (
            "corruption",
            "strength",
            "MAE",
            "r",
            "coverage of the 90 % interval",
            "called unfamiliar",
            "MAE of the rest",
        )
        lines += [
            f"### {measured['name']}: {measured['slices']} slices of {measured['volumes']} volumes",
            "",
            *markdown_table(head, rows),
            "",
        ]
    return lines


def _corruption_files(study: Study, structure: Structure) -> list[Path]:
    paths = [study.folder / "corruptions" / f"{name}.json" for name in _main_models(study, structure)]
    return [path for path in paths if path.is_file()]


def _corruption_cells(row: dict[str, Any]) -> tuple[str, ...]:
    cells = ["-" if row[key] is None else f"{row[key]:.3f}" for key in ("mae", "r", "coverage")]
    rest = "-" if row["mae_familiar"] is None else f"{row['mae_familiar']:.3f}"
    return (*cells, _percent(row["unfamiliar"]), rest)


def _weights_table(figures: Figures) -> list[str]:
    rows = [
        (name, file, f"`{sha256[:16]}`")
        for name, measured in figures.items()
        for file, sha256 in measured["weights"].items()
    ]
    return markdown_table(("model", "file", "SHA-256 begins"), rows)


def _by_eps(rows: list[dict[str, Any]], way: str, wanted: tuple[float, ...] = _PAPER_EPS) -> tuple[str, ...]:
    """The figures at each eps of the paper; a dash where an eps was not tried."""
    found = {row["eps"]: _figure(row[way]) for row in rows}
    return tuple(found.get(eps, "-") for eps in wanted)


def _mae_by_eps(rows: list[dict[str, Any]], way: str) -> dict[float, str]:
    return {row["eps"]: f"{row[way]['mae']:.3f}" for row in rows}


def _head(first: str, values: tuple[float, ...]) -> tuple[str, ...]:
    return (first, *(f"{value:g}" for value in values))


def _figure(measured: dict[str, float]) -> str:
    return f"{measured['mae']:.3f} ± {measured['sd']:.3f}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f} %"


if __name__ == "__main__":
    arguments = stage_arguments(__doc__, structure=True, target=Path)
    write_attack_page(arguments.study, arguments.structure, arguments.target)
