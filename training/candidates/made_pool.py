"""The pool of made masks, and samples of one kind."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from SegQualityQCLib.errors import InputError

from ..data.windows import Windows
from ..study.configuration import MADE_MASKS, Structure, Study
from .made_masks import BLEND, EMPTY, read_made
from .pool import Pool, dice_with_reference


def made_pool(study: Study, structure: Structure, windows: Windows) -> Pool:
    """References, blends, extra slices and empty masks of a structure, with their kinds.

    An empty mask has the Dice 0 where the reference is drawn, and none where both are empty, so that such a slice is
    never drawn.
    """
    masks, kinds = read_made(study, structure)
    reference = windows.labels == structure.label
    dice = dice_with_reference(masks, reference)
    dice[(kinds == EMPTY) & reference.any(axis=(1, 2))] = 0
    dice[kinds < 0] = np.nan
    centres = np.broadcast_to(windows.centroids(reference), (*kinds.shape, 2))
    return Pool(masks, dice, centres, kinds)


def draw_kind(pool: Pool, kind: str, rows: NDArray[np.int64], count: int, rng: Generator) -> NDArray[np.int64]:
    """Draw (source, row) pairs of one kind of made mask; a mask is drawn more than once where there are too few.

    Blends are balanced over ten bins of Dice, so that they fill bins in which networks draw little.

    Args:
        pool: The made masks.
        kind: One of :data:`MADE_MASKS`.
        rows: Slices to draw from.
        count: Pairs in all.
        rng: Source of randomness.

    Returns:
        Shape (m, 2), in random order; m is ``count``, or for blends less where bins hold none.

    Raises:
        InputError: There is no mask of this kind.
    """
    number = MADE_MASKS.index(kind)
    of_kind = np.isfinite(pool.dice) & (pool.kinds == number)
    pairs = np.argwhere(of_kind[:, rows])
    if len(pairs) == 0:
        raise InputError(f"No {kind} could be made of these slices: leave {kind} out of made in sampling.")
    if number == BLEND:
        blends = Pool(pool.masks, np.where(of_kind, pool.dice, np.nan), pool.centres, pool.kinds)
        return blends.draw(rows, count, rng, repeat=True)
    drawn = pairs[rng.choice(len(pairs), count, replace=count > len(pairs))]
    drawn[:, 1] = rows[drawn[:, 1]]
    return drawn
