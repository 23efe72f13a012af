"""Stage 2: U-nets of several sizes, after several numbers of epochs, draw the candidates."""

from __future__ import annotations

import shutil
from pathlib import Path

import lightning.pytorch as lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from monai.losses import DiceCELoss
from monai.networks.nets import UNet
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

from ..data.augmentation import Augmentation, crop
from ..data.split import read_split
from ..data.windows import Windows
from ..study.artifacts import write_arrays
from ..study.configuration import Fit, Study
from ..study.paths import candidate_file
from ..study.stage_arguments import stage_arguments
from .memory_layout import channels_last
from .trainer import fit, one_cycle

_BATCH = 64  # windows that are drawn on together


class CandidateTraining(lightning.LightningModule):
    """A multi-class network, so that one training serves all structures; batches are row numbers of the windows.

    Args:
        study: The study.
        windows: Its cache.
        network: The network: images of shape (n, 1, side, side) to logits of shape (n, classes, side, side).
        settings: How it is trained.
        augmentation: How the training crops vary.
    """

    def __init__(
        self, study: Study, windows: Windows, network: nn.Module, settings: Fit, augmentation: Augmentation
    ) -> None:
        super().__init__()
        self.study = study
        self.settings = settings
        self.augmentation = augmentation
        self.image = torch.from_numpy(windows.image)
        self.labels = torch.from_numpy(windows.labels)
        self.centre = torch.full((2,), (windows.image.shape[1] - 1) / 2)
        self.network = channels_last(network)
        self.loss = DiceCELoss(to_onehot_y=True, softmax=True)

    def training_step(self, batch: list[Tensor]) -> Tensor:
        """Dice and cross-entropy against the reference."""
        rows = batch[0].cpu()
        image, labels = crop(
            self.image[rows],
            self.labels[rows][:, None],
            self.centre.expand(len(rows), 2),
            self.study.window_size,
            self.augmentation,
        )
        loss = self.loss(self.network(image.to(self.device, memory_format=torch.channels_last)), labels.to(self.device))
        self.log("train_loss", loss, on_epoch=True, on_step=False, prog_bar=True)
        return loss

    def candidates(self) -> dict[str, NDArray]:
        """What the candidate file of a read-out holds."""
        return {"labels": self.draw()}

    @torch.inference_mode()
    def draw(self) -> NDArray[np.uint8]:
        """The labels this net draws on every window, shape (n, side, side).

        Nothing is kept outside the inner window: the net was trained on crops of that size around the heart.
        """
        self.eval()
        drawn = np.zeros(self.labels.shape, np.uint8)
        for first in range(0, len(drawn), _BATCH):
            part = self.image[first : first + _BATCH, None].float()
            logits = self.network(part.to(self.device, memory_format=torch.channels_last))
            drawn[first : first + _BATCH] = logits.argmax(dim=1).to(torch.uint8).cpu().numpy()
        self.train()
        inner = slice(self.study.margin, self.study.margin + self.study.window_size)
        kept = np.zeros_like(drawn)
        kept[:, inner, inner] = drawn[:, inner, inner]
        return kept

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Adam, one-cycle."""
        return one_cycle(self, self.settings)


class ReadOut(Callback):
    """Keeps what the net draws after the epochs that the study names.

    Args:
        files: The file of each of these epochs.
    """

    def __init__(self, files: dict[int, Path]) -> None:
        self.files = files

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Draw on every window where this epoch is one of them."""
        epoch = trainer.current_epoch + 1
        if epoch in self.files and trainer.is_global_zero and isinstance(pl_module, CandidateTraining):
            write_arrays(self.files[epoch], pl_module.candidates())


def train_candidate_net(study: Study, depth: int, filters: int, devices: str = "1") -> None:
    """Train one U-net on the training patients and keep its read-outs on all patients."""
    torch.manual_seed(study.seeds[0] + 1000 * depth + filters)
    windows = Windows.of(study)
    nets = study.candidate_nets
    channels = [filters * 2**level for level in range(depth)]
    network = UNet(2, 1, int(windows.labels.max()) + 1, channels=channels, strides=[2] * (depth - 1))
    settings = Fit(nets.readouts[-1], nets.learning_rate, nets.batch_size)
    train_and_read_out(
        CandidateTraining(study, windows, network, settings, Augmentation(rotation=20.0)),
        windows.rows_of(read_split(study)["train"]),
        folder=study.folder / "candidates" / f"depth{depth}-filters{filters}",
        files={epoch: candidate_file(study, depth, filters, epoch) for epoch in nets.readouts},
        devices=devices,
    )


def train_and_read_out(
    module: CandidateTraining,
    rows: NDArray[np.int64],
    *,
    folder: Path,
    files: dict[int, Path],
    slices: int | None = None,
    devices: str = "1",
) -> None:
    """Train a network, or go on with its last checkpoint, and keep its read-outs.

    Args:
        module: The network with its loss.
        rows: Slices that it is trained on, shape (n,).
        folder: Where checkpoints and logs are kept.
        files: The candidate file of each read-out epoch.
        slices: Slices of an epoch, drawn at random; ``None`` takes all.
        devices: Number of GPUs, or of processes on a CPU.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Beside the checkpoint, since Snakemake removes the results of a rule that was interrupted.
    drawn = {epoch: folder / f"epoch{epoch:03d}.npz" for epoch in files}
    _forget_run_without_readouts(folder, drawn)
    known = TensorDataset(torch.from_numpy(rows))
    sampler = RandomSampler(known, num_samples=min(slices, len(rows)) if slices else None)
    trainer = fit(
        module,
        DataLoader(known, module.settings.batch_size, sampler=sampler),
        None,
        folder=folder,
        epochs=module.settings.epochs,
        precision=module.study.precision,
        devices=devices,
        callbacks=(ReadOut(drawn),),
    )
    if trainer.is_global_zero:
        for epoch, path in drawn.items():
            with np.load(path) as stored:
                write_arrays(files[epoch], dict(stored))


def _forget_run_without_readouts(folder: Path, files: dict[int, Path]) -> None:
    """Begin anew where the checkpoint is past a read-out that is not there."""
    last = folder / "last.ckpt"
    if not last.is_file():
        return
    done = torch.load(last, map_location="cpu", weights_only=False)["epoch"] + 1
    if not all(path.is_file() for epoch, path in files.items() if epoch <= done):
        shutil.rmtree(folder)


if __name__ == "__main__":
    arguments = stage_arguments(__doc__, devices=True, depth=int, filters=int)
    train_candidate_net(arguments.study, arguments.depth, arguments.filters, arguments.devices)
