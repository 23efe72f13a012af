"""A run's model while it is being measured: a bundle in the folder of the stage that measures it."""

from __future__ import annotations

from pathlib import Path

from SegQualityQCLib.errors import InputError
from SegQualityQCLib.estimators.distribution_check import ImageDistribution
from SegQualityQCLib.estimators.networks.network_estimator import NetworkEstimator
from SegQualityQCLib.report.calibration import Calibration

from ..export.bundling import load_networks, write_bundle
from ..study.artifacts import read_json
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


def read_calibrated(path: Path) -> tuple[Calibration, ImageDistribution]:
    """What training.evaluation.calibrate wrote about a model: its intervals and its training images.

    Raises:
        InputError: It is missing or damaged.
    """
    content = read_json(path)
    try:
        return Calibration.from_dict(content["calibration"]), ImageDistribution.from_dict(content["familiarity"])
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(f"The calibration {path} is damaged: run training.evaluation.calibrate again.") from error


def evaluated_model(run: Run) -> NetworkEstimator:
    """The model that training.evaluation.evaluate measured."""
    return load_networks(run.stage_file("evaluation", ""))
