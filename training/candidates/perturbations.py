"""Stage 2b: reference masks with the faults that clinics see and U-nets do not make."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from SegQualityQCLib.errors import InputError

from ..data.windows import Windows
from ..study.artifacts import write_arrays, write_json
from ..study.configuration import Structure, Study
from ..study.paths import perturbed_folder
from ..study.stage_arguments import stage_arguments

Mask = NDArray[np.bool_]


def _shift(mask: Mask, labels: NDArray[np.uint8], rng: Generator) -> Mask:
    angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 14)
    step = (round(length * np.sin(angle)), round(length * np.cos(angle)))
    return np.roll(mask, step, axis=(0, 1))


def _rotate(mask: Mask, labels: NDArray[np.uint8], rng: Generator) -> Mask:
    """Turn and stretch about the centre of the mask."""
    angle, stretch = np.deg2rad(rng.uniform(-60, 60)), np.exp(rng.uniform(-0.35, 0.35, 2))
    cos, sin = np.cos(angle), np.sin(angle)
    matrix = np.array([[cos, -sin], [sin, cos]]) @ np.diag(1 / stretch)
    centre = np.array(ndimage.center_of_mass(mask))
    return ndimage.affine_transform(mask.view(np.uint8), matrix, centre - matrix @ centre, order=0).astype(bool)


def _erode(mask: Mask, labels: NDArray[np.uint8], rng: Generator) -> Mask:
    depth = ndimage.distance_transform_edt(mask)
    return depth > rng.uniform(0.5, 0.95 * depth.max() + 0.5)


def _dilate(mask: Mask, labels: NDArray[np.uint8], rng: Generator) -> Mask:
    return ndimage.distance_transform_edt(~mask) < rng.uniform(0.8, 10)


def _elastic(mask: Mask, labels: NDArray[np.uint8], rng: Generator) -> Mask:
    """Smooth random displacement, up to 12 pixels."""
    coarse = rng.normal(size=(2, 8, 8)) * rng.uniform(1, 6)
    field = np.stack([ndimage.zoom(part, [n / 8 for n in mask.shape], order=1) for part in coarse])
    places = np.indices(mask.shape) + field
    return ndimage.map_coordinates(mask.view(np.uint8), places, order=0, mode="constant").astype(bool)


def _lose_sector(mask: Mask, labels: NDArray[np.uint8], rng: Generator) -> Mask:
    angle = _angles(mask, ndimage.center_of_mass(mask))
    start, width = rng.uniform(-np.pi, np.pi), rng.uniform(0.3, 5.5)
    return mask & ((angle - start) % (2 * np.pi) > width)


def _leak(mask: Mask, labels: NDArray[np.uint8], rng: Generator) -> Mask:
    """Add what lies near a point on the mask's edge: part of a neighbouring structure or of the background."""
    edge = np.argwhere(mask & ~ndimage.binary_erosion(mask))
    centre = edge[rng.integers(len(edge))]
    y, x = np.indices(mask.shape)
    near = np.hypot(y - centre[0], x - centre[1]) < rng.uniform(4, 22)
    others = [value for value in np.unique(labels[near & ~mask]) if value != 0]
    if others and rng.random() < 0.7:
        near &= labels == rng.choice(others)
    return mask | near


def _lose_part(mask: Mask, labels: NDArray[np.uint8], rng: Generator) -> Mask:
    """Cut a round piece out, as a lost island or a hole."""
    drawn = np.argwhere(mask)
    centre = drawn[rng.integers(len(drawn))]
    y, x = np.indices(mask.shape)
    return mask & (np.hypot(y - centre[0], x - centre[1]) > rng.uniform(3, 16))


def _add_islands(mask: Mask, labels: NDArray[np.uint8], rng: Generator) -> Mask:
    result = mask.copy()
    y, x = np.indices(mask.shape)
    centre = np.array(ndimage.center_of_mass(mask))
    for _ in range(rng.integers(1, 4)):
        place = centre + rng.normal(0, 28, 2)
        axes = rng.uniform(2, 10, 2)
        result |= np.hypot((y - place[0]) / axes[0], (x - place[1]) / axes[1]) < 1
    return result


