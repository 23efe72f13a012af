"""Writes a bundle's networks into a study, to measure, attack or harden them without hours of training.

It replaces the training stages of the workflow and is not a rule of it.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from SegQualityQCLib.bundles.bundle import ModelBundle
from SegQualityQCLib.bundles.catalogue import models_folder
from SegQualityQCLib.errors import InputError
from SegQualityQCLib.estimators.networks.architectures import PixelRegNet
from SegQualityQCLib.estimators.networks.rec_reg import RecRegEstimator
from SegQualityQCLib.estimators.networks.settings import NetworkSettings
from SegQualityQCLib.estimators.registry import settings_of

from ..data.split import SHIPPED_SPLIT, read_split
from ..export.bundling import load_networks
from ..study.artifacts import read_json, save_weights
from ..study.configuration import Study
from ..study.paths import rec_net_file
from ..study.run import Run
from ..study.stage_arguments import stage_arguments
from .batch_norm import unfolded
from .reg_net import TRAINED, RegTraining, augmented_pairs
from .reg_net_data import BalancedSample, training_data


def restore(run: Run, source: Path) -> None:
    """Write a bundle's networks as the training of a run would: reg_net.pt, trained.pt, and a REC-Net's rec_net.pt.

    Args:
        run: The run, for example a hardened one; the study's windows and candidates have been made.
        source: Folder of the bundle.

    Raises:
        InputError: The bundle is of another method, has networks of other sizes than the study, or is one of the
            bundled ones and knows patients that the study tests on.
        BundleError: The bundle is not sound.
    """
    bundle = ModelBundle.load(source)
    _check_networks(run, bundle)
    _check_split(run.study, bundle)
    estimator = load_networks(source)
    rec_net = None
    if isinstance(estimator, RecRegEstimator):
        rec_net = estimator.rec_net
        path = rec_net_file(run.study, run.structure)
        path.parent.mkdir(parents=True, exist_ok=True)
        save_weights(rec_net, path)
    run.folder.mkdir(parents=True, exist_ok=True)
    network: nn.Module = estimator.reg_net
    save_weights(network, run.weights)
    if isinstance(network, PixelRegNet):
        torch.manual_seed(run.seed)
        data = training_data(run.study, run.structure)
        module = RegTraining(run.study, data.windows, run.structure.label, data.pools, rec_net, run.image_smoothing)
        sample = BalancedSample(run.study, data.pools, data.train, run.seed)
        network = unfolded(network, augmented_pairs(module, sample))
    save_weights(network, run.folder / TRAINED)


def _check_networks(run: Run, bundle: ModelBundle) -> None:
    settings = settings_of(bundle)
    found = isinstance(settings, NetworkSettings) and (settings.networks["reg_net"], settings.image_smoothing)
    if bundle.header.family != run.method or found != (run.study.reg_network, run.image_smoothing):
        raise InputError(
            f"The model {bundle.name} is not a {run.method} model with the networks of the study {run.study.name}: "
            "name another bundle, or copy its sizes into the section reg_network of the configuration, and its "
            "image_smoothing into the section hardening."
        )


def _check_split(study: Study, bundle: ModelBundle) -> None:
    """The training patients are known of the bundled models only."""
    if study.data.layout != "acdc" or bundle.folder.resolve().parent != models_folder().resolve():
        return
    mine, shipped = read_split(study), read_json(SHIPPED_SPLIT)
    trained = set(shipped["train"])
    known = set(mine["validation"]) & trained | set(mine["test"]) & (trained | set(shipped["validation"]))
    if known:
        raise InputError(
            f"The model {bundle.name} was trained on patients that the study {study.name} holds out: "
            f"{', '.join(sorted(known))}. Add split: training/configs/{SHIPPED_SPLIT.name} to its configuration, and "
            "prepare it again."
        )


if __name__ == "__main__":
    arguments = stage_arguments(__doc__, run=True, variant=True, bundle=Path)
    restore(arguments.run, arguments.bundle)
