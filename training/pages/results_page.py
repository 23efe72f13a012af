"""Stage 8: the results page and its plots, from what the other stages wrote."""

from __future__ import annotations

import csv
import os
import platform
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from SegQualityQCLib.storage.atomic_files import write_text_atomically

from ..data.split import read_split
from ..evaluation.epoch_times import minutes_an_epoch
from ..evaluation.scoring import NET, Scores, balanced
from ..study.artifacts import read_json
from ..study.configuration import HARDENED, KINDS, Structure, Study, Variant
from ..study.paths import attacked_models, model_name, run_name
from ..study.stage_arguments import stage_arguments
from .demo_figures import figures_of
from .markdown import markdown_table

_METHOD = {"rec-reg": "difference image (REC-Net + REG-Net)", "direct": "image (after Robinson)"}


def write_results(study: Study, target: Path) -> None:
    """Write README.md and the plots of a study into ``target``."""
    target.mkdir(parents=True, exist_ok=True)
    first = study.structures[0]
    runs = evaluated_runs(study)
    lines = [
        f"# Results of the study {study.name}",
        "",
        "Made by `python -m training.pages.results_page`; do not edit. Where nothing else is said, figures are of",
        "patients outside training and validation, through the library's own estimator. Brackets: 95 % interval from",
        "resampling patients.",
        "",
        *(_goal_table(study, first, runs) if study.data.of_the_paper else ()),
        *_model_table(study, runs),
        *_kind_table(runs),
        *_variant_table(study, runs),
        *_reconstruction_table(study, runs),
        *_split_section(study),
        *_sample_section(runs),
        *_time_section(study, runs),
        "## Plots",
        "",
    ]
    for run in runs:
        name = model_name(study, run.structure, run.kind, run.seed, run.variant)
        _plot(Scores.read(study.folder / "evaluation" / f"{name}.npz"), study, target / f"{name}.png")
        lines += [f"![predicted against true Dice, error and coverage by Dice, {name}]({name}.png)", ""]
    lines += _demo_section(study, first, target) if study.data.of_the_paper else []
    write_text_atomically(target / "README.md", "\n".join(lines) + "\n")


def _demo_section(study: Study, first: Structure, target: Path) -> list[str]:
    shown = model_name(
        study, first, "rec-reg", study.main_seed(first, "rec-reg"), study.bundled_variant(first, "rec-reg")
    )
    calibrated = study.folder / "evaluation" / shown
    if not calibrated.is_dir():
        return []
    lines = ["The same networks on the synthetic demo heart: no patient's image is shown.", ""]
    return lines + [f"![{n.removesuffix('.png')} on the demo heart]({n})" for n in figures_of(calibrated, target)]


@dataclass(frozen=True)
class Run:
    """An evaluated model and its figures."""

    structure: Structure
    kind: str
    seed: int
    variant: Variant | None
    figures: dict[str, Any]

    @property
    def method(self) -> str:
        return _METHOD[self.kind] + (f", {self.variant.name}" if self.variant else "")


def evaluated_runs(study: Study) -> list[Run]:
    """The evaluated models of a study, hardened ones behind the others; variants of the ablation are not among them."""
    runs = []
    for structure, kind, seed, variant in product(study.structures, KINDS, study.seeds, (None, HARDENED)):
        if variant is not None and kind not in study.hardening:
            continue  # of a run before the study was changed
        path = study.folder / "evaluation" / f"{model_name(study, structure, kind, seed, variant)}.json"
        if path.is_file():
            runs.append(Run(structure, kind, seed, variant, read_json(path)))
    return runs


def _goal_table(study: Study, structure: Structure, runs: list[Run]) -> list[str]:
    mine = {
        run.kind: run
        for run in runs
        if run.structure == structure
        and run.seed == study.main_seed(structure, run.kind)
        and run.variant == study.bundled_variant(structure, run.kind)
    }
    methods = [kind for kind in structure.kinds if kind in mine]
    goals = (
        ("REC-Net L1, validation patients", "about 0.01", "at most 0.0095", "reconstruction", "validation"),
        ("REC-Net L1, test patients", "-", "-", "reconstruction", "test"),
        ("MAE, uniform Dice", ".04", "at most .035", "nets", "mae"),
        ("standard deviation of the absolute error", ".05", "-", "nets", "sd"),
        ("Pearson r", "-", "at least .97", "nets", "r"),
        ("volume Dice MAE, all drawn slices scored", "-", "at most .03", "volume", "mae"),
        ("volume Dice MAE, drawn slices partly scored", "-", "-", "volume_partly", "mae"),
        ("90 % interval: coverage", "-", ".88 to .92", "nets", "coverage"),
        ("90 % interval: mean width", "-", "at most .15", "nets", "width"),
        ("90 % interval, perturbed masks: coverage", "-", "-", "perturbed", "coverage"),
        ("90 % interval, perturbed masks: mean width", "-", "-", "perturbed", "width"),
    )
    rows = [
        (what, paper, goal, *(_figure(mine[k].figures, part, figure) for k in methods))
        for what, paper, goal, part, figure in goals
    ]
    head = ("", "paper", "goal", *(f"measured, {mine[kind].method}" for kind in methods))
    note = "Intervals are fitted on equal shares of U-net candidates and perturbed masks of the validation patients."
    return [f"## Goals: {structure.name}", "", *markdown_table(head, rows), "", note, ""]