def _other_structure(mask: Mask, labels: NDArray[np.uint8], rng: Generator) -> Mask:
    """Draw another structure of the slice instead, or together with a part of this one."""
    others = [value for value in np.unique(labels) if value != 0 and not (mask & (labels == value)).any()]
    if not others:
        return _shift(mask, labels, rng)
    other = labels == rng.choice(others)
    return other if rng.random() < 0.6 else other | _lose_sector(mask, labels, rng)


def _angles(mask: Mask, centre: tuple[float, ...]) -> NDArray[np.float64]:
    y, x = np.indices(mask.shape)
    return np.arctan2(y - centre[0], x - centre[1])


MASK_FAULTS: dict[str, Callable[[Mask, NDArray[np.uint8], Generator], Mask]] = {
    "shift": _shift,
    "rotation": _rotate,
    "erosion": _erode,
    "dilation": _dilate,
    "elastic": _elastic,
    "lost sector": _lose_sector,
    "leak": _leak,
    "lost part": _lose_part,
    "islands": _add_islands,
    "other structure": _other_structure,
}
EXTRA_SLICE = "extra slice"
ALL_MASK_FAULTS = (*MASK_FAULTS, EXTRA_SLICE)
MEASURED_VARIANTS = 6  # of each slice at most that are scored, or described for the distribution check


def perturb(mask: Mask, labels: NDArray[np.uint8], fault: str, rng: Generator) -> Mask:
    """A reference mask with one fault.

    Args:
        mask: The reference mask of a slice, not empty.
        labels: All reference labels of the slice.
        fault: A key of :data:`MASK_FAULTS`.
        rng: Source of randomness.
    """
    return MASK_FAULTS[fault](mask, labels, rng)


def make_perturbed(study: Study, structure: Structure) -> None:
    """Write the perturbed masks of a structure: packed bits of (variants, n, side, side), and the fault of each.

    Raises:
        InputError: A variant of the study is to do without a fault that does not exist.
    """
    for entry in study.variants:
        if entry.without is not None and entry.without not in ALL_MASK_FAULTS:
            known = ", ".join(ALL_MASK_FAULTS)
            raise InputError(f"The variant {entry.name} is to do without {entry.without!r}: the kinds are {known}.")
    rng = np.random.default_rng(study.split_seed)
    windows = Windows.of(study)
    reference = windows.labels == structure.label
    drawn = reference.any(axis=(1, 2))
    names = list(MASK_FAULTS)
    variants, n, side = study.sampling.variants, len(reference), reference.shape[1]
    packed = np.zeros((variants, n, side, (side + 7) // 8), np.uint8)
    faults = np.full((variants, n), -1, np.int8)
    for row in range(n):
        neighbours = [r for r in (row - 1, row + 1) if 0 <= r < n and windows.volume[r] == windows.volume[row]]
        source = next((r for r in (row, *neighbours) if drawn[r]), None)
        if source is None:
            continue
        for variant in range(variants):
            fault = int((variant + row) % len(names)) if drawn[row] else ALL_MASK_FAULTS.index(EXTRA_SLICE)
            name = names[fault] if drawn[row] else names[int(rng.integers(len(names)))]
            mask = perturb(reference[source], windows.labels[source], name, rng)
            packed[variant, row] = np.packbits(mask, axis=-1)
            faults[variant, row] = fault if mask.any() else -1
    folder = perturbed_folder(study, structure)
    folder.mkdir(parents=True, exist_ok=True)
    write_arrays(folder / "masks.npz", {"packed": packed, "kinds": faults})
    counts = {name: int((faults == number).sum()) for number, name in enumerate(ALL_MASK_FAULTS)}
    write_json(folder / "counts.json", counts, indent=2)
    print(counts)


def read_perturbed(study: Study, structure: Structure) -> tuple[Mask, NDArray[np.int8]]:
    """The perturbed masks, shape (variants, n, side, side), and their faults, shape (variants, n), -1 for none."""
    with np.load(perturbed_folder(study, structure) / "masks.npz") as stored:
        side = stored["packed"].shape[2]
        return np.unpackbits(stored["packed"], axis=-1, count=side).view(bool), stored["kinds"]


if __name__ == "__main__":
    arguments = stage_arguments(__doc__, structure=True)
    make_perturbed(arguments.study, arguments.structure)
