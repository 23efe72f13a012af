"""Stage 7: export an evaluated model as a bundle, with its model card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from SegQualityQCLib.bundle import ModelBundle

from .bundling import write_bundle
from .configuration import HARDENED, Structure, Study, Variant, stage_arguments
from .files import read_json
from .naming import bundle_name, model_name
from .provenance import provenance_of
from .split import read_split


def export(
    study: Study, structure: Structure, kind: str, seed: int, target: Path, variant: Variant | None = None
) -> None:
    """Write the bundle of an evaluated model into ``target``."""
    name = bundle_name(study, structure, kind)
    evaluated = model_name(study, structure, kind, seed, variant)
    calibrated, figures = (
        read_json(study.folder / stage / f"{evaluated}.json") for stage in ("calibration", "evaluation")
    )
    split = read_split(study)
    target.mkdir(parents=True, exist_ok=True)
    write_bundle(
        target / name,
        study,
        structure,
        kind,
        seed,
        version=study.version,
        **calibrated,
        evaluation=summary(figures),
        card=model_card(study, structure, kind, figures, split, variant),
        variant=variant,
    )
    bundle = ModelBundle.load(target / name)
    print(f"{bundle.name} {bundle.version}: {bundle.sha256}")


def summary(figures: dict[str, Any]) -> dict[str, float]:
    """What the bundle says of its evaluation; ``mae`` is the mean over U-net candidates and perturbed masks."""
    said = {f"mae_{part}": figures[part]["mae"][0] for part in ("nets", "perturbed") if part in figures}
    said = {"mae": sum(said.values()) / len(said), **said}
    if "nets" in figures:
        said |= {f"{key}_nets": figures["nets"][key][0] for key in ("r", "coverage", "width")}
    if "volume" in figures:
        said["volume_mae"] = figures["volume"]["mae"]
    return {key: round(value, 4) for key, value in said.items()}


def model_card(
    study: Study,
    structure: Structure,
    kind: str,
    figures: dict[str, Any],
    split: dict[str, list[str]],
    variant: Variant | None = None,
) -> str:
    """The model card in Markdown."""
    method = {
        "rec-reg": "REC-Net reconstructs the slice from the slice without the mask; REG-Net predicts Dice from the "
        "difference and the mask (Zhou, Deng, Wu, arXiv 1903.08773).",
        "direct": "REG-Net predicts Dice from the slice and the mask (Robinson et al., MICCAI 2018).",
    }[kind]
    if study.reg_network.get("head") == "pixels":
        method += " It judges each pixel, and computes the Dice from that."
    if variant is not None:
        method += f" The network was {variant.says}."
        if variant == HARDENED and study.hardening[kind].mirrored:
            method += " A share of the masks was mirrored then."
    rows = "\n".join(f"| {name} | {value:.3f} |" for name, value in summary(figures).items())
    provenance = provenance_of(study.data)
    patients = ", ".join(f"{len(names)} {part}" for part, names in split.items())
    return f"""# {bundle_name(study, structure, kind)} {study.version}

Predicts, slice by slice and without a reference, the Dice of a candidate segmentation of the {structure.name} in
{provenance.images}. {method}

## Data
{provenance.data}; patients: {patients}.
Candidates: U-nets of several sizes and ages, and reference masks made wrong in eleven ways. Window of
{study.window_size} x {study.window_size} pixels of {study.window_spacing_mm} mm, centred on the candidate.

## Figures on the test patients
Evenly sampled over ten bins of Dice. Source: `training.evaluate`, configuration `{study.name}`.

| figure | value |
|---|---|
{rows}

## Limits and intended use
For research. Not a medical device. {provenance.limits}
A predicted Dice is an estimate: read its interval.

## Licence
{provenance.licence}: see the file LICENSE.
"""


if __name__ == "__main__":
    arguments = stage_arguments(__doc__, structure=True, variant=True, kind=str, seed=int, target=Path)
    export(arguments.study, arguments.structure, arguments.kind, arguments.seed, arguments.target, arguments.variant)
