"""Figures of the attack study: curves from test patients, pictures on the synthetic demo heart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch

from SegQualityQCLib.demo import demo_case
from SegQualityQCLib.estimators.networks.rec_reg import RecRegEstimator

from ..attacks.corruptions import STRENGTHS
from ..attacks.gradient_attacks import IMAGE_LIMITS, fgsm, score_of_pipeline
from ..evaluation.provisional import evaluated_model
from ..study.artifacts import read_json
from ..study.configuration import Structure, Study
from ..study.run import Run, attacked_runs, main_run
from .corruption_tables import corruption_files

_DEMO_SLICE, _DEMO_EPS = 2, (0.0, 0.05, 0.1, 0.3)
_ATTACKS = {"fgsm": "FGSM, whole pipeline", "pgd": "PGD, whole pipeline", "fgsm-difference": "FGSM, difference image"}
_ATTACKS["surrogate"] = "FGSM, surrogate"


def draw_all(
    study: Study, structure: Structure, figures: dict[str, dict[str, Any]], target: Path
) -> list[tuple[str, str]]:
    """Draw the figures that there are data for; gives their file names and what they show."""
    runs = {run.model_name: run for run in attacked_runs(study, structure)}
    first = main_run(study, structure, "rec-reg").model_name
    shown = first if first in figures else next(iter(figures))
    drawn = [("attacks-error.png", "error of each model by eps, worst direction")]
    _draw_errors(figures, target / "attacks-error.png")
    _draw_scatter(runs[shown], figures[shown], target / "attacks-scatter.png")
    drawn.append(("attacks-scatter.png", f"predicted against true Dice of {shown} under FGSM, worst direction"))
    _draw_steps(figures, target / "attacks-steps.png")
    drawn.append(("attacks-steps.png", "error and loss by PGD's steps"))
    if study.data.of_the_paper:
        _draw_demo(runs[shown], target / "attacks-demo.png")
        drawn.append(("attacks-demo.png", f"a badly drawn slice of the demo heart pushed to look good, {shown}"))
    if corrupted := corruption_files(study, structure):
        _draw_corruptions(corrupted, target / "corruptions.png")
        drawn.append(("corruptions.png", "error, coverage and share called unfamiliar by corruption and strength"))
    return drawn


def _draw_errors(figures: dict[str, dict[str, Any]], path: Path) -> None:
    """MAE by eps, like the paper's figure 7: one panel a model."""
    figure, axes = plt.subplots(
        1, len(figures), figsize=(3.4 * len(figures), 3.4), sharey=True, squeeze=False, constrained_layout=True
    )
    for axis, (name, measured) in zip(axes[0], figures.items(), strict=True):
        for key, says in _ATTACKS.items():
            if key in measured:
                rows = measured[key]
                axis.plot([row["eps"] for row in rows], [row["worst"]["mae"] for row in rows], "o-", label=says)
        axis.axhline(0.25, color="k", linewidth=0.5, linestyle=":")
        axis.set(title=name, xlabel="eps", ylim=(0, None))
        axis.title.set_fontsize(8)
    axes[0, 0].set_ylabel("mean absolute error")
    axes[0, 0].legend(fontsize=7)
    _save(figure, path)


def _draw_scatter(run: Run, measured: dict[str, Any], path: Path) -> None:
    """Predicted against true Dice at each eps."""
    with np.load(run.stage_file("attacks", ".npz")) as stored:
        true = stored["true"]
        predicted = {row["eps"]: stored[f"fgsm-{row['eps']:g}"] for row in measured["fgsm"]}
    figure, axes = plt.subplots(
        1, len(predicted), figsize=(2.3 * len(predicted), 2.6), sharey=True, squeeze=False, constrained_layout=True
    )
    for axis, (eps, values) in zip(axes[0], predicted.items(), strict=True):
        axis.plot([0, 1], [0, 1], "k-", linewidth=0.5)
        axis.plot(true, values, ".", markersize=4)
        axis.set(title=f"eps {eps:g}", xlabel="true Dice", xlim=(0, 1), ylim=(0, 1))
    axes[0, 0].set_ylabel("predicted Dice")
    _save(figure, path)


