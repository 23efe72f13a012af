"""Stage 6: measure a calibrated model on the test patients, with patient-level bootstrap intervals."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from SegQualityQCLib.bundles.bundle import ModelBundle
from SegQualityQCLib.estimators.loading import load_estimator
from SegQualityQCLib.estimators.networks.architectures import RecNet
from SegQualityQCLib.estimators.networks.network_estimator import RecRegEstimator

from ..candidates.pool import sample_sizes
from ..data.split import read_split
from ..export.bundling import write_bundle
from ..fitting.rec_net import reconstruction_errors
from ..metrics.bootstrap import with_bootstrap
from ..study.artifacts import read_json, write_json
from ..study.configuration import Structure, Study, Variant
from ..study.paths import model_name
from ..study.stage_arguments import stage_arguments
from .scoring import NET, PERTURBED, REFERENCE, Scores, balanced, kind_name, score_patients


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
    figures["samples"] = sample_sizes(variant.of(study) if variant else study, structure)
    if isinstance(estimator, RecRegEstimator):
        figures["reconstruction"] = _reconstruction(study, structure, estimator.rec_net)
    write_json(folder / f"{name}.json", figures)
    print(json.dumps(figures, indent=1))


def measure(scores: Scores, count: int, seed: int) -> dict[str, Any]:
    """All figures of the results page that there are slices or volumes for; with 95 % intervals over patients.

    Slices are sampled evenly over ten bins of true Dice, as in the paper, once from the U-nets' candidates and once
    from the perturbed masks.
    """
    figures: dict[str, Any] = {}
    error = np.abs(scores.predicted - scores.true)
    of_slices = partial(_interval_figures, scores.patient, error, scores.true, scores.low, scores.high)
    for part, chosen in (("nets", scores.kind == NET), ("perturbed", scores.kind != NET)):
        places = balanced(scores, chosen, count, seed)
        if len(places):
            figures[part] = {
                "slices": len(places),
                **of_slices(places),
                "sd": with_bootstrap(lambda drawn: float(error[drawn].std()), scores.patient, places),
            }
            if scores.true[places].std() > 0 < scores.predicted[places].std():
                figures[part]["r"] = with_bootstrap(partial(_correlation, scores), scores.patient, places)
    usable = np.isfinite(error)
    figures["mae_by_kind"] = {
        kind_name(kind): with_bootstrap(
            partial(_mean, error), scores.patient, np.flatnonzero(usable & (scores.kind == kind))
        )
        for kind in np.unique(scores.kind[usable]).tolist()
    }
    whole, by_net = scores.volume_share == 1, scores.volume_kind == NET
    of_volumes = partial(
        _interval_figures,
        scores.volume_patient,
        np.abs(scores.volume_predicted - scores.volume_true),
        scores.volume_true,
        scores.volume_low,
        scores.volume_high,
    )
    for part, chosen in (
        ("volume", whole & by_net),
        ("volume_partly", ~whole & by_net),
        ("volume_reference", whole & (scores.volume_kind == REFERENCE)),
        ("volume_perturbed", whole & (scores.volume_kind == PERTURBED)),
    ):
        if chosen.any():
            figures[part] = {"volumes": int(chosen.sum()), **of_volumes(np.flatnonzero(chosen))}
    figures["unfamiliar"] = float(scores.unfamiliar.mean())
    return figures


def _interval_figures(
    patient: NDArray, error: NDArray, true: NDArray, low: NDArray, high: NDArray, places: NDArray[np.int64]
) -> dict[str, list[float]]:
    """Mean error, and coverage and mean width of the interval."""
    held = (low <= true) & (true <= high)
    values = {"mae": error, "coverage": held, "width": high - low}
    return {key: with_bootstrap(partial(_mean, value), patient, places) for key, value in values.items()}


def _mean(values: NDArray, places: NDArray[np.int64]) -> float:
    return float(values[places].mean())


def _correlation(scores: Scores, places: NDArray[np.int64]) -> float:
    return float(np.corrcoef(scores.predicted[places], scores.true[places])[0, 1])


def _reconstruction(study: Study, structure: Structure, rec_net: RecNet) -> dict[str, list[float]]:
    """REC-Net's mean L1 on slices with a reference, which REC-Net is given the rest of."""
    split = read_split(study)
    figures = {}
    for part in ("validation", "test"):
        errors = reconstruction_errors(study, structure, rec_net, split[part])
        places = np.arange(len(errors.patient))
        figures[part] = with_bootstrap(partial(_mean, errors.whole), errors.patient, places)
        figures[f"{part}_inside"] = with_bootstrap(partial(_mean, errors.inside), errors.patient, places)
    return figures


if __name__ == "__main__":
    arguments = stage_arguments(__doc__, structure=True, variant=True, kind=str, seed=int)
    evaluate(arguments.study, arguments.structure, arguments.kind, arguments.seed, arguments.variant)
