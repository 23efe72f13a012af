"""Stage 3: train REC-Net on reference masks only, L1 loss between image and reconstruction."""

from __future__ import annotations

from dataclasses import dataclass

import lightning.pytorch as lightning
import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from SegQualityQCLib.estimators.networks.architectures import RecNet

from ..data.augmentation import Augmentation, crop
from ..data.split import read_split
from ..data.windows import Windows
from ..study.artifacts import save_weights, write_json
from ..study.configuration import Structure, Study
from ..study.paths import rec_net_file
from ..study.stage_arguments import stage_arguments
from .memory_layout import channels_last
from .trainer import fit, one_cycle


class RecTraining(lightning.LightningModule):
    """REC-Net with its loss; batches are row numbers of the windows.

    Args:
        study: The study.
        windows: Its cache.
        label: The structure's value in the reference labelmaps.
    """

    def __init__(self, study: Study, windows: Windows, label: int) -> None:
        super().__init__()
        self.study = study
        self.network = channels_last(RecNet(study.rec_filters))
        self.image = torch.from_numpy(windows.image)
        mask = windows.labels == label
        self.mask = torch.from_numpy(mask)
        self.centres = torch.from_numpy(windows.centroids(mask))

    def batch(self, rows: Tensor, augmentation: Augmentation | None) -> tuple[Tensor, Tensor]:
        """Images and reference masks of these rows."""
        rows = rows.cpu()
        image, mask = crop(
            self.image[rows], self.mask[rows][:, None], self.centres[rows], self.study.window_size, augmentation
        )
        return (
            image.to(self.device, memory_format=torch.channels_last),
            mask.to(self.device, memory_format=torch.channels_last),
        )

    def training_step(self, batch: list[Tensor]) -> Tensor:
        """Mean absolute difference between the image and its reconstruction."""
        image, mask = self.batch(batch[0], Augmentation())
        loss = (self.network(image * (1 - mask)) - image).abs().mean()
        self.log("train_l1", loss, on_epoch=True, on_step=False, prog_bar=True)
        return loss

    def validation_step(self, batch: list[Tensor]) -> None:
        """The same on validation patients, and inside the mask alone."""
        image, mask = self.batch(batch[0], None)
        error = (self.network(image * (1 - mask)).float() - image).abs()
        self.log("val_l1", error.mean(), prog_bar=True, batch_size=len(image))
        self.log("val_l1_inside", (error * mask).sum() / mask.sum(), batch_size=len(image))

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Adam, one-cycle."""
        return one_cycle(self, self.study.rec_net)


def train_rec_net(study: Study, structure: Structure, devices: str = "1") -> None:
    """Train the REC-Net of a structure; write rec_net.pt and its validation figures."""
    torch.manual_seed(study.seeds[0])
    windows = Windows.of(study)
    split = read_split(study)
    drawn = (windows.labels == structure.label).any(axis=(1, 2))
    loaders = {
        part: DataLoader(
            TensorDataset(torch.from_numpy(rows[drawn[rows]])), study.rec_net.batch_size, shuffle=part == "train"
        )
        for part in ("train", "validation")
        for rows in [windows.rows_of(split[part])]
    }
    module = RecTraining(study, windows, structure.label)
    if structure.warm_start is not None:
        start = rec_net_file(study, study.structure(structure.warm_start))
        module.network.load_state_dict(torch.load(start, weights_only=True))
    result, epochs = rec_net_file(study, structure), study.rec_net_epochs(structure)
    trainer = fit(
        module,
        loaders["train"],
        loaders["validation"],
        folder=result.parent,
        epochs=epochs,
        precision=study.precision,
        devices=devices,
        averaging=study.rec_net.averaging,
    )
    (figures,) = trainer.validate(module, loaders["validation"], verbose=False)
    write_json(result.with_name("figures.json"), {"epochs": epochs, **figures}, indent=2)
    save_weights(module.network, result)


@dataclass(frozen=True)
class ReconstructionErrors:
    """Errors of each slice with a reference.

    Attributes:
        patient: Name of its patient, shape (n,).
        whole: Mean absolute error in the window, shape (n,).
        inside: Mean absolute error inside the reference mask, shape (n,).
    """

    patient: NDArray[np.str_]
    whole: NDArray[np.float64]
    inside: NDArray[np.float64]


@torch.inference_mode()
def reconstruction_errors(
    study: Study, structure: Structure, rec_net: RecNet, patients: list[str]
) -> ReconstructionErrors:
    """The errors of a REC-Net on the slices of these patients, each seen without what its reference masks."""
    windows = Windows.of(study)
    rows = windows.rows_of(patients)
    rows = rows[(windows.labels[rows] == structure.label).any(axis=(1, 2))]
    drawn = RecTraining(study, windows, structure.label)
    errors = []
    for part in torch.from_numpy(rows).split(64):
        image, mask = drawn.batch(part, None)
        error = (rec_net(image * (1 - mask)).float() - image).abs()
        inside = (error * mask).sum((1, 2, 3)) / mask.sum((1, 2, 3)).clamp(min=1)
        errors.append(torch.stack([error.mean((1, 2, 3)), inside]))
    whole, inside = torch.cat(errors, dim=1).double().numpy()
    return ReconstructionErrors(np.array(windows.volume_patients)[windows.volume[rows]], whole, inside)


if __name__ == "__main__":
    arguments = stage_arguments(__doc__, structure=True, devices=True)
    train_rec_net(arguments.study, arguments.structure, arguments.devices)
