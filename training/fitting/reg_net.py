"""Stage 4: train REG-Net to predict Dice from the difference image and the mask, or from the image and the mask."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import lightning.pytorch as lightning
import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from monai.losses import DiceCELoss
from torch import Tensor
from torch.nn.functional import smooth_l1_loss
from torch.utils.data import DataLoader

from SegQualityQCLib.estimators.networks.architectures import PixelRegNet, RecNet, blurred, difference, reg_network

from ..candidates.pool import Pool
from ..data.augmentation import Augmentation, crop
from ..data.windows import Windows
from ..metrics.dice import dice_of
from ..study.artifacts import save_weights, write_json
from ..study.configuration import Structure, Study
from ..study.paths import rec_net_file
from ..study.run import Run
from ..study.stage_arguments import stage_arguments
from .batch_norm import folded, measure_again, with_batch_norm
from .memory_layout import channels_last
from .reg_net_data import BalancedSample, TrainingData, training_data
from .trainer import fit, one_cycle

TRAINED = "trained.pt"  # weights as they were trained; reg_net.pt holds them as they are used
# The field of view is centred on the candidate, and so off the structure where that is wrong. Scanners vary more than
# those of ACDC.
AUGMENTATION = Augmentation(shift=8.0, far_shifts=0.1, stretch=0.1, bias=0.25, noise=0.06)
_NORMALISATION_BATCHES = 50  # that the statistics of the normalisation are measured on
_DICE_WEIGHT = 4.0  # against the loss of the pixels
_SPREAD_WEIGHT = 0.02  # low, since gradients are clipped by the norm of all of them together


class RegTraining(lightning.LightningModule):
    """REG-Net with its loss; REC-Net, where there is one, stays frozen. Batches are triples (pool, source, row).

    Args:
        study: The study.
        windows: Its cache.
        label: The structure's value in the reference labelmaps.
        pools: As of :class:`TrainingData`.
        rec_net: The trained REC-Net; ``None`` gives REG-Net the image.
        image_smoothing: Standard deviation in pixels of the Gaussian that blurs the image before the networks see it.
    """

    def __init__(
        self,
        study: Study,
        windows: Windows,
        label: int,
        pools: tuple[Pool, ...],
        rec_net: RecNet | None,
        image_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        self.study = study
        self.windows = windows
        self.reference = windows.labels == label
        self.pools = pools
        network = reg_network(window=study.window_size, **study.reg_network)
        if isinstance(network, PixelRegNet):  # the paper's has no normalisation
            with_batch_norm(network)
        self.network = channels_last(network)
        self.frozen = [rec_net]  # in a list: neither trained, averaged nor checkpointed
        self.image_smoothing = image_smoothing
        self.pixel_loss = DiceCELoss(sigmoid=True)

    def batch(self, triples: Tensor, augmentation: Augmentation | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Images, candidate masks, reference masks, and the Dice of the two masks within the window."""
        numbers = triples.cpu().numpy()
        rows = numbers[:, 2]
        drawn = np.stack([self.pools[pool].masks[source, row] for pool, source, row in numbers])
        centres = np.stack([self.pools[pool].centres[source, row] for pool, source, row in numbers])
        labels = torch.from_numpy(np.stack([drawn, self.reference[rows]], axis=1))
        image, cut = crop(
            torch.from_numpy(self.windows.image[rows]),
            labels,
            torch.from_numpy(centres),
            self.study.window_size,
            augmentation,
        )
        dice = dice_of(cut[:, :1], cut[:, 1:])
        image, mask, reference = (
            part.to(self.device, memory_format=torch.channels_last) for part in (image, cut[:, :1], cut[:, 1:])
        )
        return image, mask, reference, dice.to(self.device)

    def first_channel(self, image: Tensor, mask: Tensor) -> Tensor:
        """What REG-Net sees beside the mask: the difference image, or the image without a REC-Net."""
        image = blurred(image, self.image_smoothing)
        rec_net = self.frozen[0]
        return image if rec_net is None else difference(image, mask, rec_net.to(self.device))

    @torch.no_grad()
    def pair(self, image: Tensor, mask: Tensor) -> Tensor:
        """What REG-Net sees: the first channel and the mask, shape (n, 2, size, size)."""
        first = self.first_channel(image, mask)
        return torch.cat([first, mask.to(first.dtype)], dim=1)

    def training_step(self, batch: Tensor) -> Tensor:
        """The loss on an augmented batch."""
        loss, error = self.loss(*self.batch(batch, AUGMENTATION))
        self.log("train_mae", error.mean(), on_epoch=True, on_step=False, prog_bar=True)
        return loss

    def loss(self, image: Tensor, mask: Tensor, reference: Tensor, dice: Tensor) -> tuple[Tensor, Tensor]:
        """The loss, and the absolute error of each slice.

        Smooth L1 between predicted and true Dice; where the network judges pixels, also the Dice and cross-entropy
        that segmentation networks are trained with, and for the expected error the likelihood of the error under
        Laplace's distribution.
        """
        pair = self.pair(image, mask)
        if not isinstance(self.network, PixelRegNet):
            predicted = torch.sigmoid(self.network.logits(pair).float())
            return smooth_l1_loss(predicted, dice, beta=0.05), (predicted - dice).abs()
        judgement = self.network.judge(pair)
        predicted = torch.sigmoid(judgement.logits)
        error = (predicted - dice).abs()
        pixel_loss = self.pixel_loss(judgement.pixels, reference)
        spread_loss = (error.detach() / judgement.spread + judgement.spread.log()).mean()
        self.log("train_pixels", pixel_loss, on_epoch=True, on_step=False, prog_bar=True)
        self.log("train_spread", spread_loss, on_epoch=True, on_step=False)
        dice_loss = smooth_l1_loss(predicted, dice, beta=0.05)
        return _DICE_WEIGHT * dice_loss + pixel_loss + _SPREAD_WEIGHT * spread_loss, error

    def validation_step(self, batch: list[Tensor], batch_idx: int, dataloader_idx: int) -> None:
        """Mean absolute error on candidates of the U-nets, then on perturbed masks, of validation patients."""
        image, mask, _, dice = self.batch(batch[0], None)
        predicted, _ = self.network(self.pair(image, mask))
        error = (predicted.float() - dice).abs().mean()
        name = ("val_mae", "val_mae_perturbed")[dataloader_idx]
        self.log(name, error, prog_bar=True, add_dataloader_idx=False, batch_size=len(image))

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Adam, one-cycle."""
        return one_cycle(self, self.study.reg_net)

    def on_train_epoch_start(self) -> None:
        """A fresh sample."""
        loader = self.trainer.train_dataloader
        assert loader is not None  # Lightning has it from the start of the training
        loader.dataset.redraw(self.current_epoch)


def train_reg_net(run: Run, *, devices: str = "1") -> None:
    """Train the REG-Net of a run; write reg_net.pt and its validation figures.

    Args:
        run: The run; its variant is one of the ablation table.
        devices: Number of GPUs, or of processes on a CPU.
    """
    torch.manual_seed(run.seed)
    study, structure = run.varied_study, run.structure
    if run.variant is not None and study.ablation.epochs:
        study = replace(study, reg_net=replace(study.reg_net, averaging=0.0))  # it would remember the first weights
    data = training_data(study, structure, without=run.variant.without if run.variant else None)
    rec_net = frozen_rec_net(study, structure) if run.method == "rec-reg" else None
    module = RegTraining(study, data.windows, structure.label, data.pools, rec_net)
    if structure.warm_start is not None:
        start = replace(run, structure=study.structure(structure.warm_start), variant=None).folder / TRAINED
        module.network.load_state_dict(torch.load(start, weights_only=True))
    for cycle, epochs in enumerate(run.epochs):
        result = run.folder / f"cycle{cycle}" / TRAINED
        if not result.is_file():  # an interrupted run goes on with the cycle it was in
            _train_cycle(module, data, result.parent, epochs, seed=run.seed + 1000 * cycle, devices=devices)
        module.network.load_state_dict(torch.load(result, weights_only=True))
    save_weights(module.network, run.folder / TRAINED)
    write_folded(module.network, run.weights)


def _train_cycle(
    module: RegTraining, data: TrainingData, folder: Path, epochs: int, *, seed: int, devices: str
) -> None:
    """Train one cycle of the one-cycle schedule, from the weights that the module has."""
    torch.manual_seed(seed)  # also where an interrupted run begins with a later cycle
    study = module.study
    sample = BalancedSample(study, data.pools, data.train, seed)
    validation = data.validation_loaders()
    fit(
        module,
        DataLoader(sample, study.reg_net.batch_size, shuffle=True, drop_last=True),
        validation,
        folder=folder,
        epochs=epochs,
        precision=study.precision,
        devices=devices,
        averaging=study.reg_net.averaging,
        validate_every=min(5, epochs),
    )
    finish(module, sample, validation, folder, epochs=epochs, averaged=study.reg_net.averaging > 0)


def finish(
    module: RegTraining,
    sample: BalancedSample,
    validation: list[DataLoader[tuple[Tensor, ...]]],
    folder: Path,
    *,
    epochs: int,
    averaged: bool,
) -> None:
    """Make a trained network ready for use; write its weights and its validation figures.

    Args:
        module: The trained network.
        sample: Its training sample.
        validation: Validation triples of each pool.
        folder: Where both are written.
        epochs: Of the training, for the figures.
        averaged: Whether the weights are an average: the statistics of its normalisation are then measured first.
    """
    if averaged:
        measure_again(module.network, augmented_pairs(module, sample))
    judge = lightning.Trainer(
        accelerator="auto", devices=1, logger=False, enable_checkpointing=False, enable_model_summary=False
    )
    figures: dict[str, float] = {"epochs": epochs}
    for part in judge.validate(module, validation, verbose=False):  # one for each pool that holds anything
        figures |= part
    write_json(folder / "figures.json", figures, indent=2)
    save_weights(module.network, folder / TRAINED)


def augmented_pairs(module: RegTraining, sample: BalancedSample) -> Iterator[Tensor]:
    """Batches of what REG-Net sees in training, enough of them to measure the statistics of its normalisation."""
    for batch in itertools.islice(DataLoader(sample, 32, shuffle=True), _NORMALISATION_BATCHES):
        yield module.pair(*module.batch(batch, AUGMENTATION)[:2])


def write_folded(network: torch.nn.Module, path: Path) -> None:
    """Write the network as it is used, with the normalisation folded in."""
    save_weights(folded(network), path)


def frozen_rec_net(study: Study, structure: Structure) -> RecNet:
    """The structure's trained REC-Net."""
    rec_net = channels_last(RecNet(study.rec_filters).eval().requires_grad_(False))
    rec_net.load_state_dict(torch.load(rec_net_file(study, structure), weights_only=True))
    return rec_net


if __name__ == "__main__":
    arguments = stage_arguments(__doc__, run=True, variant=True, devices=True)
    train_reg_net(arguments.run, devices=arguments.devices)
