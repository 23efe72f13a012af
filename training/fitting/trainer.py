"""Trains a module by Lightning: writes a checkpoint every epoch, and resumes from the last one."""

from __future__ import annotations

import platform
import signal
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.utilities.exceptions import SIGTERMException
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch.utils.data import DataLoader

from ..study.configuration import Fit


def fit(
    module: lightning.LightningModule,
    train: DataLoader[Any],
    validation: DataLoader[Any] | list[DataLoader[Any]] | None,
    *,
    folder: Path,
    epochs: int,
    precision: str,
    devices: str = "1",
    averaging: float = 0.0,
    validate_every: int = 1,
    callbacks: tuple[Callback, ...] = (),
) -> lightning.Trainer:
    """Train a module, resuming from the folder's last checkpoint; logs go to TensorBoard and CSV in the folder.

    Args:
        module: The network with its loss.
        train: Batches of the training.
        validation: Batches of the validation, one loader for each figure; ``None`` does not validate.
        folder: Where checkpoints and logs are kept.
        epochs: Of the whole training.
        precision: As Lightning names it; see :func:`usable_precision`.
        devices: Number of GPUs, or of processes on a CPU.
        averaging: Decay of the exponential moving average of the weights; 0 keeps the last weights.
        validate_every: Epochs from one validation to the next; one costs a third of an epoch of REG-Net.
        callbacks: Further callbacks of Lightning.
    """
    last = folder / "last.ckpt"
    # By default Lightning saves after validations only.
    newest = ModelCheckpoint(folder, filename="newest", save_last="link", save_on_train_epoch_end=True)
    average = EMAWeightAveraging(decay=averaging) if averaging else None
    used = [newest, _SeedOfEachEpoch(torch.initial_seed()), *callbacks, *((average,) if average else ())]
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="auto",
        devices=int(devices),
        precision=usable_precision(precision),  # type: ignore[arg-type]  # text of the study; Lightning checks it
        default_root_dir=folder,
        logger=[TensorBoardLogger(folder, name="tensorboard", version=""), CSVLogger(folder, name="csv")],
        callbacks=used,
        log_every_n_steps=20,
        gradient_clip_val=1.0,
        check_val_every_n_epoch=validate_every,
        reload_dataloaders_every_n_epochs=1,
        enable_model_summary=False,
    )
    try:
        trainer.fit(module, train, validation, ckpt_path=last if last.is_file() else None, weights_only=False)
    except SIGTERMException as error:
        # Lightning itself ends the process with the exit code 0.
        raise SystemExit(128 + signal.SIGTERM) from error
    if average:
        # Lightning does not call it where the run was stopped after its last epoch and no epoch is left.
        average.on_train_end(trainer, module)
    return trainer


class _SeedOfEachEpoch(Callback):
    """Seeds each epoch: a resumed training would otherwise shuffle and augment as it did in its first epochs."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Seed PyTorch by the training's seed and the epoch."""
        own = np.random.SeedSequence([self.seed, trainer.current_epoch])
        torch.manual_seed(int(own.generate_state(1)[0]))


def usable_precision(wanted: str) -> str:
    """The wanted precision, or float32 where bfloat16 is wanted and the processor is slower with it.

    A step of REG-Net took ten times as long as in float32 where bfloat16 is emulated (x86 without AVX-512), and one and
    a half times as long where AVX-512 computes it without AMX.
    """
    if "bf16" not in wanted or torch.cuda.is_available():
        return wanted
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    if torch.cpu._is_amx_tile_supported() if x86 else torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return wanted
    print("This processor is not faster in bfloat16: training in float32 instead.", flush=True)
    return "32-true"


def one_cycle(module: lightning.LightningModule, settings: Fit) -> OptimizerLRSchedulerConfig:
    """Adam with a one-cycle learning rate over the whole training, as Lightning wants it."""
    optimizer = torch.optim.Adam(module.parameters(), lr=settings.learning_rate)
    steps = max(int(module.trainer.estimated_stepping_batches), 2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.learning_rate, total_steps=steps)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
