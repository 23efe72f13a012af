"""Stage 11: show the images that were made against one model to all others of the structure, other kinds and seeds."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch

from .attack_slices import BATCH
from .attack_study import evaluated_model, settings_of
from .attacks import score_of_pipeline
from .bundling import model_name
from .configuration import HARDENED, Structure, Study, stage_arguments
from .files import read_json, write_json


def attacked_names(study: Study, structure: Structure) -> list[str]:
    """The models that PGD was tried on so far: all kinds and seeds, and the hardened ones of the first seed."""
    names = []
    for variant in (None, HARDENED):
        for kind in structure.kinds:
            for seed in study.seeds if variant is None else study.seeds[:1]:
                name = model_name(study, structure, kind, seed, variant)
                path = study.folder / "attacks" / f"{name}.json"
                if path.is_file() and "pgd" in read_json(path):
                    names.append(name)
    return names


@torch.inference_mode()
def measure_transfer(study: Study, structure: Structure) -> None:
    """Write transfer.json: the error of each model on the images that PGD made against each model."""
    names = attacked_names(study, structure)
    folder = study.folder / "attacks"
    table: dict[str, Any] = {}
    for source in names:
        with np.load(folder / f"{source}.npz") as stored:
            image, mask, true = (torch.from_numpy(stored[key]).float() for key in ("attacked", "mask", "true"))
        table[source] = {}
        for judge in names:
            estimator = evaluated_model(study, judge)
            parts = [slice(first, first + BATCH) for first in range(0, len(image), BATCH)]
            logits = torch.cat([score_of_pipeline(estimator, mask[part])(image[part]) for part in parts])
            table[source][judge] = float((torch.sigmoid(logits) - true).abs().mean())
    content = {"eps": settings_of(study).pgd_eps[-1], "mae": table}
    write_json(folder / "transfer.json", content)
    print(json.dumps(content, indent=1))


if __name__ == "__main__":
    arguments = stage_arguments(__doc__, structure=True)
    measure_transfer(arguments.study, arguments.structure)
