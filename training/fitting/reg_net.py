"""Stage 4: train REG-Net to predict Dice from the difference image and the mask, or from the image and the mask."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import lightning.pytorch as lightning
import numpy as np
import torch
from monai.losses import DiceCELoss
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import smooth_l1_loss
from torch.utils.data import DataLoader, Dataset, TensorDataset

from SegQualityQCLib.errors import InputError
from SegQualityQCLib.estimators.networks.architectures import PixelRegNet, RecNet, blurred, difference, reg_network

from ..candidates.pool import Pool, net_pool, perturbed_pool
from ..data.augmentation import Augmentation, crop
from ..data.split import read_split
from ..data.windows import Windows
from ..metrics.dice import dice_of
from ..study.artifacts import save_weights, write_json
from ..study.configuration import KINDS, Structure, Study, Variant
from ..study.paths import run_name
from ..study.stage_arguments import stage_arguments
from .batch_norm import folded, measure_again, with_batch_norm
from .trainer import fit, one_cycle

TRAINED = "trained.pt"  # weights as they were trained; reg_net.pt holds them as they are used
_NETS, _PERTURBED = 0, 1
_MORE = (
    "train the U-nets with other read-outs, or leave them out of the training samples by perturbed: 1.0 in sampling",
    "raise variants in sampling, or leave perturbed masks out of the training samples by perturbed: 0.0",
)
# Candidates centre the window, so that it lies off the structure where they are wrong; scanners vary more than ACDC's.
AUGMENTATION = Augmentation(shift=8.0, far_shifts=0.1, stretch=0.1, bias=0.25, noise=0.06)
_NORMALISATION_BATCHES = 50  # that the statistics of the normalisation are measured on
_DICE_WEIGHT = 4.0  # against the loss of the pixels
_SPREAD_WEIGHT = 0.02  # low, for the clipping of gradients goes by all of them together


class BalancedSample(Dataset):
    """Training triples (pool, source, row), balanced over the bins of Dice; drawn anew for each epoch."""

    def __init__(self, study: Study, pools: tuple[Pool, Pool], rows: NDArray[np.int64], seed: int) -> None:
        self.study = study
        self.pools = pools
        self.rows = rows
        self.seed = seed
        self.triples = self._draw(epoch=0)

    def redraw(self, epoch: int) -> None:
        """Draw anew, where the study wants a fresh sample each epoch; a training that goes on gets other samples."""
        if self.study.sampling.fresh:
            self.triples = self._draw(epoch)

    def _draw(self, epoch: int) -> NDArray[np.int64]:
        sampling = self.study.sampling
        rng = np.random.default_rng([self.seed, epoch])
        perturbed = round(sampling.train * sampling.perturbed)
        parts = []
        for pool, count in ((_NETS, sampling.train - perturbed), (_PERTURBED, perturbed)):
            if count:
                pairs = self.pools[pool].draw(self.rows, count, rng, repeat=sampling.fresh, every_bin=_MORE[pool])
                parts.append(np.column_stack([np.full(len(pairs), pool), pairs]))
        return rng.permutation(np.concatenate(parts))

    def __len__(self) -> int:
        return len(self.triples)

    def __getitem__(self, place: int) -> Tensor:
        return torch.from_numpy(self.triples[place])


class RegTraining(lightning.LightningModule):
    """REG-Net with its loss; REC-Net, where there is one, stays frozen. Batches are triples (pool, source, row).

    All networks see the image blurred by a Gaussian of ``image_smoothing`` pixels; 0 for none.
    """

    def __init__(
        self,
        study: Study,
        windows: Windows,
        label: int,
        pools: tuple[Pool, Pool],
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
        self.network = network.to(memory_format=torch.channels_last)
        self.frozen = [rec_net]  # in a list: neither trained, averaged nor checkpointed
        self.image_smoothing = image_smoothing
        self.pixel_loss = DiceCELoss(sigmoid=True)

    def batch(self, triples: Tensor, augmentation: Augmentation | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Images, candidate masks, reference masks, and the Dice of the two masks within the window."""
        triples = triples.cpu().numpy()
        rows = triples[:, 2]
        drawn = np.stack([self.pools[pool].masks[source, row] for pool, source, row in triples])
        centres = np.stack([self.pools[pool].centres[source, row] for pool, source, row in triples])
        labels = torch.from_numpy(np.stack([drawn, self.reference[rows]], axis=1))
        image, cut = crop(
            torch.from_numpy(self.windows.image[rows]),
            labels,
            torch.from_numpy(centres),
            self.study.window_size,
            augmentation,
        )
        mask, reference = cut[:, :1], cut[:, 1:]
        dice = dice_of(mask, reference)
        move = {"device": self.device, "memory_format": torch.channels_last}
        return image.to(**move), mask.to(**move), reference.to(**move), dice.to(self.device)

    def first_channel(self, image: Tensor, mask: Tensor) -> Tensor:
        """What REG-Net sees beside the mask: D, or I without a REC-Net."""
        image = blurred(image, self.image_smoothing)
        rec_net = self.frozen[0]
        return image if rec_net is None else difference(image, mask, rec_net.to(self.device))

    @torch.no_grad()
    def pair(self, image: Tensor, mask: Tensor) -> Tensor:
        """What REG-Net sees: (D, S), or (I, S) without a REC-Net."""
        first = self.first_channel(image, mask)
        return torch.cat([first, mask.to(first.dtype)], dim=1)

    def training_step(self, batch: Tensor) -> Tensor:
        """The loss on an augmented batch."""
        loss, error = self.loss(*self.batch(batch, AUGMENTATION))
        self.log("train_mae", error.mean(), on_epoch=True, on_step=False, prog_bar=True)
        return loss

    def loss(self, image: Tensor, mask: Tensor, reference: Tensor, dice: Tensor) -> tuple[Tensor, Tensor]:
        """What is minimised, and the absolute error of each slice.

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

    def validation_step(self, batch: list[Tensor], _: int, dataloader_idx: int) -> None:
        """Mean absolute error on candidates of the U-nets, then on perturbed masks, of validation patients."""
        image, mask, _, dice = self.batch(batch[0], None)
        predicted, _ = self.network(self.pair(image, mask))
        error = (predicted.float() - dice).abs().mean()
        name = ("val_mae", "val_mae_perturbed")[dataloader_idx]
        self.log(name, error, prog_bar=True, add_dataloader_idx=False, batch_size=len(image))

    def configure_optimizers(self) -> dict:
        """Adam, one-cycle."""
        return one_cycle(self, self.study.reg_net)

    def on_train_epoch_start(self) -> None:
        """A fresh sample."""
        self.trainer.train_dataloader.dataset.redraw(self.current_epoch)


def train_reg_net(
    study: Study, structure: Structure, kind: str, seed: int, *, variant: Variant | None = None, devices: str = "1"
) -> None:
    """Train a REG-Net; write reg_net.pt and its validation figures.

    Args:
        study: The study.
        structure: What the masks show.
        kind: ``rec-reg`` or ``direct``.
        seed: Of weights, sampling and augmentation.
        variant: Another way of training, for the ablation table.
        devices: Number of GPUs, or of processes on a CPU.
    """
    if kind not in KINDS:
        raise InputError(f"The kind {kind!r} is not known: use {' or '.join(KINDS)}.")
    torch.manual_seed(seed)
    if variant is not None:
        study = variant.of(study)
    windows = Windows.of(study)
    split = read_split(study)
    pools = (
        net_pool(study, structure, windows),
        perturbed_pool(study, structure, windows, variant.without if variant else None),
    )
    rec_net = frozen_rec_net(study, structure) if kind == "rec-reg" else None
    validation = validation_loaders(study, pools, windows.rows_of(split["validation"]))
    folder = study.folder / run_name(kind, structure, seed, variant)
    weights, cycles = None, study.reg_net_epochs(structure, kind, variant)
    if structure.warm_start is not None:
        weights = study.folder / run_name(kind, study.structure(structure.warm_start), seed) / TRAINED
    if variant is not None and study.ablation.epochs:
        study = replace(study, reg_net=replace(study.reg_net, averaging=0.0))  # it would remember the first weights
    module = RegTraining(study, windows, structure.label, pools, rec_net)
    for cycle, epochs in enumerate(cycles):
        result = folder / f"cycle{cycle}" / TRAINED
        if weights is not None:
            module.network.load_state_dict(torch.load(weights, weights_only=True))
        if not result.is_file():  # an interrupted run goes on with the cycle it was in
            torch.manual_seed(seed + 1000 * cycle)  # also where an interrupted run begins with a later cycle
            sample = BalancedSample(study, pools, windows.rows_of(split["train"]), seed + 1000 * cycle)
            fit(
                module,
                DataLoader(sample, study.reg_net.batch_size, shuffle=True, drop_last=True),
                validation,
                folder=result.parent,
                epochs=epochs,
                precision=study.precision,
                devices=devices,
                averaging=study.reg_net.averaging,
                validate_every=min(5, epochs),
            )
            averaged = study.reg_net.averaging > 0
            finish(module, sample, validation, result.parent, epochs=epochs, averaged=averaged)
        weights = result
    module.network.load_state_dict(torch.load(weights, weights_only=True))
    save_weights(module.network, folder / TRAINED)
    write_folded(module.network, folder)


def finish(
    module: RegTraining,
    sample: BalancedSample,
    validation: list[DataLoader],
    folder: Path,
    *,
    epochs: int,
    averaged: bool,
) -> None:
    """Make a trained network ready for use; write its weights and its validation figures.

    Where its weights are an average of several, the statistics of its normalisation are measured first.
    """
    if averaged:
        measure_again(module.network, augmented_pairs(module, sample))
    judge = lightning.Trainer(
        accelerator="auto", devices=1, logger=False, enable_checkpointing=False, enable_model_summary=False
    )
    figures = {"epochs": epochs}
    for part in judge.validate(module, validation, verbose=False):  # one for each pool that holds anything
        figures |= part
    write_json(folder / "figures.json", figures, indent=2)
    save_weights(module.network, folder / TRAINED)


def augmented_pairs(module: RegTraining, sample: BalancedSample) -> Iterator[Tensor]:
    """Batches of what REG-Net sees in training, enough of them to measure the statistics of its normalisation."""
    for batch in itertools.islice(DataLoader(sample, 32, shuffle=True), _NORMALISATION_BATCHES):
        yield module.pair(*module.batch(batch, AUGMENTATION)[:2])


def write_folded(network: torch.nn.Module, folder: Path) -> None:
    """Write reg_net.pt: the network as it is used, with the normalisation folded in."""
    save_weights(folded(network), folder / "reg_net.pt")


def frozen_rec_net(study: Study, structure: Structure) -> RecNet:
    """The structure's trained REC-Net."""
    rec_net = RecNet(study.rec_filters).eval().requires_grad_(False).to(memory_format=torch.channels_last)
    rec_net.load_state_dict(torch.load(study.folder / f"rec-{structure.key}" / "rec_net.pt", weights_only=True))
    return rec_net


def validation_loaders(study: Study, pools: tuple[Pool, Pool], rows: NDArray[np.int64]) -> list[DataLoader]:
    """The same balanced triples of each pool for every net of a study."""
    rng = np.random.default_rng(study.split_seed)
    loaders = []
    for number, pool in enumerate(pools):
        pairs = pool.draw(rows, study.sampling.validation, rng)
        triples = torch.from_numpy(np.column_stack([np.full(len(pairs), number), pairs]))
        loaders.append(DataLoader(TensorDataset(triples), 64))
    return loaders


if __name__ == "__main__":
    arguments = stage_arguments(__doc__, structure=True, variant=True, devices=True, kind=str, seed=int)
    train_reg_net(
        arguments.study,
        arguments.structure,
        arguments.kind,
        arguments.seed,
        variant=arguments.variant,
        devices=arguments.devices,
    )
