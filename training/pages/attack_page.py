"""Stage 13: the page of the attack study, attacks.md, with its figures, from what the other stages wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from SegQualityQCLib.errors import InputError
from SegQualityQCLib.storage.atomic_files import write_text_atomically

from ..robustness.attack_slices import BAD, GOOD
from ..robustness.attack_transfer import attacked_so_far
from ..study.artifacts import read_json
from ..study.configuration import Structure, Study
from ..study.run import attacked_runs
from ..study.stage_arguments import stage_arguments
from .attack_cells import FGSM_GOAL, PAPER_EPS, PGD_GOAL, Figures, hits_of, mae_by_eps
from .attack_figures import draw_all
from .attack_limit_tables import further_bad_section, smallest_section, strength_section
from .attack_tables import defence_section, paper_section, pipeline_section, target_section, transfer_section
from .corruption_tables import corruption_section
from .markdown import markdown_table


def write_attack_page(study: Study, structure: Structure, target: Path) -> None:
    """Write attacks.md and its figures into ``target``.

    Raises:
        InputError: No model was attacked yet.
    """
    target.mkdir(parents=True, exist_ok=True)
    figures = {run.model_name: read_json(run.stage_file("attacks")) for run in attacked_so_far(study, structure)}
    if not figures:
        raise InputError(
            f"No model of the {structure.name} was attacked yet: run python -m training.robustness.attack_study."
        )
    with_goals = study.data.of_the_paper
    lines = [
        f"# Attacks and corruptions: {structure.name}, study {study.name}",
        "",
        *_introduction(study, structure, figures),
        "",
        *_summary_section(study, figures),
        *paper_section(study, structure, figures),
        *pipeline_section(figures, with_goals),
        *target_section(figures, with_goals),
        *further_bad_section(figures),
        *smallest_section(study, figures),
        *strength_section(study, figures),
        *transfer_section(study, read_json(study.folder / "attacks" / "transfer.json")),
        *defence_section(study, figures),
        *corruption_section(study, structure),
        "## Figures",
        "",
    ]
    lines += [f"![{says}]({name})\n" for name, says in draw_all(study, structure, figures, target)]
    lines += ["## Weights", "", *_weights_table(figures)]
    write_text_atomically(target / "attacks.md", "\n".join(lines) + "\n")


def _introduction(study: Study, structure: Structure, figures: Figures) -> list[str]:
    some = next(iter(figures.values()))
    return [
        "Written by `python -m training.pages.attack_page`; do not edit. `docs/attack-study.md` says what each attack",
        "is and how to run all of it.",
        "",
        f"{some['slices']} candidates of {some['patients']} test patients, evenly over ten bins of Dice as far as the",
        f"bins allow; {some['bad']} are bad (Dice below {BAD:g}), {some['good']} good (at least {GOOD:g}). Intensities",
        "are in [-1, 1]. MAE ± standard deviation. Along: in the direction in which the clean error grows, as in the",
        "paper. Worst: in the direction with the larger error, slice by slice.",
        *_smoothing(study, structure),
        *_missing(study, structure, figures),
    ]


def _smoothing(study: Study, structure: Structure) -> list[str]:
    """The models that see blurred images."""
    return [
        f"{run.model_name} sees images blurred by a Gaussian of {run.image_smoothing:g} pixels."
        for run in attacked_runs(study, structure)
        if run.image_smoothing
    ]


def _missing(study: Study, structure: Structure, figures: Figures) -> list[str]:
    """The models that the tables lack, and those of which they hold a part."""
    main = [run.model_name for run in attacked_runs(study, structure) if run.is_main]
    lacking = [name for name in main if name not in figures]
    partly = [name for name, measured in figures.items() if "pgd-averaged" not in measured]
    lines = [f"Not attacked yet: {', '.join(lacking)}."] if lacking else []
    return lines + ([f"Attacked in part: {', '.join(partly)}."] if partly else [])


def _summary_section(study: Study, figures: Figures) -> list[str]:
    """One row for each model: attacks through the whole pipeline, and the error on clean images."""
    rows = [_summary_row(study, name, measured) for name, measured in figures.items()]
    if study.data.of_the_paper:
        rows.insert(0, ("goal", *FGSM_GOAL, *PGD_GOAL[1:3], "at most 2 % at 0.05", "hardening: at most .005 more", "-"))
    head = (
        *("model", "clean", *(f"one step of {eps:g}" for eps in PAPER_EPS[1:])),
        *(*(f"PGD of {eps:g}" for eps in PAPER_EPS[1:3]), "bad made to look good"),
        *("MAE U-nets, whole test sample", "MAE perturbed, whole test sample"),
    )
    return [
        "## In short",
        "",
        "MAE under attacks through the whole pipeline, in the worst direction; the last two columns without attack,",
        "as on the results page.",
        "",
        *markdown_table(head, rows),
        "",
    ]


def _summary_row(study: Study, name: str, measured: dict[str, Any]) -> tuple[str, ...]:
    fgsm, pgd = (mae_by_eps(measured[attack], "worst") for attack in ("fgsm", "pgd"))
    further = measured.get("further_bad")
    hits = f"{hits_of(further)} of {len(further['attacked'])} at {further['eps']:g}" if further else "-"
    path = study.folder / "evaluation" / f"{name}.json"
    clean = read_json(path) if path.is_file() else {}
    errors = [f"{clean[part]['mae'][0]:.4f}" if part in clean else "-" for part in ("nets", "perturbed")]
    by_step = (*(fgsm.get(eps, "-") for eps in PAPER_EPS), *(pgd.get(eps, "-") for eps in PAPER_EPS[1:3]))
    return (name, *by_step, hits, *errors)


def _weights_table(figures: Figures) -> list[str]:
    rows = [
        (name, file, f"`{sha256[:16]}`")
        for name, measured in figures.items()
        for file, sha256 in measured["weights"].items()
    ]
    return markdown_table(("model", "file", "SHA-256 begins"), rows)


if __name__ == "__main__":
    arguments = stage_arguments(__doc__, structure=True, target=Path)
    write_attack_page(arguments.study, arguments.structure, arguments.target)