def _model_table(study: Study, runs: list[Run]) -> list[str]:
    rows = [
        (
            run.structure.name,
            run.method,
            str(run.seed),
            _figure(run.figures, "nets", "mae"),
            _figure(run.figures, "perturbed", "mae"),
            _figure(run.figures, "nets", "r"),
            _figure(run.figures, "nets", "coverage"),
            _figure(run.figures, "perturbed", "coverage"),
            _figure(run.figures, "volume", "mae"),
            _figure(run.figures, "volume_partly", "mae"),
            f"{run.figures['unfamiliar']:.3f}",
        )
        for run in runs
    ]
    head = ("structure", "method", "seed", "MAE U-nets", "MAE perturbed", "r U-nets", "coverage U-nets")
    head = (*head, "coverage perturbed", "volume MAE", "volume MAE, partly scored", "called unfamiliar")
    lines = ["## All models, test patients", "", *markdown_table(head, rows), ""]
    trained = {(run.structure.name, run.method, run.seed) for run in runs if run.variant is None}
    for seed in study.seeds:
        lacking = sorted({f"{name}, {method}" for name, method, _ in trained if (name, method, seed) not in trained})
        if lacking:
            lines += [f"Not trained with seed {seed}: {'; '.join(lacking)}.", ""]
    return lines


def _kind_table(runs: list[Run]) -> list[str]:
    kinds = sorted({kind for run in runs for kind in run.figures["mae_by_kind"]})
    rows = [
        (
            run.structure.name,
            run.method,
            *(_figure(run.figures, "mae_by_kind", kind, interval=False) for kind in kinds),
        )
        for run in runs
    ]
    return [
        "## MAE by kind of candidate (all slices, not balanced)",
        "",
        *markdown_table(("structure", "method", *kinds), rows),
        "",
    ]


def _variant_table(study: Study, runs: list[Run]) -> list[str]:
    """What each addition brings: the same net trained in other ways."""
    structure, seed, ablation = study.structures[0], study.seeds[0], study.ablation
    name = model_name(study, structure, ablation.kind, seed)
    evaluated = []
    for variant in study.variants:
        path = study.folder / "evaluation" / f"{name}-{variant.name}.json"
        if path.is_file():
            evaluated.append((variant.says, variant.without, read_json(path)))
    if not evaluated:
        return [f"## Ablation: {structure.name}", "", "No variant was trained in this run of the study.", ""]
    if ablation.epochs is None:
        as_shipped = (structure, ablation.kind, seed, None)
        shipped = [run.figures for run in runs if (run.structure, run.kind, run.seed, run.variant) == as_shipped]
        evaluated = [*(("as shipped", None, figures) for figures in shipped), *evaluated]
    rows = [
        (
            says,
            _figure(figures, "nets", "mae"),
            _figure(figures, "perturbed", "mae"),
            "" if without is None else f"{without}: {_figure(figures, 'mae_by_kind', without)}",
        )
        for says, without, figures in evaluated
    ]
    goal = " (goal at most .06)" if study.data.of_the_paper else ""
    head = ("trained", "MAE U-nets", "MAE perturbed", f"MAE on the kind never seen{goal}")
    epochs = sum(study.reg_net_epochs(structure, ablation.kind, study.variants[0]))
    title = f"## Ablation: {structure.name}, {_METHOD[ablation.kind]}, epochs of each: {epochs}"
    return [title, "", *markdown_table(head, rows), ""]


def _reconstruction_table(study: Study, runs: list[Run]) -> list[str]:
    rows = []
    for structure in study.structures:
        found = [r.figures for r in runs if r.structure == structure and "reconstruction" in r.figures]
        if found:  # of any run: they share their REC-Net
            columns = ("validation", "validation_inside", "test", "test_inside")
            rows.append((structure.name, *(_figure(found[0], "reconstruction", key) for key in columns)))
    if not rows:
        return []
    head = ("structure", "validation L1", "inside the mask", "test L1", "inside the mask")
    return ["## REC-Nets, reference masks", "", *markdown_table(head, rows), ""]


def _split_section(study: Study) -> list[str]:
    split = read_split(study)
    lines = ["## Split of the patients", ""]
    for part, patients in split.items():
        lines.append(f"- {part} ({len(patients)}): {', '.join(patients)}")
    return [*lines, ""]


