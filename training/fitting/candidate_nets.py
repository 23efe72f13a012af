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
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

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
    """A multi-class U-net, so that one training serves all structures; batches are row numbers of the windows.

    Args:
        study: The study.
        windows: Its cache.
        depth: Levels of the U-net.
        filters: Filters of the first level.
    """

    def __init__(self, study: Study, windows: Windows, depth: int, filters: int) -> None:
        super().__init__()
        self.study = study
        self.image = torch.from_numpy(windows.image)
        self.labels = torch.from_numpy(windows.labels)
        self.centre = torch.full((2,), (windows.image.shape[1] - 1) / 2)
        classes = int(windows.labels.max()) + 1
        channels = [filters * 2**level for level in range(depth)]
        self.network = channels_last(UNet(2, 1, classes, channels=channels, strides=[2] * (depth - 1)))
        self.loss = DiceCELoss(to_onehot_y=True, softmax=True)

    def training_step(self, batch: list[Tensor]) -> Tensor:
        """Dice and cross-entropy against the reference."""
        rows = batch[0].cpu()
        image, labels = crop(
            self.image[rows],
            self.labels[rows][:, None],
            self.centre.expand(len(rows), 2),
            self.study.window_size,
            Augmentation(rotation=20.0),
        )
        loss = self.loss(self.network(image.to(self.device, memory_format=torch.channels_last)), labels.to(self.device))
        self.log("train_loss", loss, on_epoch=True, on_step=False, prog_bar=True)
        return loss

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
        settings = self.study.candidate_nets
        return one_cycle(self, Fit(settings.readouts[-1], settings.learning_rate))


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
            write_arrays(self.files[epoch], {"labels": pl_module.draw()})


def train_candidate_net(study: Study, depth: int, filters: int, devices: str = "1") -> None:
    """Train one U-net on the training patients and keep its read-outs on all patients."""
    torch.manual_seed(study.seeds[0] + 1000 * depth + filters)
    windows = Windows.of(study)
    split = read_split(study)
    rows = torch.from_numpy(windows.rows_of(split["train"]))
    settings = study.candidate_nets
    folder = study.folder / "candidates" / f"depth{depth}-filters{filters}"
    folder.mkdir(parents=True, exist_ok=True)
    # Beside the checkpoint, since Snakemake removes the results of a rule that was interrupted.
    drawn = {epoch: folder / f"epoch{epoch:03d}.npz" for epoch in settings.readouts}
    _forget_run_without_readouts(folder, drawn)
    trainer = fit(
        CandidateTraining(study, windows, depth, filters),
        DataLoader(TensorDataset(rows), settings.batch_size, shuffle=True),
        None,
        folder=folder,
        epochs=settings.readouts[-1],
        precision=study.precision,
        devices=devices,
        callbacks=(ReadOut(drawn),),
    )
    if trainer.is_global_zero:
        for epoch, path in drawn.items():
            with np.load(path) as stored:
                write_arrays(candidate_file(study, depth, filters, epoch), dict(stored))


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
