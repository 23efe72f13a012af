"""Dice of masks with their references."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


def dice_of(mask: Tensor, reference: Tensor) -> Tensor:
    """Dice of each mask with its reference, both of shape (n, 1, h, w); 0 where both are empty. Shape (n,)."""
    overlap, area = (mask * reference).sum((1, 2, 3)), (mask + reference).sum((1, 2, 3))
    return 2 * overlap / area.clamp(min=1)


def dice_of_arrays(
    mask: NDArray[np.bool_], reference: NDArray[np.bool_], axis: tuple[int, ...] | None = None
) -> NDArray[np.float64]:
    """Dice of boolean masks with their references, 0 where both are empty.

    Args:
        mask: The masks.
        reference: The references, of the same shape.
        axis: Axes of the pixels of one mask; by default all.
    """
    area = mask.sum(axis) + reference.sum(axis)
    return 2 * (mask & reference).sum(axis) / np.maximum(area, 1)
