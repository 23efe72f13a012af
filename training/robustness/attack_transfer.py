"""Stage 11: show the images that were made against one model to all others of the structure, other kinds and seeds."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch

from ..attacks.gradient_attacks import score_of_pipeline
from ..study.artifacts import read_json, write_json
from ..study.configuration import Structure, Study
from ..study.paths import attacked_models, model_name
from ..study.stage_arguments import stage_arguments
from .attack_slices import BATCH
from .attack_study import evaluated_model, settings_of


def attacked_names(study: Study, structure: Structure) -> list[str]:
    """The names of the models that PGD was tried on so far."""
    names = [model_name(study, structure, *model) for model in attacked_models(study, structure)]
    paths = [study.folder / "attacks" / f"{name}.json" for name in names]
    return [path.stem for path in paths if path.is_file() and "pgd" in read_json(path)]


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
