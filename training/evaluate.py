"""Stage 6: measure a calibrated model on the test patients, with patient-level bootstrap intervals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from SegQualityQCLib.bundle import ModelBundle
from SegQualityQCLib.estimator import load_estimator

from .bundling import write_bundle
from .configuration import Structure, Study, Variant, stage_arguments
from .files import read_json, write_json
from .naming import model_name
from .scoring import NET, PERTURBED, REFERENCE, Scores, balanced, kind_name, score_patients
from .split import read_split

_RESAMPLES = 1000


def evaluate(study: Study, structure: Structure, kind: str, seed: int, variant: Variant | None = None) -> None:
    """Write the scores and the figures of a model on the test patients.

    A variant that was not calibrated itself borrows the model's intervals.
    """
    name = model_name(study, structure, kind, seed, variant)
    tables = [study.folder / "calibration" / f"{n}.json" for n in (name, model_name(study, structure, kind, seed))]
    calibrated = read_json(next(filter(Path.is_file, tables), tables[-1]))
    split = read_split(study)
    folder = study.folder / "evaluation"
    folder.mkdir(parents=True, exist_ok=True)
    provisional = folder / name
    write_bundle(
        provisional,
        study,
        structure,
        kind,
        seed,
        version="0.0.0",
        **calibrated,
        evaluation={},
        card="A model that is being evaluated.\n",
        variant=variant,
    )
    estimator = load_estimator(ModelBundle.load(provisional), "cpu")
    scores = score_patients(study, structure, estimator, split["test"])
    scores.write(folder / f"{name}.npz")
    figures = measure(scores, study.sampling.test, study.split_seed)
    write_json(folder / f"{name}.json", figures)
    print(json.dumps(figures, indent=1))


def measure(scores: Scores, count: int, seed: int) -> dict[str, Any]:
    """All figures of the results page that there are slices or volumes for; with 95 % intervals over patients.

    Slices are sampled evenly over ten bins of true Dice, as in the paper, once from the U-nets' candidates and once
    from the perturbed masks.
    """
    figures: dict[str, Any] = {}
    for part, chosen in (("nets", scores.kind == NET), ("perturbed", scores.kind != NET)):
        places = balanced(scores, chosen, count, seed)
        if len(places) == 0:
            continue
        figures[part] = {
            "slices": len(places),
            "mae": _with_bootstrap(_mae, scores, places),
            "sd": float(np.std(np.abs(scores.predicted[places] - scores.true[places]))),
            "r": _with_bootstrap(_correlation, scores, places),
            "coverage": _with_bootstrap(_coverage, scores, places),
            "width": _with_bootstrap(_width, scores, places),
        }
    figures["mae_by_kind"] = {
        kind_name(kind): float(np.nanmean(np.abs(scores.predicted - scores.true)[scores.kind == kind]))
        for kind in np.unique(scores.kind).tolist()
    }
    whole, by_net = scores.volume_share == 1, scores.volume_kind == NET
    for part, chosen in (
        ("volume", whole & by_net),
        ("volume_partly", ~whole & by_net),
        ("volume_reference", whole & (scores.volume_kind == REFERENCE)),
        ("volume_perturbed", whole & (scores.volume_kind == PERTURBED)),
    ):
        if chosen.any():
            figures[part] = _volume_figures(scores, chosen)
    figures["unfamiliar"] = float(scores.unfamiliar.mean())
    return figures


def _volume_figures(scores: Scores, chosen: NDArray[np.bool_]) -> dict[str, Any]:
    predicted, true, low, high = (
        values[chosen]
        for values in (scores.volume_predicted, scores.volume_true, scores.volume_low, scores.volume_high)
    )
    return {
        "volumes": len(true),
        "mae": float(np.abs(predicted - true).mean()),
        "coverage": float(((low <= true) & (true <= high)).mean()),
        "width": float((high - low).mean()),
    }


def _with_bootstrap(
    measured: Callable[[Scores, NDArray[np.int64]], float], scores: Scores, places: NDArray[np.int64]
) -> list[float]:
    """A figure, and the ends of its 95 % interval over patients drawn with replacement."""
    rng = np.random.default_rng(0)
    patients = scores.patient[places]
    members = {patient: places[patients == patient] for patient in np.unique(patients).tolist()}
    names = list(members)
    values = []
    for _ in range(_RESAMPLES):
        drawn = rng.choice(len(names), len(names))
        values.append(measured(scores, np.concatenate([members[names[turn]] for turn in drawn])))
    low, high = np.quantile(values, [0.025, 0.975])
    return [measured(scores, places), float(low), float(high)]


def _mae(scores: Scores, places: NDArray[np.int64]) -> float:
    return float(np.abs(scores.predicted[places] - scores.true[places]).mean())


def _correlation(scores: Scores, places: NDArray[np.int64]) -> float:
    return float(np.corrcoef(scores.predicted[places], scores.true[places])[0, 1])


def _coverage(scores: Scores, places: NDArray[np.int64]) -> float:
    true = scores.true[places]
    return float(((scores.low[places] <= true) & (true <= scores.high[places])).mean())


def _width(scores: Scores, places: NDArray[np.int64]) -> float:
    return float((scores.high[places] - scores.low[places]).mean())


if __name__ == "__main__":
    arguments = stage_arguments(__doc__, structure=True, variant=True, kind=str, seed=int)
    evaluate(arguments.study, arguments.structure, arguments.kind, arguments.seed, arguments.variant)
