"""A run's model while it is being measured: a bundle in the folder of the stage that measures it."""

from __future__ import annotations

from typing import Any

from SegQualityQCLib.estimators.networks.network_estimator import DirectEstimator

from ..export.bundling import load_networks, write_bundle
from ..study.run import Run

_VERSION = "0.0.0"  # not a version that is ever exported


def provisional_model(run: Run, stage: str, calibrated: dict[str, Any], *, card: str) -> DirectEstimator:
    """Write a run's bundle without an evaluation, and load it as the clinic would.

    Args:
        run: The trained run.
        stage: Folder of the stage, ``calibration`` or ``evaluation``.
        calibrated: ``calibration`` and ``familiarity`` of the bundle.
        card: Its model card.
    """
    folder = run.stage_file(stage, "")
    folder.parent.mkdir(parents=True, exist_ok=True)
    write_bundle(folder, run, version=_VERSION, **calibrated, evaluation={}, card=card)
    return load_networks(folder)


def evaluated_model(run: Run) -> DirectEstimator:
    """The model that training.evaluation.evaluate measured."""
    return load_networks(run.stage_file("evaluation", ""))
