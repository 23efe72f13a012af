"""Writes a run's model as a bundle, whole or not at all, and loads it as an estimator."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import torch

from SegQualityQCLib.bundles.bundle import ModelBundle
from SegQualityQCLib.bundles.header import BundleHeader, Evaluation, TrainedTarget
from SegQualityQCLib.case.terminology import Target
from SegQualityQCLib.errors import InputError
from SegQualityQCLib.estimators.distribution_check import ImageDistribution
from SegQualityQCLib.estimators.loading import load_estimator
from SegQualityQCLib.estimators.networks.network_estimator import NetworkEstimator
from SegQualityQCLib.estimators.networks.settings import NetworkSettings
from SegQualityQCLib.estimators.registry import FAMILIES
from SegQualityQCLib.report.calibration import Calibration, IntervalTable
from SegQualityQCLib.storage.atomic_files import replaced_folder, write_text_atomically

from ..study.artifacts import read_json, save_tensors
from ..study.paths import rec_net_file
from ..study.run import Run
from .provenance import Provenance, provenance_of

NO_INTERVAL = IntervalTable((0.0, 1.0), (-1.0,), (1.0,))


def write_bundle(
    folder: Path,
    run: Run,
    *,
    version: str,
    calibration: Calibration,
    distribution: ImageDistribution,
    evaluation: dict[str, float],
    card: str,
) -> None:
    """Write the bundle of a trained run; a fault leaves the bundle that was in its place.

    Args:
        folder: The bundle's folder.
        run: The run that trained the networks.
        version: Version of the bundle.
        calibration: The tables of the intervals.
        distribution: The training images, for the distribution check.
        evaluation: Figures on the test patients; empty while the model is being measured.
        card: The model card in Markdown.

    Raises:
        ReportError: A file cannot be written.
    """
    provenance = provenance_of(*run.study.sources)
    with replaced_folder(folder) as partial:
        for part in ("configs", "models", "docs"):
            (partial / part).mkdir()
        checksums = _write_weights(run, partial)
        header = BundleHeader(
            name=run.bundle_name,
            version=version,
            description=f"Predicts the Dice of a candidate segmentation of the {run.structure.name}, slice by slice.",
            license=provenance.licence,
            family=run.method,
            targets=(_target(run, calibration, evaluation),),
            checksums=checksums,
            block=_settings(run, distribution).to_block(),
            modality=run.study.data.modality,
            further=_monai_fields(run, provenance),
        )
        text = json.dumps(header.to_metadata(), indent=1, allow_nan=False) + "\n"
        write_text_atomically(partial / "configs" / "metadata.json", text)
        write_text_atomically(partial / "docs" / "README.md", card)
        write_text_atomically(partial / "LICENSE", provenance.licence_text)


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


def load_networks(bundle: Path) -> NetworkEstimator:
    """The estimator of a bundle on the CPU.

    Raises:
        BundleError: The bundle is not sound.
        InputError: Its estimator does not run networks of this project.
    """
    estimator = load_estimator(ModelBundle.load(bundle), "cpu")
    if not isinstance(estimator, NetworkEstimator):
        raise InputError(f"The model {estimator.bundle.name} does not have networks that training can measure.")
    return estimator


def _write_weights(run: Run, folder: Path) -> dict[str, str]:
    """Write the weight files of a run's networks into a bundle's folder; gives the SHA-256 of each."""
    settings = _settings_class(run)
    trained = {"reg_net": run.weights, "rec_net": rec_net_file(run.study, run.structure)}
    files = {settings.weight_file(name): trained[name] for name in settings.NETWORKS}
    for file, source in files.items():
        if len(files) > 1:  # two networks stay below 5 MB together with half the digits
            weights = torch.load(source, weights_only=True)
            save_tensors({key: value.half() for key, value in weights.items()}, folder / file)
        else:
            shutil.copyfile(source, folder / file)
    return {file: hashlib.sha256((folder / file).read_bytes()).hexdigest() for file in sorted(files)}


def _settings_class(run: Run) -> type[NetworkSettings]:
    """The settings class of the run's method, which says which networks it has."""
    settings = FAMILIES[run.method].settings_class()
    if not issubclass(settings, NetworkSettings):
        raise InputError(f"The method {run.method} does not have networks that training can export.")
    return settings


def _target(run: Run, calibration: Calibration, evaluation: dict[str, float]) -> TrainedTarget:
    structure = run.structure
    code, meaning = structure.snomed
    return TrainedTarget(
        Target(structure.name, code, tuple(structure.aliases)),
        calibration,
        Evaluation(run.study.name, evaluation),
        snomed_meaning=meaning,
        label=structure.label,
    )


def _settings(run: Run, distribution: ImageDistribution) -> NetworkSettings:
    """What the networks see and how large they are."""
    settings = _settings_class(run)
    sizes = {"reg_net": run.varied_study.reg_network, "rec_net": {"filters": list(run.study.rec_filters)}}
    return settings(
        size=run.study.window_size,
        spacing_mm=run.study.window_spacing_mm,
        networks={name: sizes[name] for name in settings.NETWORKS},
        distribution=distribution,
        image_smoothing=run.image_smoothing,
    )


def _monai_fields(run: Run, provenance: Provenance) -> dict[str, Any]:
    """The fields that MONAI's bundle format asks for beside those of the header."""
    size = [run.study.window_size, run.study.window_size]
    image = {
        "type": "image",
        "format": "magnitude",
        "modality": run.study.data.modality,
        "num_channels": 1,
        "spatial_shape": size,
        "dtype": "float32",
        "value_range": [-1, 1],
    }
    mask = {
        "type": "image",
        "format": "segmentation",
        "num_channels": 1,
        "spatial_shape": size,
        "dtype": "float32",
        "value_range": [0, 1],
    }
    predicted = {"type": "probabilities", "dtype": "float32", "value_range": [0, 1]}
    return {
        "task": "Segmentation quality: Dice of each slice without a reference",
        "authors": provenance.authors,
        "copyright": provenance.authors,
        "network_data_format": {"inputs": {"image": image, "mask": mask}, "outputs": {"pred": predicted}},
    }