def _draw_steps(figures: dict[str, dict[str, Any]], path: Path) -> None:
    """Error, and the loss that PGD maximises, by step."""
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), constrained_layout=True)
    for name, measured in figures.items():
        if "steps" in measured:
            axes[0].plot(measured["steps"]["mae"], label=name)
            axes[1].plot(measured["steps"]["gain"])
    axes[0].set(xlabel="steps", ylabel="mean absolute error", ylim=(0, None))
    axes[1].set(xlabel="steps", ylabel="gain of the directed logit", ylim=(0, None))
    if axes[0].lines:
        axes[0].legend(fontsize=7)
    _save(figure, path)


def _draw_demo(run: Run, path: Path) -> None:
    """Attacked images of a badly drawn slice, like the paper's figure 5: image, change, difference image, predicted."""
    estimator = evaluated_model(run)
    seen = estimator.inputs(demo_case())
    image, mask = (
        torch.from_numpy(part[_DEMO_SLICE].astype(np.float32))[None, None] for part in (seen.image, seen.mask)
    )
    score = score_of_pipeline(estimator, mask)
    rows = 3 if isinstance(estimator, RecRegEstimator) else 2
    figure, axes = plt.subplots(
        rows, len(_DEMO_EPS), figsize=(1.7 * len(_DEMO_EPS), 1.8 * rows), constrained_layout=True
    )
    for column, eps in zip(axes.T, _DEMO_EPS, strict=True):
        attacked = fgsm(score, image, torch.ones(1), eps, IMAGE_LIMITS)
        with torch.inference_mode():
            dice = float(torch.sigmoid(score(attacked)))
            column[0].imshow(attacked[0, 0], cmap="gray", vmin=-1, vmax=1)
            column[0].contour(mask[0, 0], [0.5], colors="yellow", linewidths=0.6)
            column[1].imshow((attacked - image)[0, 0], cmap="RdBu", vmin=-max(eps, 0.05), vmax=max(eps, 0.05))
            if isinstance(estimator, RecRegEstimator):
                column[2].imshow(estimator.first_channel(attacked, mask)[0, 0], cmap="RdBu", vmin=-1, vmax=1)
        column[0].set_title(f"eps {eps:g}: predicted {dice:.2f}", fontsize=8)
    for axis, says in zip(axes[:, 0], ("image and mask", "change", "difference image"), strict=False):
        axis.set_ylabel(says)
    for axis in axes.ravel():
        axis.set(xticks=[], yticks=[])
    _save(figure, path, dpi=60)  # noise does not compress


def _draw_corruptions(paths: list[Path], path: Path) -> None:
    """MAE, coverage and share called unfamiliar by strength: a line for each corruption, a row for each model."""
    figure, axes = plt.subplots(
        len(paths), 3, figsize=(11, 3 * len(paths)), sharey="col", squeeze=False, constrained_layout=True
    )
    for row, source in zip(axes, paths, strict=True):
        measured = read_json(source)
        for number, (corruption, strengths) in enumerate(measured["kinds"].items()):
            for axis, key in zip(row, ("mae", "coverage", "unfamiliar"), strict=True):
                values = [measured["clean"][key], *(entry[key] for entry in strengths)]
                style = {"color": f"C{number % 10}", "marker": "o", "markersize": 3}
                axis.plot(range(STRENGTHS + 1), values, label=corruption, **style)
        row[0].set(ylabel=f"{measured['name']}\nmean absolute error", ylim=(0, None))
        row[0].yaxis.label.set_fontsize(8)
        row[1].axhline(0.9, color="k", linewidth=0.5)
        row[1].set(ylabel="share inside the 90 % interval", ylim=(0, 1))
        row[2].set(ylabel="share called unfamiliar", ylim=(0, 1))
        for axis in row:
            axis.set_xlabel("strength")
    axes[0, 0].legend(fontsize=6, ncols=2)
    _save(figure, path)


def _save(figure: plt.Figure, path: Path, dpi: int = 70) -> None:
    figure.savefig(path, dpi=dpi)
    plt.close(figure)
