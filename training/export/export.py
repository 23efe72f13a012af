"""Stage 7: export an evaluated model as a bundle, with its model card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from SegQualityQCLib.bundles.bundle import ModelBundle

from ..data.split import read_split
from ..study.artifacts import read_json
from ..study.run import Run
from ..study.stage_arguments import stage_arguments
from .bundling import read_calibrated, write_bundle
from .provenance import provenance_of

_MEANING = {
    "mae": "mean of mae_nets and mae_perturbed; by it the default among models of a structure is chosen",
    "mae_nets": "mean absolute error of the predicted Dice of slices, candidates drawn by U-nets",
    "mae_perturbed": "the same, reference masks made wrong",
    "r_nets": "Pearson correlation of predicted and true Dice of slices, candidates drawn by U-nets",
    "coverage_nets": "share of these slices whose true Dice lies in the 90 % interval",
    "coverage_perturbed": "the same, reference masks made wrong",
    "width_nets": "mean width of that interval, candidates drawn by U-nets",
    "volume_mae": "mean absolute error of the Dice of whole volumes drawn by U-nets, all drawn slices scored",
    "volume_partly_mae": "the same, where some drawn slices could not be scored",
}


def export(run: Run, target: Path) -> None:
    """Write the bundle of an evaluated run into ``target``."""
    calibration, distribution = read_calibrated(run.stage_file("calibration"))
    figures = read_json(run.stage_file("evaluation"))
    split = read_split(run.study)
    target.mkdir(parents=True, exist_ok=True)
    folder = target / run.bundle_name
    card = model_card(run, figures, split)
    write_bundle(
        folder,
        run,
        version=run.study.version,
        calibration=calibration,
        distribution=distribution,
        evaluation=summary(figures),
        card=card,
    )
    bundle = ModelBundle.load(folder)
    print(f"{bundle.name} {bundle.version}: {bundle.sha256}")


def summary(figures: dict[str, Any]) -> dict[str, float]:
    """The figures of the evaluation in the bundle; ``mae`` is the mean of U-net candidates and perturbed masks."""
    said = {f"mae_{part}": figures[part]["mae"][0] for part in ("nets", "perturbed") if part in figures}
    said = {"mae": sum(said.values()) / len(said), **said}
    if "nets" in figures:
        said |= {f"{key}_nets": figures["nets"][key][0] for key in ("r", "coverage", "width") if key in figures["nets"]}
    if "perturbed" in figures:
        said["coverage_perturbed"] = figures["perturbed"]["coverage"][0]
    said |= {f"{part}_mae": figures[part]["mae"][0] for part in ("volume", "volume_partly") if part in figures}
    return {key: round(said[key], 4) for key in _MEANING if key in said}


def _counts(figures: dict[str, Any]) -> str:
    """How many slices and volumes the figures are of."""
    parts = (
        ("nets", "slices", "slices drawn by U-nets"),
        ("perturbed", "slices", "slices of reference masks made wrong"),
        ("volume", "volumes", "volumes scored in all drawn slices"),
        ("volume_partly", "volumes", "in a part of them"),
    )
    return ", ".join(f"{figures.get(part, {}).get(key, 0)} {says}" for part, key, says in parts)


_METHOD = {
    "rec-reg": "REC-Net reconstructs the slice from the slice without the mask; REG-Net predicts Dice from the "
    "difference and the mask (Zhou, Deng, Wu, arXiv 1903.08773).",
    "direct": "REG-Net predicts Dice from the slice and the mask (Robinson et al., MICCAI 2018).",
}


def _method(run: Run) -> str:
    """How the model predicts and how it was trained, in sentences."""
    method = _METHOD[run.method]
    if run.study.reg_network.get("head") == "pixels":
        method += " It judges each pixel, and computes the Dice from that."
    if run.variant is not None:
        method += f" The network was {run.variant.says}."
    if run.image_smoothing:
        method += f" It sees images blurred by a Gaussian of {run.image_smoothing:g} pixels."
    return method


def model_card(run: Run, figures: dict[str, Any], split: dict[str, list[str]]) -> str:
    """The model card in Markdown."""
    study = run.study
    rows = "\n".join(f"| {name} | {value:.3f} | {_MEANING[name]} |" for name, value in summary(figures).items())
    provenance = provenance_of(*study.sources)
    patients = ", ".join(f"{len(names)} {part}" for part, names in split.items())
    patients = f"{sum(map(len, split.values()))} patients, of them {patients}"
    return f"""# {run.bundle_name} {study.version}

Predicts, slice by slice and without a reference, the Dice of a candidate segmentation of the {run.structure.name} in
{provenance.images}. {_method(run)}

## Data
{provenance.data}; {patients}.
Candidates: masks drawn by U-nets of several sizes after several numbers of epochs, and reference masks with eleven
kinds of fault. Field of view: {study.window_size} x {study.window_size} pixels of {study.window_spacing_mm} mm,
centred on the candidate.

## Figures on the test patients
Of the {len(split["test"])} test patients: {_counts(figures)}. Slices are sampled evenly
over ten bins of true Dice, as far as the bins allow. Source: `training.evaluation.evaluate`, configuration
`{study.name}`.

| figure | value | what it is |
|---|---|---|
{rows}

## Limits and intended use
For research: this is not a medical device. {provenance.limits}
A predicted Dice is an estimate: read its interval.

## Licence
{provenance.licence}: see the file LICENSE.
"""


if __name__ == "__main__":
    arguments = stage_arguments(__doc__, run=True, variant=True, target=Path)
    export(arguments.run, arguments.target)