def _sample_section(runs: list[Run]) -> list[str]:
    lines = ["## Samples, evenly over ten bins of Dice as far as the bins allow", ""]
    for run in runs:
        nets, perturbed, volumes, partly = (
            run.figures.get(part, {}).get(key, 0)
            for part, key in (
                ("nets", "slices"),
                ("perturbed", "slices"),
                ("volume", "volumes"),
                ("volume_partly", "volumes"),
            )
        )
        counts = f"{nets} slices drawn by U-nets, {perturbed} perturbed, {volumes} volumes, {partly} partly scored"
        lines.append(f"- {run.structure.name}, {run.method}, seed {run.seed}: tested on {counts}")
        if "samples" in run.figures:
            drawn, wrong = run.figures["samples"]["nets"], run.figures["samples"]["perturbed"]
            lines[-1] += f"; an epoch of training had {drawn['train']} and {wrong['train']} slices, "
            lines[-1] += f"the validation {drawn['validation']} and {wrong['validation']}"
    return [*lines, ""]


def _epochs_of_trainings(study: Study, runs: list[Run]) -> dict[str, int]:
    """The epochs of the trainings that the models on the page came from, by the names of their folders."""
    epochs = {}
    for run in runs:
        if run.kind == "rec-reg":
            epochs[f"rec-{run.structure.key}"] = study.rec_net_epochs(run.structure)
    for run in runs:
        name = run_name(run.kind, run.structure, run.seed, run.variant)
        epochs[name] = sum(study.reg_net_epochs(run.structure, run.kind, run.variant))
    first, seed, kind = study.structures[0], study.seeds[0], study.ablation.kind
    for variant in study.variants:
        if (study.folder / "evaluation" / f"{model_name(study, first, kind, seed, variant)}.json").is_file():
            epochs[run_name(kind, first, seed, variant)] = sum(study.reg_net_epochs(first, kind, variant))
    return epochs


def timed_stages(study: Study, runs: list[Run]) -> list[str]:
    """The stages that the models on the page came from, by the names that the workflow gives to their times."""
    first, nets = study.structures[0], study.candidate_nets
    stages = ["prepare", *(f"candidates-depth{d}-filters{f}" for d, f in product(nets.depths, nets.filters))]
    for structure in dict.fromkeys(run.structure for run in runs):
        stages += [f"perturbed-{structure.key}", f"familiarity-{structure.key}"]
    stages += _epochs_of_trainings(study, runs)
    attacked = attacked_models(study, first) if study.attack_study else []
    for run in runs:
        name = run_name(run.kind, run.structure, run.seed, run.variant)
        stages += [f"calibrate-{name}", f"evaluate-{name}"]
        if run.structure == first and (run.kind, run.seed, run.variant) in attacked:
            stages += [f"attack-{name}"] + ([f"corrupt-{name}"] if run.seed == study.main_seed(first, run.kind) else [])
    return stages


def _time_section(study: Study, runs: list[Run]) -> list[str]:
    rows = []
    for path in sorted((study.folder / "times").glob("*.tsv")):
        with path.open(encoding="utf-8") as file:
            entry = next(csv.DictReader(file, delimiter="\t"), None)
        if entry is not None:  # a stage that still runs has an empty file
            rows.append((path.stem, entry["h:m:s"]))
    logged = {
        name: (epochs, minutes)
        for name, epochs in _epochs_of_trainings(study, runs).items()
        if (minutes := minutes_an_epoch(study.folder / name)) is not None
    }
    machine = f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}"
    machine += f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ", no GPU"
    unknown = [stage for stage in timed_stages(study, runs) if stage not in dict(rows) and stage not in logged]
    lines = ["## Hardware and time", "", machine, ""]
    if rows:
        lines += ["Of a stage that was stopped, the time from where it went on.", ""]
        lines += [*markdown_table(("stage", "time"), rows), ""]
    if logged:
        lines += ["Trainings by their logs, however often they were stopped: the mean of the epochs logged.", ""]
        cells = [(name, str(n), f"{minutes:.2f}", f"{n * minutes / 60:.1f}") for name, (n, minutes) in logged.items()]
        lines += [*markdown_table(("training", "epochs", "minutes an epoch", "hours together"), cells), ""]
    if unknown:
        lines += [
            "The time of these is not known: they ran outside the workflow or not at all, as where networks were taken"
        ]
        lines += [f"from a bundle, or had not ended when this page was written: {', '.join(unknown)}.", ""]
    return lines


def _figure(figures: dict[str, Any], part: str, key: str, *, interval: bool = True) -> str:
    """A figure with its interval, or a dash where it could not be measured."""
    figure = figures.get(part, {}).get(key)
    if figure is None:
        return "-"
    value, low, high = (f"{number:.4f}" if part == "reconstruction" else f"{number:.3f}" for number in figure)
    return f"{value} [{low}, {high}]" if interval else value


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
