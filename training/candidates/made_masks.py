"""Stage 2c: references, blends of networks' candidates with them, extra slices and empty masks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from SegQualityQCLib.errors import InputError

from ..data.windows import Windows
from ..study.artifacts import write_arrays, write_json
from ..study.configuration import MADE_MASKS, Structure, Study
from ..study.paths import made_folder
from ..study.stage_arguments import stage_arguments
from .pool import net_pool

Mask = NDArray[np.bool_]
REFERENCE, BLEND, EXTRA_SLICE, EMPTY = range(len(MADE_MASKS))
_REACH = 3  # slices from the last one of the reference that an extra slice may lie
_BORDER = 1  # pixels around both masks, so that distances to the background are known


def blend(candidate: Mask, reference: Mask, share: float) -> Mask:
    """A mask between a candidate and the reference: where the mean of both signed distances is inside.

    Args:
        candidate: A mask, not empty.
        reference: The reference mask of the same slice, not empty.
        share: Of the reference: 0 gives the candidate, 1 the reference.

    Returns:
        The mask; it is empty where two masks far apart have no place between them.
    """
    union = np.argwhere(candidate | reference)
    low = np.maximum(union.min(axis=0) - _BORDER, 0)
    high = union.max(axis=0) + 1 + _BORDER
    box = (slice(low[0], high[0]), slice(low[1], high[1]))
    distance = (1 - share) * _inside(candidate[box]) + share * _inside(reference[box])
    blended = np.zeros_like(candidate)
    blended[box] = distance > 0
    return blended


def _inside(mask: Mask) -> NDArray[np.float64]:
    """Signed distance to the edge in pixels, positive inside; a pixel's edge lies half a pixel from its centre."""
    padded = np.pad(mask, _BORDER)  # a mask may touch the border of the window
    depth = ndimage.distance_transform_edt(padded) - ndimage.distance_transform_edt(~padded)
    inner = depth[_BORDER:-_BORDER, _BORDER:-_BORDER]
    return inner - 0.5 * np.sign(inner)


def make_masks(study: Study, structure: Structure) -> None:
    """Write the made masks of a structure: packed bits of (sources, n, side, side), and the kind of each."""
    windows = Windows.of(study)
    reference = windows.labels == structure.label
    pool = net_pool(study, structure, windows)
    rng = np.random.default_rng(study.split_seed)
    sources, (n, side) = study.sampling.blends + 2, reference.shape[:2]
    packed = np.zeros((sources, n, side, (side + 7) // 8), np.uint8)
    kinds = np.full((sources, n), -1, np.int8)
    kinds[-1] = EMPTY
    for row, (mask, kind) in enumerate(_references(windows, reference)):
        kinds[0, row] = kind
        packed[0, row] = np.packbits(mask, axis=-1)
        if kind != REFERENCE:
            continue
        usable = np.flatnonzero(pool.dice[:, row] >= 0)
        for source in range(1, study.sampling.blends + 1) if len(usable) else ():
            blended = _random_blend(pool.masks[rng.choice(usable), row], mask, rng)
            packed[source, row] = np.packbits(blended, axis=-1)
            kinds[source, row] = BLEND if blended.any() else -1
    folder = made_folder(study, structure)
    folder.mkdir(parents=True, exist_ok=True)
    write_arrays(folder / "masks.npz", {"packed": packed, "kinds": kinds})
    counts = {name: int((kinds == number).sum()) for number, name in enumerate(MADE_MASKS)}
    write_json(folder / "counts.json", counts, indent=2)
    print(counts)


def _random_blend(candidate: Mask, reference: Mask, rng: Generator) -> Mask:
    return blend(candidate, reference, rng.uniform(0.1, 0.9))


def _references(windows: Windows, reference: Mask) -> Iterator[tuple[Mask, int]]:
    """The reference of each slice; where there is none, that of the nearest slice as an extra slice."""
    drawn: Mask = np.asarray(reference.any(axis=(1, 2)))
    for row, mask in enumerate(reference):
        near = [r for step in range(1, _REACH + 1) for r in (row - step, row + step) if 0 <= r < len(drawn)]
        source = next((r for r in near if drawn[r] and windows.volume[r] == windows.volume[row]), None)
        if drawn[row]:
            yield mask, REFERENCE
        elif source is not None:
            yield reference[source], EXTRA_SLICE
        else:
            yield mask, -1


def read_made(study: Study, structure: Structure) -> tuple[Mask, NDArray[np.int8]]:
    """The made masks, shape (sources, n, side, side), and their kinds, shape (sources, n), -1 for none.

    Raises:
        InputError: They have not been made.
    """
    path = made_folder(study, structure) / "masks.npz"
    if not path.is_file():
        raise InputError(f"The masks {path} have not been made: run training.candidates.made_masks first.")
    with np.load(path) as stored:
        side = stored["packed"].shape[2]
        return np.unpackbits(stored["packed"], axis=-1, count=side).view(bool), stored["kinds"]


if __name__ == "__main__":
    arguments = stage_arguments(__doc__, structure=True)
    make_masks(arguments.study, arguments.structure)
