"""What REG-Nets are trained on: the candidates of a structure, and samples of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset

from ..candidates.made_pool import draw_kind, made_pool
from ..candidates.pool import Pool, net_pool, perturbed_pool
from ..data.split import read_split
from ..data.windows import Windows
from ..study.configuration import Structure, Study

_NETS, _PERTURBED, _MADE = 0, 1, 2
_VALIDATED = 2  # pools: made masks are only trained on
_HELP = (  # where a bin of Dice holds no candidate
    "train the U-nets with other read-outs, or leave them out of the training samples by perturbed: 1.0 in sampling",
    "raise variants in sampling, or leave perturbed masks out of the training samples by perturbed: 0.0",
)


@dataclass(frozen=True)
class TrainingData:
    """The candidates of one structure.

    Attributes:
        study: The study.
        windows: Its cache.
        pools: Candidates of the networks, perturbed reference masks, and where the study samples them made masks.
        train: Slices of the training patients, shape (n,).
        validation: Slices of the validation patients, shape (m,).
    """

    study: Study
    windows: Windows
    pools: tuple[Pool, ...]
    train: NDArray[np.int64]
    validation: NDArray[np.int64]

    def validation_loaders(self) -> list[DataLoader[tuple[Tensor, ...]]]:
        """Balanced validation triples of each pool, the same for all REG-Nets of a study."""
        rng = np.random.default_rng(self.study.split_seed)
        loaders = []
        for number, pool in enumerate(self.pools[:_VALIDATED]):
            pairs = pool.draw(self.validation, self.study.sampling.validation, rng)
            triples = torch.from_numpy(np.column_stack([np.full(len(pairs), number), pairs]))
            loaders.append(DataLoader(TensorDataset(triples), 64))
        return loaders


def training_data(study: Study, structure: Structure, without: str | None = None) -> TrainingData:
    """Read the candidates of a structure, without one mask fault if a variant asks for it."""
    windows, split = Windows.of(study), read_split(study)
    made = (made_pool(study, structure, windows),) if study.sampling.made else ()
    return TrainingData(
        study,
        windows,
        (net_pool(study, structure, windows), perturbed_pool(study, structure, windows, without), *made),
        windows.rows_of(split["train"]),
        windows.rows_of(split["validation"]),
    )


class BalancedSample(Dataset[Tensor]):
    """Training triples (pool, source, row), balanced over the bins of Dice; drawn anew for each epoch.

    Args:
        study: The study.
        pools: As of :class:`TrainingData`.
        rows: Slices to draw from.
        seed: Of the draw.
    """

    def __init__(self, study: Study, pools: tuple[Pool, ...], rows: NDArray[np.int64], seed: int) -> None:
        self.study = study
        self.pools = pools
        self.rows = rows
        self.seed = seed
        self.triples = self._draw(epoch=0)

    def redraw(self, epoch: int) -> None:
        """Draw the sample of an epoch, where the study wants a fresh one each epoch; it depends on the epoch alone."""
        if self.study.sampling.fresh:
            self.triples = self._draw(epoch)

    def _draw(self, epoch: int) -> NDArray[np.int64]:
        sampling = self.study.sampling
        rng = np.random.default_rng([self.seed, epoch])
        perturbed = round(sampling.train * sampling.perturbed)
        made = {kind: round(sampling.train * share) for kind, share in sampling.made.items()}
        parts = []
        for kind, count in made.items():
            if count:
                pairs = draw_kind(self.pools[_MADE], kind, self.rows, count, rng)
                parts.append(np.column_stack([np.full(len(pairs), _MADE), pairs]))
        for pool, count in ((_NETS, sampling.train - perturbed - sum(made.values())), (_PERTURBED, perturbed)):
            if count:
                pairs = self.pools[pool].draw(self.rows, count, rng, repeat=sampling.fresh, every_bin=_HELP[pool])
                parts.append(np.column_stack([np.full(len(pairs), pool), pairs]))
        return rng.permutation(np.concatenate(parts))

    def __len__(self) -> int:
        """Number of triples."""
        return len(self.triples)

    def __getitem__(self, place: int) -> Tensor:
        """One triple, shape (3,)."""
        return torch.from_numpy(self.triples[place])
