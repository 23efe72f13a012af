"""Puts a bundle's networks where training would have, to measure, attack or harden them without hours of training.

Not a rule of the workflow: it takes the place of its training stages for who has the bundles.
"""

from __future__ import annotations

from pathlib import Path

import torch

from SegQualityQCLib.bundles.bundle import ModelBundle
from SegQualityQCLib.bundles.catalogue import models_folder
from SegQualityQCLib.errors import InputError
from SegQualityQCLib.estimators.loading import load_estimator
from SegQualityQCLib.estimators.networks.architectures import PixelRegNet
from SegQualityQCLib.estimators.networks.network_estimator import RecRegEstimator

from ..candidates.pool import net_pool, perturbed_pool
from ..data.split import SHIPPED_SPLIT, read_split
from ..data.windows import Windows
from ..study.artifacts import read_json, save_weights
from ..study.configuration import Structure, Study, Variant
from ..study.paths import run_name
from ..study.stage_arguments import stage_arguments
from .batch_norm import unfolded
from .reg_net import TRAINED, BalancedSample, RegTraining, augmented_pairs


def restore(
    study: Study, structure: Structure, kind: str, seed: int, source: Path, variant: Variant | None = None
) -> None:
    """Write reg_net.pt and trained.pt of a bundle's REG-Net, and its REC-Net where it has one, into the study's runs.

    Args:
        study: The study; its windows and candidates have been made.
        structure: What the masks show.
        kind: ``rec-reg`` or ``direct``.
        seed: The run that the networks are taken for.
        source: Folder of the bundle.
        variant: The variant of the run, for example the hardened one.

    Raises:
        InputError: The bundle is unsound, of another kind, has networks of other sizes than the study, or is one of the
            bundled ones and knows patients that the study tests on.
    """
    bundle = ModelBundle.load(source)
    smoothing = study.image_smoothing(kind, variant)
    quality = bundle.quality
    found = (quality["estimator"], quality["networks"]["reg_net"], quality.get("image_smoothing", 0))
    if found != (kind, study.reg_network, smoothing):
        raise InputError(
            f"The model {bundle.name} is no {kind} with the networks of the study {study.name}: name another bundle, "
            "or copy its sizes into the section reg_network of the configuration, and its image_smoothing into the "
            "section hardening."
        )
    _check_split(study, bundle)
    estimator = load_estimator(bundle, "cpu")
    rec_net = None
    if isinstance(estimator, RecRegEstimator):
        rec_net = estimator.rec_net
        folder = study.folder / f"rec-{structure.key}"
        folder.mkdir(parents=True, exist_ok=True)
        save_weights(rec_net, folder / "rec_net.pt")
    folder = study.folder / run_name(kind, structure, seed, variant)
    folder.mkdir(parents=True, exist_ok=True)
    network = estimator.reg_net
    save_weights(network, folder / "reg_net.pt")
    if isinstance(network, PixelRegNet):
        torch.manual_seed(seed)
        windows = Windows.of(study)
        split = read_split(study)
        pools = (net_pool(study, structure, windows), perturbed_pool(study, structure, windows))
        module = RegTraining(study, windows, structure.label, pools, rec_net, smoothing)
        sample = BalancedSample(study, pools, windows.rows_of(split["train"]), seed)
        network = unfolded(network, augmented_pairs(module, sample))
    save_weights(network, folder / TRAINED)


def _check_split(study: Study, bundle: ModelBundle) -> None:
    """Of a bundled model it is known which patients its training saw; of others it is not."""
    if study.data.layout != "acdc" or bundle.folder.resolve().parent != models_folder().resolve():
        return
    mine, shipped = read_split(study), read_json(SHIPPED_SPLIT)
    trained = set(shipped["train"])
    known = set(mine["validation"]) & trained | set(mine["test"]) & (trained | set(shipped["validation"]))
    if known:
        raise InputError(
            f"The model {bundle.name} was trained on patients that the study {study.name} holds out: "
            f"{', '.join(sorted(known))}. Add split: training/configs/{SHIPPED_SPLIT.name} to its configuration, and "
            "prepare it anew."
        )


if __name__ == "__main__":
    arguments = stage_arguments(__doc__, structure=True, variant=True, kind=str, seed=int, bundle=Path)
    restore(arguments.study, arguments.structure, arguments.kind, arguments.seed, arguments.bundle, arguments.variant)
