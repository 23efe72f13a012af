"""Stage 2 of a study of several hospitals: architectures of MONAI draw the patients that they never saw."""

from __future__ import annotations

import zlib

import numpy as np
import torch
from monai.losses import DiceCELoss
from numpy.typing import NDArray
from torch import nn

from SegQualityQCLib.errors import InputError

from ..data.augmentation import Augmentation
from ..data.folds import fold_patients
from ..data.split import read_split
from ..data.windows import Windows
from ..metrics.dice import dice_of_arrays
from ..study.artifacts import write_json
from ..study.configuration import Fit, Study
from ..study.paths import FoldNet, fold_nets
from ..study.stage_arguments import stage_arguments
from .architectures import built
from .candidate_nets import CandidateTraining, train_and_read_out

EVERY_NET = "every"  # in place of the name of a network: all of them, one after the other
_BATCH = 64  # windows that are drawn on together
# Hospitals store the heart in other orientations and sizes, with other contrast, coil profiles and noise.
_AUGMENTATION = Augmentation(
    rotation=180.0, scale=0.25, stretch=0.15, shift=6.0, gamma=0.45, brightness=0.15, bias=0.2, noise=0.08
)


class FoldTraining(CandidateTraining):
    """A network that draws only the slices of patients that it is not trained on.

    Args:
        study: The study.
        windows: Its cache.
        network: The network.
        settings: How it is trained.
        saw: Whether each slice is of a patient that it is trained on, shape (n,).
    """

    def __init__(
        self, study: Study, windows: Windows, network: nn.Module, settings: Fit, saw: NDArray[np.bool_]
    ) -> None:
        super().__init__(study, windows, network, settings, _AUGMENTATION)
        self.saw = saw
        # Over the batch: many slices lack a structure, and their Dice would be 0 for one pixel too many.
        self.loss = DiceCELoss(to_onehot_y=True, softmax=True, batch=True)

    def candidates(self) -> dict[str, NDArray]:
        """The labels, and the slices of patients that the network saw."""
        return {"labels": self.draw(), "saw": self.saw}

    @torch.inference_mode()
    def draw(self) -> NDArray[np.uint8]:
        """The labels on the inner windows of all slices of unseen patients, shape (n, side, side); 0 elsewhere."""
        self.eval()
        drawn = np.zeros(self.labels.shape, np.uint8)
        inner = slice(self.study.margin, self.study.margin + self.study.window_size)
        rows = np.flatnonzero(~self.saw)
        for first in range(0, len(rows), _BATCH):
            part = rows[first : first + _BATCH]
            image = self.image[torch.from_numpy(part), None, inner, inner].float()
            logits = self.network(image.to(self.device, memory_format=torch.channels_last))
            drawn[part, inner, inner] = logits.argmax(dim=1).to(torch.uint8).cpu().numpy()
        self.train()
        return drawn


def train_fold_net(study: Study, net: FoldNet, devices: str = "1") -> None:
    """Train one architecture on one fold, and keep what it draws of all other patients.

    Nothing is done where its candidates are there already. The Dice of unseen patients is printed and kept.
    """
    files = net.files(study)
    if all(path.is_file() for path in files.values()):
        return
    windows, split = Windows.of(study), read_split(study)
    torch.manual_seed(zlib.crc32(f"{study.seeds[0]} {net.name}".encode()))
    architecture = net.architecture
    network = built(architecture, int(windows.labels.max()) + 1)
    rows = windows.rows_of(fold_patients(study, windows.hospital_of, split)[net.fold])
    saw = np.zeros(len(windows.volume), bool)
    saw[rows] = True
    settings = Fit(architecture.readouts[-1], architecture.learning_rate, architecture.batch_size)
    folder = study.folder / "candidates" / net.name
    train_and_read_out(
        FoldTraining(study, windows, network, settings, saw),
        rows,
        folder=folder,
        files=files,
        slices=architecture.slices,
        devices=devices,
    )
    dice = {epoch: dice_by_hospital(study, net, epoch, windows) for epoch in files}
    write_json(folder / "dice.json", dice, indent=2)
    print(net.name, dice[architecture.readouts[-1]], flush=True)


def dice_by_hospital(study: Study, net: FoldNet, epoch: int, windows: Windows) -> dict[str, dict[str, float]]:
    """Mean Dice of the volumes of unseen patients, by hospital and structure.

    A volume's Dice is that of all its windows together, at the windows' resolution.

    Args:
        study: The study.
        net: A network whose candidates are there.
        epoch: One of its read-outs.
        windows: The study's cache.
    """
    with np.load(net.files(study)[epoch]) as stored:
        labels, saw = stored["labels"], stored["saw"]
    found: dict[str, dict[str, list[float]]] = {}
    for number, hospital in enumerate(windows.volume_hospitals):
        rows = windows.volume == number
        if saw[rows].any():
            continue
        for structure in study.structures:
            drawn, reference = (part[rows] == structure.label for part in (labels, windows.labels))
            if reference.any():
                dice = float(dice_of_arrays(drawn, reference))
                found.setdefault(hospital, {}).setdefault(structure.key, []).append(dice)
    return {
        hospital: {key: round(float(np.mean(values)), 4) for key, values in by_structure.items()}
        for hospital, by_structure in found.items()
    }


def named_nets(study: Study, name: str) -> list[FoldNet]:
    """The network with this name, or every one.

    Raises:
        InputError: There is none.
    """
    nets = fold_nets(study)
    chosen = [net for net in nets if name in (net.name, EVERY_NET)]
    if not chosen:
        known = ", ".join(net.name for net in nets) or "none, since candidate_nets has no architectures"
        raise InputError(f"The study {study.name} has no network {name!r}: it has {known}.")
    return chosen


if __name__ == "__main__":
    arguments = stage_arguments(__doc__, devices=True, net=str)
    for each in named_nets(arguments.study, arguments.net):
        train_fold_net(arguments.study, each, arguments.devices)
