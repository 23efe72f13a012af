"""Writes a model bundle whole or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import torch

from SegQualityQCLib.errors import ReportError

from ..study.configuration import Structure, Study, Variant
from ..study.paths import bundle_name, run_name
from .provenance import provenance_of

NO_INTERVAL = {"edges": [0.0, 1.0], "low": [-1.0], "high": [1.0]}


def write_bundle(
    folder: Path,
    study: Study,
    structure: Structure,
    kind: str,
    seed: int,
    *,
    version: str,
    calibration: dict[str, Any],
    familiarity: dict[str, Any],
    evaluation: dict[str, Any],
    card: str,
    variant: Variant | None = None,
) -> None:
    """Write a bundle into a folder beside the target, then put it in the target's place.

    Raises:
        ReportError: The weights cannot be written.
    """
    partial, before = (folder.with_name(f".{folder.name}.{part}") for part in ("partial", "before"))
    if before.exists() and not folder.exists():
        before.rename(folder)  # a run was stopped while it replaced the bundle
    for rest in (partial, before):
        shutil.rmtree(rest, ignore_errors=True)
    for part in ("configs", "models", "docs"):
        (partial / part).mkdir(parents=True)
    files = {"models/reg_net.pt": study.folder / run_name(kind, structure, seed, variant) / "reg_net.pt"}
    networks: dict[str, Any] = {"reg_net": (variant.of(study) if variant else study).reg_network}
    if kind == "rec-reg":
        files["models/rec_net.pt"] = study.folder / f"rec-{structure.key}" / "rec_net.pt"
        networks["rec_net"] = {"filters": list(study.rec_filters)}
    for file, source in files.items():
        if len(files) > 1:  # two networks stay below 5 MB together with half the digits
            weights = torch.load(source, weights_only=True)
            try:
                torch.save({key: value.half() for key, value in weights.items()}, partial / file)
            except RuntimeError as error:  # a full disk, of which PyTorch says less
                raise ReportError(f"The weights {partial / file} cannot be written: is the disk full?") from error
        else:
            shutil.copyfile(source, partial / file)
    code, meaning = structure.snomed
    provenance = provenance_of(study.data)
    metadata = {
        "name": bundle_name(study, structure, kind),
        "version": version,
        "task": "Segmentation quality: Dice of each slice without a reference",
        "description": f"Predicts the Dice of a candidate segmentation of the {structure.name}, slice by slice.",
        "authors": provenance.authors,
        "license": provenance.licence,
        "copyright": provenance.authors,
        "network_data_format": {
            "inputs": {
                "image": {
                    "type": "image",
                    "format": "magnitude",
                    "modality": study.data.modality,
                    "num_channels": 1,
                    "spatial_shape": [study.window_size, study.window_size],
                    "dtype": "float32",
                    "value_range": [-1, 1],
                },
                "mask": {
                    "type": "image",
                    "format": "segmentation",
                    "num_channels": 1,
                    "spatial_shape": [study.window_size, study.window_size],
                    "dtype": "float32",
                    "value_range": [0, 1],
                },
            },
            "outputs": {"pred": {"type": "probabilities", "dtype": "float32", "value_range": [0, 1]}},
        },
        "quality": {
            "schema": 1,
            "estimator": kind,
            "target": {
                "name": structure.name,
                "snomed": {"scheme": "SCT", "value": code, "meaning": meaning},
                "aliases": list(structure.aliases),
                "label": structure.label,
            },
            "modality": study.data.modality,
            "window": {"size": study.window_size, "spacing_mm": study.window_spacing_mm},
            "intensity": {"rule": "percentile", "low": 0.5, "high": 99.5},
            "image_smoothing": study.image_smoothing(kind, variant),
            "networks": networks,
            "calibration": calibration,
            "familiarity": familiarity,
            "evaluation": evaluation,
            "weights": {file: hashlib.sha256((partial / file).read_bytes()).hexdigest() for file in sorted(files)},
        },
    }
    text = json.dumps(metadata, indent=1, allow_nan=False) + "\n"
    (partial / "configs" / "metadata.json").write_text(text, encoding="utf-8")
    (partial / "docs" / "README.md").write_text(card, encoding="utf-8")
    (partial / "LICENSE").write_text(provenance.licence_text, encoding="utf-8")
    if folder.exists():
        folder.rename(before)  # removed after it is replaced, or a stop meanwhile would leave a part of it
    partial.rename(folder)
    shutil.rmtree(before, ignore_errors=True)
