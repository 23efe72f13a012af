"""Stage 8: the results page and its plots, from what the other stages wrote."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from SegQualityQCLib.storage.atomic_files import write_text_atomically

from ..data.split import read_split
from ..evaluation.scoring import NET, Scores, balanced
from ..study.configuration import Structure, Study
from ..study.run import exported_run
from ..study.stage_arguments import stage_arguments
from .demo_figures import figures_of
from .evaluated_runs import EvaluatedRun, evaluated_runs
from .results_tables import ablation_section, goal_section, kind_section, model_section, reconstruction_section
from .training_times import time_section


def write_results(study: Study, target: Path) -> None:
    """Write README.md and the plots of a study into ``target``."""
    target.mkdir(parents=True, exist_ok=True)
    first = study.structures[0]
    evaluated = evaluated_runs(study)
    lines = [
        f"# Results of the study {study.name}",
        "",
        "Written by `python -m training.pages.results_page`; do not edit. Unless stated otherwise, figures are of the",
        "test patients, by the library's own estimator. Brackets: 95 % interval from resampling patients.",
        "",
        *(goal_section(study, first, evaluated) if study.data.of_the_paper else ()),
        *model_section(study, evaluated),
        *kind_section(evaluated),
        *ablation_section(study, evaluated),
        *reconstruction_section(study, evaluated),
        *_split_section(study),
        *_sample_section(evaluated),
        *time_section(study, evaluated),
        "## Plots",
        "",
    ]
    for run in (entry.run for entry in evaluated):
        name = run.model_name
        _plot(Scores.read(run.stage_file("evaluation", ".npz")), study, target / f"{name}.png")
        lines += [f"![predicted against true Dice, error and coverage by Dice, {name}]({name}.png)", ""]
    lines += _demo_section(study, first, target) if study.data.of_the_paper else []
    write_text_atomically(target / "README.md", "\n".join(lines) + "\n")


def _demo_section(study: Study, first: Structure, target: Path) -> list[str]:
    calibrated = exported_run(study, first, "rec-reg").stage_file("evaluation", "")
    if not calibrated.is_dir():
        return []
    lines = ["The same networks on the synthetic demo heart: no patient's image is shown.", ""]
    return lines + [f"![{n.removesuffix('.png')} on the demo heart]({n})" for n in figures_of(calibrated, target)]


def _split_section(study: Study) -> list[str]:
    split = read_split(study)
    lines = ["## Split of the patients", ""]
    for part, patients in split.items():
        lines.append(f"- {part} ({len(patients)}): {', '.join(patients)}")
    return [*lines, ""]


def _sample_section(evaluated: list[EvaluatedRun]) -> list[str]:
    lines = ["## Samples, evenly over ten bins of Dice as far as the bins allow", ""]
    for entry in evaluated:
        nets, perturbed, volumes, partly = (
            entry.figures.get(part, {}).get(key, 0)
            for part, key in (
                ("nets", "slices"),
                ("perturbed", "slices"),
                ("volume", "volumes"),
                ("volume_partly", "volumes"),
            )
        )
        counts = f"{nets} slices drawn by U-nets, {perturbed} perturbed, {volumes} volumes, {partly} partly scored"
        lines.append(f"- {entry.run.structure.name}, {entry.method_name}, seed {entry.run.seed}: tested on {counts}")
        if "samples" in entry.figures:
            drawn, wrong = entry.figures["samples"]["nets"], entry.figures["samples"]["perturbed"]
            lines[-1] += f"; an epoch of training had {drawn['train']} and {wrong['train']} slices, "
            lines[-1] += f"the validation {drawn['validation']} and {wrong['validation']}"
    return [*lines, ""]


def _plot(scores: Scores, study: Study, path: Path) -> None:
    """Predicted against true Dice; error by Dice; coverage by Dice."""
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), constrained_layout=True)
    bins = np.minimum((scores.true * 10).astype(int), 9)
    middles = (np.arange(10) + 0.5) / 10
    for label, chosen, colour in (("U-nets", scores.kind == NET, "C0"), ("perturbed", scores.kind != NET, "C1")):
        places = balanced(scores, chosen, study.sampling.test, study.split_seed)
        axes[0].plot(scores.true[places], scores.predicted[places], ".", color=colour, markersize=3, label=label)
        usable = chosen & np.isfinite(scores.predicted)
        error = np.abs(scores.predicted - scores.true)
        held = (scores.low <= scores.true) & (scores.true <= scores.high)
        by_bin = [usable & (bins == number) for number in range(10)]
        axes[1].plot(middles, [error[part].mean() if part.any() else np.nan for part in by_bin], "o-", color=colour)
        axes[2].plot(middles, [held[part].mean() if part.any() else np.nan for part in by_bin], "o-", color=colour)
    axes[0].plot([0, 1], [0, 1], "k-", linewidth=0.5)
    axes[0].set(xlabel="true Dice", ylabel="predicted Dice", xlim=(0, 1), ylim=(0, 1))
    axes[0].legend()
    axes[1].set(xlabel="true Dice", ylabel="mean absolute error", ylim=(0, None))
    axes[2].axhline(0.9, color="k", linewidth=0.5)
    axes[2].set(xlabel="true Dice", ylabel="share inside the 90 % interval", ylim=(0, 1))
    figure.savefig(path, dpi=70)
    plt.close(figure)


if __name__ == "__main__":
    arguments = stage_arguments(__doc__, target=Path)
    write_results(arguments.study, arguments.target)
