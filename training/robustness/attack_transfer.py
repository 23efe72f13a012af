"""Stage 11: show the images made against one model to the structure's models of all methods and seeds."""

from __future__ import annotations

import json

import numpy as np
import torch

from ..attacks.gradient_attacks import score_of_pipeline
from ..evaluation.provisional import evaluated_model
from ..study.artifacts import read_json, write_json
from ..study.configuration import Structure, Study
from ..study.run import Run, attacked_runs
from ..study.stage_arguments import stage_arguments
from .attack_slices import BATCH
from .attack_study import settings_of


def attacked_so_far(study: Study, structure: Structure) -> list[Run]:
    """The runs whose models PGD was tried on."""
    paths = [(run, run.stage_file("attacks")) for run in attacked_runs(study, structure)]
    return [run for run, path in paths if path.is_file() and "pgd" in read_json(path)]


@torch.inference_mode()
def measure_transfer(study: Study, structure: Structure) -> None:
    """Write transfer.json: the error of each model on the images that PGD made against each model."""
    runs = attacked_so_far(study, structure)
    table: dict[str, dict[str, float]] = {}
    for source in runs:
        with np.load(source.stage_file("attacks", ".npz")) as stored:
            image, mask, true = (torch.from_numpy(stored[key]).float() for key in ("attacked", "mask", "true"))
        parts = [slice(first, first + BATCH) for first in range(0, len(image), BATCH)]
        table[source.model_name] = {}
        for judge in runs:
            estimator = evaluated_model(judge)
            logits = torch.cat([score_of_pipeline(estimator, mask[part])(image[part]) for part in parts])
            table[source.model_name][judge.model_name] = float((torch.sigmoid(logits) - true).abs().mean())
    content = {"eps": settings_of(study).pgd_eps[-1], "mae": table}
    write_json(study.folder / "attacks" / "transfer.json", content)
    print(json.dumps(content, indent=1))


if __name__ == "__main__":
    arguments = stage_arguments(__doc__, structure=True)
    measure_transfer(arguments.study, arguments.structure)
