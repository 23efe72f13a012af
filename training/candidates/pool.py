"""The pool of candidate masks with their Dice, and samples of it that are balanced over ten bins of Dice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from SegQualityQCLib.errors import InputError

from ..data.split import read_split
from ..data.windows import Windows
from ..metrics.dice import dice_of_arrays
from ..study.configuration import Structure, Study
from ..study.paths import candidate_files
from .perturbations import ALL_MASK_FAULTS, read_perturbed

BINS = 10


@dataclass(frozen=True)
class Pool:
    """Candidates of one structure.

    Attributes:
        masks: Shape (sources, n, side, side), bool.
        dice: Dice with the reference, shape (sources, n); NaN where the candidate is empty or absent, or of a network
            that saw the patient, so that it is never drawn.
        centres: Centre (y, x) of the candidate in its volume, as of the estimator's field of view, (sources, n, 2).
        kinds: Kind of made masks, shape (sources, n): a position in :data:`MADE_MASKS`, -1 for none; else ``None``.
    """

    masks: NDArray[np.bool_]
    dice: NDArray[np.float32]
    centres: NDArray[np.float64]
    kinds: NDArray[np.int8] | None = None

    def draw(
        self, rows: NDArray[np.int64], count: int, rng: Generator, *, repeat: bool = False, every_bin: str | None = None
    ) -> NDArray[np.int64]:
        """Draw (source, row) pairs of these rows, the same number from each of ten equal bins of Dice.

        Args:
            rows: Slices to draw from.
            count: Pairs in all; fewer come back where bins run out and ``repeat`` is off.
            rng: Source of randomness.
            repeat: Draw a candidate more than once where a bin holds too few.
            every_bin: Require candidates in each bin; the text says what to do where there are none.

        Returns:
            Shape (m, 2), in random order.

        Raises:
            InputError: ``every_bin`` is given and a bin is empty.
        """
        dice = self.dice[:, rows]
        bins = np.minimum((dice * BINS).astype(np.float32), BINS - 1)
        chosen = []
        for number in range(BINS):
            pairs = np.argwhere((bins >= number) & (bins < number + 1))
            if len(pairs) == 0 and every_bin is None:
                continue
            if len(pairs) == 0:
                ends = f"{number / BINS:g} and {(number + 1) / BINS:g}"
                raise InputError(f"No candidate has a Dice between {ends}: {every_bin}.")
            wanted = count // BINS
            replace = repeat and len(pairs) < wanted
            chosen.append(pairs[rng.choice(len(pairs), wanted if replace else min(wanted, len(pairs)), replace)])
        drawn = np.concatenate(chosen) if chosen else np.zeros((0, 2), np.int64)
        drawn[:, 1] = rows[drawn[:, 1]]
        return rng.permutation(drawn)


def sample_sizes(study: Study, structure: Structure) -> dict[str, dict[str, int]]:
    """How many slices an epoch of training and the validation had: what was asked for, or what the bins allow."""
    windows, split, sampling = Windows.of(study), read_split(study), study.sampling
    perturbed = round(sampling.train * sampling.perturbed)
    made = sum(round(sampling.train * share) for share in sampling.made.values())
    wanted = {"nets": sampling.train - perturbed - made, "perturbed": perturbed}
    pools = {"nets": net_pool(study, structure, windows), "perturbed": perturbed_pool(study, structure, windows)}
    rng = np.random.default_rng(study.split_seed)
    rows = {part: windows.rows_of(split[part]) for part in ("train", "validation")}
    return {
        key: {
            "train": len(pool.draw(rows["train"], wanted[key], rng, repeat=sampling.fresh)) if wanted[key] else 0,
            "validation": len(pool.draw(rows["validation"], sampling.validation, rng)),
        }
        for key, pool in pools.items()
    }


def net_pool(study: Study, structure: Structure, windows: Windows) -> Pool:
    """The candidates that networks drew, but for those of the unseen architecture."""
    masks = np.zeros((len(candidate_files(study)), *windows.labels.shape), bool)
    saw = np.zeros(masks.shape[:2], bool)
    for source, path in enumerate(candidate_files(study)):
        if not path.is_file():
            raise InputError(
                f"The candidates {path.name} have not been made: run training.fitting.{_stage(study)} first."
            )
        with np.load(path) as stored:
            masks[source] = stored["labels"] == structure.label
            if "saw" in stored:
                saw[source] = stored["saw"]
    reference = windows.labels == structure.label
    centres = np.stack([windows.centroids(drawn) for drawn in masks])
    dice = dice_with_reference(masks, reference)
    dice[saw] = np.nan
    return Pool(masks, dice, centres)


def _stage(study: Study) -> str:
    return "fold_nets" if study.candidate_nets.architectures else "candidate_nets"


def perturbed_pool(study: Study, structure: Structure, windows: Windows, without: str | None = None) -> Pool:
    """The perturbed reference masks, without one fault if asked for."""
    masks, faults = read_perturbed(study, structure)
    reference = windows.labels == structure.label
    dice = dice_with_reference(masks, reference)
    dice[faults < 0] = np.nan
    if without is not None:
        dice[faults == ALL_MASK_FAULTS.index(without)] = np.nan
    centres = np.broadcast_to(windows.centroids(reference), (len(masks), len(reference), 2))
    return Pool(masks, dice, centres)


def dice_with_reference(masks: NDArray[np.bool_], reference: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Dice of each mask with the reference of its slice; NaN where the mask is empty."""
    dice = np.empty(masks.shape[:2], np.float32)
    for source, drawn in enumerate(masks):
        dice[source] = np.where(drawn.any(axis=(1, 2)), dice_of_arrays(drawn, reference, axis=(1, 2)), np.nan)
    return dice
