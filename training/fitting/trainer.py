"""What all trainings share: a Lightning trainer that writes a checkpoint every epoch and resumes from the last."""

from __future__ import annotations

import platform
import signal
from pathlib import Path

import lightning.pytorch as lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch.utils.data import DataLoader

from ..study.configuration import Fit


def fit(
    module: lightning.LightningModule,
    train: DataLoader,
    validation: DataLoader | None,
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

    ``validate_every`` counts epochs; validation costs a third of an epoch of REG-Net.
    """
    last = folder / "last.ckpt"
    # Left to itself, Lightning would save after validations only.
    newest = ModelCheckpoint(folder, filename="newest", save_last="link", save_on_train_epoch_end=True)
    average = EMAWeightAveraging(decay=averaging) if averaging else None
    used = [newest, _ChanceOfItsOwn(torch.initial_seed()), *callbacks, *((average,) if average else ())]
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="auto",
        devices=int(devices),
        precision=usable_precision(precision),
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
        # Left to itself, Lightning ends the process as if all had gone well.
        raise SystemExit(128 + signal.SIGTERM) from error
    if average:
        # Lightning itself does not where the run was stopped after its last epoch, and has none left to go through.
        average.on_train_end(trainer, module)
    return trainer


class _ChanceOfItsOwn(Callback):
    """Seeds each epoch: a training that goes on would else shuffle and augment as it did in its first epochs."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        own = np.random.SeedSequence([self.seed, trainer.current_epoch])
        torch.manual_seed(int(own.generate_state(1)[0]))


def usable_precision(wanted: str) -> str:
    """The precision that a training asks for, or float32 where that means bfloat16 and the processor is slower with it.

    A step of REG-Net took ten times as long as in float32 where bfloat16 is emulated (x86 without AVX-512), and one and
    a half times as long where AVX-512 computes it without AMX.
    """
    if "bf16" not in wanted or torch.cuda.is_available():
        return wanted
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    if torch.cpu._is_amx_tile_supported() if x86 else torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return wanted
    print("This processor is no faster in bfloat16: training in float32 instead.", flush=True)
    return "32-true"


def one_cycle(module: lightning.LightningModule, settings: Fit) -> dict:
    """Adam with a one-cycle learning rate over the whole training, as Lightning wants it."""
    optimizer = torch.optim.Adam(module.parameters(), lr=settings.learning_rate)
    steps = max(int(module.trainer.estimated_stepping_batches), 2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.learning_rate, total_steps=steps)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
