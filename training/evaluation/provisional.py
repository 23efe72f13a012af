"""A run's model while it is being measured: a bundle in the folder of the stage that measures it."""

from __future__ import annotations

from SegQualityQCLib.estimators.distribution_check import ImageDistribution
from SegQualityQCLib.estimators.networks.network_estimator import NetworkEstimator
from SegQualityQCLib.report.calibration import Calibration

from ..export.bundling import load_networks, write_bundle
from ..study.run import Run

_VERSION = "0.0.0"  # not a version that is ever exported


def provisional_model(
    run: Run, stage: str, calibration: Calibration, distribution: ImageDistribution, *, card: str
) -> NetworkEstimator:
    """Write a run's bundle without an evaluation, and load it as the clinic would.

    Args:
        run: The trained run.
        stage: Folder of the stage, ``calibration`` or ``evaluation``.
        calibration: The tables of the intervals.
        distribution: The training images, for the distribution check.
        card: Its model card.
    """
    folder = run.stage_file(stage, "")
    folder.parent.mkdir(parents=True, exist_ok=True)
    write_bundle(
        folder,
        run,
        version=_VERSION,
        calibration=calibration,
        distribution=distribution,
        evaluation={},
        card=card,
    )
    return load_networks(folder)


def evaluated_model(run: Run) -> NetworkEstimator:
    """The model that training.evaluation.evaluate measured."""
    return load_networks(run.stage_file("evaluation", ""))
