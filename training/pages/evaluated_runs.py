"""The evaluated models of a study with their figures."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

from ..study.artifacts import read_json
from ..study.configuration import HARDENED, METHODS, Study
from ..study.run import Run

METHOD_NAMES = {"rec-reg": "difference image (REC-Net + REG-Net)", "direct": "image (after Robinson)"}


@dataclass(frozen=True)
class EvaluatedRun:
    """An evaluated run and its figures, as training.evaluation.evaluate wrote them."""

    run: Run
    figures: dict[str, Any]

    @property
    def method_name(self) -> str:
        """The method and the variant in words."""
        return METHOD_NAMES[self.run.method] + (f", {self.run.variant.name}" if self.run.variant else "")


def evaluated_runs(study: Study) -> list[EvaluatedRun]:
    """The evaluated runs of a study, hardened ones behind the others, without the variants of the ablation."""
    found = []
    for structure, method, seed, variant in product(study.structures, METHODS, study.seeds, (None, HARDENED)):
        if variant is not None and method not in study.hardening:
            continue  # of a run before the study was changed
        run = Run(study, structure, method, seed, variant)
        path = run.stage_file("evaluation")
        if path.is_file():
            found.append(EvaluatedRun(run, read_json(path)))
    return found


def evaluated_variants(study: Study) -> list[EvaluatedRun]:
    """The evaluated variants of the ablation."""
    unchanged = ablation_run(study)
    runs = [Run(study, unchanged.structure, unchanged.method, unchanged.seed, variant) for variant in study.variants]
    return [EvaluatedRun(run, read_json(run.stage_file("evaluation"))) for run in runs if _is_evaluated(run)]


def ablation_run(study: Study) -> Run:
    """The run that the variants of the ablation vary."""
    return Run(study, study.structures[0], study.ablation.kind, study.seeds[0])


def _is_evaluated(run: Run) -> bool:
    return run.stage_file("evaluation").is_file()
