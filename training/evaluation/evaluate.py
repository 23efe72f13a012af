"""Stage 6: measure a calibrated model on the test patients, with patient-level bootstrap intervals."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from SegQualityQCLib.estimators.networks.architectures import RecNet
from SegQualityQCLib.estimators.networks.rec_reg import RecRegEstimator

from ..candidates.pool import sample_sizes
from ..data.split import read_split
from ..export.bundling import read_calibrated
from ..fitting.rec_net import reconstruction_errors
from ..metrics.bootstrap import with_bootstrap
from ..study.artifacts import write_json
from ..study.configuration import Structure, Study
from ..study.run import Run
from ..study.stage_arguments import stage_arguments
from .provisional import provisional_model
from .scoring import NET, PERTURBED, REFERENCE, Scores, balanced, kind_name, score_patients


def evaluate(run: Run) -> None:
    """Write the scores and the figures of a run's model on the test patients.

    A variant that was not calibrated itself takes the intervals of the model that it varies.
    """
    tables = [run.stage_file("calibration"), run.unchanged.stage_file("calibration")]
    calibrated = read_calibrated(next(filter(Path.is_file, tables), tables[-1]))
    split = read_split(run.study)
    estimator = provisional_model(run, "evaluation", *calibrated, card="A model that is being evaluated.\n")
    scores = score_patients(run.study, run.structure, estimator, split["test"])
    scores.write(run.stage_file("evaluation", ".npz"))
    figures = measure(scores, run.study.sampling.test, run.study.split_seed)
    figures["samples"] = sample_sizes(run.varied_study, run.structure)
    if isinstance(estimator, RecRegEstimator):
        figures["reconstruction"] = _reconstruction(run.study, run.structure, estimator.rec_net)
    write_json(run.stage_file("evaluation"), figures)
    print(json.dumps(figures, indent=1))


def measure(scores: Scores, count: int, seed: int) -> dict[str, Any]:
    """All figures of the results page that there are slices or volumes for, with 95 % intervals over patients.

    Slices are sampled evenly over ten bins of true Dice, as in the paper, once from the U-nets' candidates and once
    from the perturbed masks.

    Args:
        scores: Scores of slices and volumes.
        count: Slices that each of the two samples holds at most.
        seed: Of the samples.
    """
    error = np.abs(scores.predicted - scores.true)
    return {
        **_slice_figures(scores, error, count, seed),
        "mae_by_kind": _error_by_kind(scores, error),
        **_volume_figures(scores),
        "unfamiliar": float(scores.unfamiliar.mean()),
    }


def _slice_figures(scores: Scores, error: NDArray, count: int, seed: int) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for part, chosen in (("nets", scores.kind == NET), ("perturbed", scores.kind != NET)):
        places = balanced(scores, chosen, count, seed)
        if len(places):
            figures[part] = {
                "slices": len(places),
                **_interval_figures(scores.patient, error, scores.true, scores.low, scores.high, places),
                "sd": with_bootstrap(lambda drawn: float(error[drawn].std()), scores.patient, places),
            }
            if scores.true[places].std() > 0 < scores.predicted[places].std():
                figures[part]["r"] = with_bootstrap(partial(_correlation, scores), scores.patient, places)
    return figures


def _error_by_kind(scores: Scores, error: NDArray) -> dict[str, list[float]]:
    usable = np.isfinite(error)
    return {
        kind_name(kind): with_bootstrap(
            partial(_mean, error), scores.patient, np.flatnonzero(usable & (scores.kind == kind))
        )
        for kind in np.unique(scores.kind[usable]).tolist()
    }


def _volume_figures(scores: Scores) -> dict[str, Any]:
    whole, by_net = scores.volume_share == 1, scores.volume_kind == NET
    error = np.abs(scores.volume_predicted - scores.volume_true)
    figures = {}
    for part, chosen in (
        ("volume", whole & by_net),
        ("volume_partly", ~whole & by_net),
        ("volume_reference", whole & (scores.volume_kind == REFERENCE)),
        ("volume_perturbed", whole & (scores.volume_kind == PERTURBED)),
    ):
        if chosen.any():
            columns = (scores.volume_patient, error, scores.volume_true, scores.volume_low, scores.volume_high)
            measured = _interval_figures(*columns, np.flatnonzero(chosen))
            figures[part] = {"volumes": int(chosen.sum()), **measured}
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
    """REC-Net's mean L1 on slices with a reference: REC-Net sees the image outside the reference mask."""
    split = read_split(study)
    figures = {}
    for part in ("validation", "test"):
        errors = reconstruction_errors(study, structure, rec_net, split[part])
        places = np.arange(len(errors.patient))
        figures[part] = with_bootstrap(partial(_mean, errors.whole), errors.patient, places)
        figures[f"{part}_inside"] = with_bootstrap(partial(_mean, errors.inside), errors.patient, places)
    return figures


if __name__ == "__main__":
    evaluate(stage_arguments(__doc__, run=True, variant=True).run)
