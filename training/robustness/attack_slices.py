"""The fixed slices of the test patients that are attacked, in the networks' field of view."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from SegQualityQCLib.errors import InputError

from ..candidates.pool import Pool, net_pool, perturbed_pool
from ..data.augmentation import crop
from ..data.split import read_split
from ..data.windows import Windows
from ..metrics.dice import dice_of
from ..study.configuration import AttackStudy, Structure, Study

BAD, GOOD = 0.6, 0.8  # Dice: bad below the first, good from the second
BATCH = 6  # slices attacked together; more do not fit into a CPU's cache, so that each takes longer


@dataclass(frozen=True)
class Slices:
    """Candidates with their images.

    Attributes:
        image: Shape (n, 1, size, size) in [-1, 1].
        mask: The same shape, of 0 and 1.
        dice: True Dice within the window, shape (n,).
        patient: Name of each slice's patient, shape (n,).
    """

    image: Tensor
    mask: Tensor
    dice: Tensor
    patient: NDArray[np.str_]

    def __len__(self) -> int:
        """Number of slices."""
        return len(self.image)

    def batches(self) -> Iterator[slice]:
        """Parts that are small enough to attack together."""
        for first in range(0, len(self), BATCH):
            yield slice(first, first + BATCH)

    def part(self, chosen: slice | Tensor) -> Slices:
        """Some of the slices."""
        places = np.arange(len(self))[chosen]
        return Slices(self.image[places], self.mask[places], self.dice[places], self.patient[places])


def test_slices(study: Study, structure: Structure, settings: AttackStudy) -> Slices:
    """Draw candidates of the test patients, evenly over ten bins of Dice as far as the bins allow.

    Raises:
        InputError: There is none: the U-nets drew nothing on the test patients.
    """
    slices = _drawn(study, structure, settings, settings.slices, below=1.0)
    if len(slices) == 0:
        raise InputError(f"No candidate of the {structure.name} was drawn on the test patients: train longer.")
    return slices


def bad_slices(study: Study, structure: Structure, settings: AttackStudy) -> Slices:
    """Draw bad candidates of the test patients, evenly over the bins of Dice below :data:`BAD`; there may be none."""
    return _drawn(study, structure, settings, settings.bad_slices, below=BAD)


def _drawn(study: Study, structure: Structure, settings: AttackStudy, total: int, *, below: float) -> Slices:
    """Candidates of the U-nets and, for their share, perturbed reference masks, with a Dice below a multiple of .1."""
    windows = Windows.of(study)
    split = read_split(study)
    rows = windows.rows_of(split["test"])
    rng = np.random.default_rng(study.split_seed)
    perturbed = round(total * settings.perturbed)
    parts = []
    for make, count in ((net_pool, total - perturbed), (perturbed_pool, perturbed)):
        pool = make(study, structure, windows)
        if below < 1.0:
            pool = replace(pool, dice=np.where(pool.dice < below, pool.dice, np.float32(np.nan)))
        parts.append(_cut(study, structure, windows, pool, pool.draw(rows, round(count / below), rng)))
    image, mask, dice = (torch.cat(column) for column in zip(*(part[:3] for part in parts), strict=True))
    kept = np.flatnonzero(mask.sum((1, 2, 3)).numpy() > 0)
    patient = np.concatenate([part[3] for part in parts])
    return Slices(image[kept], mask[kept], dice[kept], patient[kept])


def _cut(
    study: Study, structure: Structure, windows: Windows, pool: Pool, pairs: NDArray[np.int64]
) -> tuple[Tensor, Tensor, Tensor, NDArray[np.str_]]:
    """The windows around the candidates, and their Dice in them."""
    sources, rows = pairs.T
    labels = np.stack([pool.masks[sources, rows], windows.labels[rows] == structure.label], axis=1)
    image, cut = crop(
        torch.from_numpy(windows.image[rows]),
        torch.from_numpy(labels),
        torch.from_numpy(pool.centres[sources, rows]),
        study.window_size,
        None,
    )
    mask, reference = cut[:, :1], cut[:, 1:]
    patients = np.array(windows.volume_patients)[windows.volume[rows]]
    return image, mask, dice_of(mask, reference), patients
