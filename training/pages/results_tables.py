"""The tables of figures on the results page."""

from __future__ import annotations

from typing import Any

from ..study.configuration import Structure, Study
from ..study.run import exported_run
from .evaluated_runs import METHOD_NAMES, EvaluatedRun, ablation_run, evaluated_variants
from .markdown import markdown_table


def goal_section(study: Study, structure: Structure, evaluated: list[EvaluatedRun]) -> list[str]:
    """The exported models of a structure, beside the paper's figures and the goals."""
    exported = [exported_run(study, structure, method) for method in structure.kinds]
    shown = [entry for run in exported for entry in evaluated if entry.run == run]
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
        (what, paper, goal, *(_figure(entry.figures, part, figure) for entry in shown))
        for what, paper, goal, part, figure in goals
    ]
    head = ("", "paper", "goal", *(f"measured, {entry.method_name}" for entry in shown))
    note = "Intervals are fitted on equal shares of U-net candidates and perturbed masks of the validation patients."
    return [f"## Goals: {structure.name}", "", *markdown_table(head, rows), "", note, ""]


def model_section(study: Study, evaluated: list[EvaluatedRun]) -> list[str]:
    """One row for each evaluated model."""
    rows = [
        (
            entry.run.structure.name,
            entry.method_name,
            str(entry.run.seed),
            _figure(entry.figures, "nets", "mae"),
            _figure(entry.figures, "perturbed", "mae"),
            _figure(entry.figures, "nets", "r"),
            _figure(entry.figures, "nets", "coverage"),
            _figure(entry.figures, "perturbed", "coverage"),
            _figure(entry.figures, "volume", "mae"),
            _figure(entry.figures, "volume_partly", "mae"),
            f"{entry.figures['unfamiliar']:.3f}",
        )
        for entry in evaluated
    ]
    head = (
        *("structure", "method", "seed", "MAE U-nets", "MAE perturbed", "r U-nets", "coverage U-nets"),
        *("coverage perturbed", "volume MAE", "volume MAE, partly scored", "called unfamiliar"),
    )
    lines = ["## All models, test patients", "", *markdown_table(head, rows), ""]
    trained = {
        (entry.run.structure.name, entry.method_name, entry.run.seed)
        for entry in evaluated
        if entry.run.variant is None
    }
    for seed in study.seeds:
        lacking = sorted({f"{name}, {method}" for name, method, _ in trained if (name, method, seed) not in trained})
        if lacking:
            lines += [f"Not trained with seed {seed}: {'; '.join(lacking)}.", ""]
    return lines


def kind_section(evaluated: list[EvaluatedRun]) -> list[str]:
    """The error of each model by the kind of candidate."""
    kinds = sorted({kind for entry in evaluated for kind in entry.figures["mae_by_kind"]})
    rows = [
        (
            entry.run.structure.name,
            entry.method_name,
            *(_figure(entry.figures, "mae_by_kind", kind, interval=False) for kind in kinds),
        )
        for entry in evaluated
    ]
    return [
        "## MAE by kind of candidate (all slices, not balanced)",
        "",
        *markdown_table(("structure", "method", *kinds), rows),
        "",
    ]


def ablation_section(study: Study, evaluated: list[EvaluatedRun]) -> list[str]:
    """The same net trained in other ways."""
    unchanged, variants = ablation_run(study), evaluated_variants(study)
    title = f"## Ablation: {unchanged.structure.name}"
    if not variants:
        return [title, "", "No variant was trained in this run of the study.", ""]
    trained: list[tuple[str, str | None, dict[str, Any]]] = []
    if study.ablation.epochs is None:
        trained = [("as shipped", None, entry.figures) for entry in evaluated if entry.run == unchanged]
    for entry in variants:
        variant = entry.run.variant
        assert variant is not None
        trained.append((variant.says, variant.without, entry.figures))
    rows = [
        (
            says,
            _figure(figures, "nets", "mae"),
            _figure(figures, "perturbed", "mae"),
            "" if without is None else f"{without}: {_figure(figures, 'mae_by_kind', without)}",
        )
        for says, without, figures in trained
    ]
    goal = " (goal at most .06)" if study.data.of_the_paper else ""
    head = ("trained", "MAE U-nets", "MAE perturbed", f"MAE on the kind never seen{goal}")
    epochs = sum(variants[0].run.epochs)
    title += f", {METHOD_NAMES[unchanged.method]}, epochs of each: {epochs}"
    return [title, "", *markdown_table(head, rows), ""]


def reconstruction_section(study: Study, evaluated: list[EvaluatedRun]) -> list[str]:
    """The errors of each structure's REC-Net."""
    rows = []
    for structure in study.structures:
        found = [e.figures for e in evaluated if e.run.structure == structure and "reconstruction" in e.figures]
        if found:  # of any run, since they share their REC-Net
            columns = ("validation", "validation_inside", "test", "test_inside")
            rows.append((structure.name, *(_figure(found[0], "reconstruction", key) for key in columns)))
    if not rows:
        return []
    head = ("structure", "validation L1", "inside the mask", "test L1", "inside the mask")
    return ["## REC-Nets, reference masks", "", *markdown_table(head, rows), ""]


def _figure(figures: dict[str, Any], part: str, key: str, *, interval: bool = True) -> str:
    """A figure with its interval, or a dash where it could not be measured."""
    figure = figures.get(part, {}).get(key)
    if figure is None:
        return "-"
    value, low, high = (f"{number:.4f}" if part == "reconstruction" else f"{number:.3f}" for number in figure)
    return f"{value} [{low}, {high}]" if interval else value
