"""Faults of a scanner, at five strengths each, by TorchIO.

Each corruption takes a whole volume (slices, rows, columns) of magnitudes from 0 and gives one on the same grid.
Slices of a cine stack are acquired one after the other, so that motion, ghosts and spikes lie within a slice, with the
phase encoding along the rows, never across slices.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import SimpleITK as sitk
import torch
import torchio as tio
from numpy.random import Generator
from numpy.typing import NDArray

STRENGTHS = 5
Volume = NDArray[np.float32]


def corrupt(image: sitk.Image, corruption: str, strength: int, seed: int) -> sitk.Image:
    """Corrupt an image.

    Args:
        image: The volume.
        corruption: A key of :data:`CORRUPTIONS`.
        strength: 1 to 5.
        seed: Of noise, field, motion and spikes; the same for all strengths, so that only the strength differs.

    Returns:
        An image on the same grid, float32, not below zero or the darkest pixel of a CT.
    """
    if not 1 <= strength <= STRENGTHS:
        raise ValueError(f"The strength is 1 to {STRENGTHS}, not {strength}.")
    volume = sitk.GetArrayFromImage(image).astype(np.float32)
    floor = min(float(volume.min()), 0.0)  # of CT about -1000; of MR 0
    volume -= floor
    scale = float(np.percentile(volume, 99.5)) or 1.0
    changed = CORRUPTIONS[corruption](volume / scale, strength, np.random.default_rng(seed), image.GetSpacing())
    result = sitk.GetImageFromArray(np.maximum(changed, 0).astype(np.float32) * scale + floor)
    result.CopyInformation(image)
    return result


def _transformed(volume: Volume, transform: tio.Transform, spacing: tuple[float, ...]) -> Volume:
    """Apply a transform; TorchIO's axes are (x, y, z)."""
    affine = np.diag([*spacing, 1.0])
    tensor = torch.from_numpy(np.ascontiguousarray(volume.transpose(2, 1, 0)))[None]
    return transform(tio.ScalarImage(tensor=tensor, affine=affine)).numpy()[0].transpose(2, 1, 0)


def _each_slice(volume: Volume, make: Callable[[int], tio.Transform], spacing: tuple[float, ...]) -> Volume:
    """Apply another transform to each slice."""
    return np.concatenate([_transformed(volume[k : k + 1], make(k), spacing) for k in range(len(volume))])


def _rician(volume: Volume, strength: float, rng: Generator, spacing: tuple[float, ...]) -> Volume:
    """Noise in the real and the imaginary channel, 2 to 10 % of the brightest tissue."""
    sigma = 0.02 * strength
    real, imaginary = (int(seed) for seed in rng.integers(2**31, size=2))
    noisy = _transformed(volume, tio.Noise(mean=0, std=sigma, seed=real), spacing)
    other = _transformed(np.zeros_like(volume), tio.Noise(mean=0, std=sigma, seed=imaginary), spacing)
    return np.hypot(noisy, other)


def _bias_field(volume: Volume, strength: float, rng: Generator, spacing: tuple[float, ...]) -> Volume:
    """A smooth field of a polynomial of order 3, coefficients up to 0.1 to 0.5."""
    coefficients = (0.1 * strength * rng.uniform(-1, 1, 20)).tolist()
    return _transformed(volume, tio.BiasField(coefficients=coefficients, order=3), spacing)


def _blur(volume: Volume, strength: float, rng: Generator, spacing: tuple[float, ...]) -> Volume:
    """Gaussian blur within the slice, 0.8 to 4 mm."""
    return _transformed(volume, tio.Blur(std=(0.8 * strength, 0.8 * strength, 0.0)), spacing)


def _ghosting(volume: Volume, strength: float, rng: Generator, spacing: tuple[float, ...]) -> Volume:
    """Four ghosts along the phase encoding, as of breathing."""
    return _each_slice(
        volume, lambda _: tio.Ghosting(num_ghosts=4, axis=1, intensity=0.3 * strength, restore=0.02), spacing
    )


def _motion(volume: Volume, strength: float, rng: Generator, spacing: tuple[float, ...]) -> Volume:
    """Two movements during each slice: up to 2 to 10 degrees, and 1 to 5 mm.

    The centre of k-space is acquired at rest, so that the anatomy stays where it was drawn.
    """

    def moved(slice_: Volume) -> Volume:
        degrees = np.zeros((2, 3))
        degrees[:, 1] = 2 * strength * rng.uniform(-1, 1, 2)
        translation = np.zeros((2, 3))
        translation[:, [0, 2]] = strength * rng.uniform(-1, 1, (2, 2))
        times = np.sort(rng.uniform(0.15, 0.85, 2))
        motion = tio.Motion(degrees=degrees, translation=translation, times=times, image_interpolation="linear")
        upright = slice_[:, None]  # TorchIO fills k-space along the last axis, which has to be the rows
        return _transformed(upright, motion, (spacing[0], spacing[2], spacing[1]))[:, 0]

    return np.stack([moved(slice_) for slice_ in volume])


def _spike(volume: Volume, strength: float, rng: Generator, spacing: tuple[float, ...]) -> Volume:
    """One spike in each slice's k-space, 0.1 to 0.5 of its largest magnitude."""

    def spiked(_: int) -> tio.Transform:
        place = np.array([[*rng.uniform(0.3, 0.7, 2), 0.5]])
        return tio.Spike(spikes_positions=place, intensity=0.1 * strength)

    return _each_slice(volume, spiked, spacing)


def _gamma(volume: Volume, strength: float, rng: Generator, spacing: tuple[float, ...]) -> Volume:
    """Intensities raised to a power, 1.2 to 2.5."""
    return _transformed(np.maximum(volume, 0), tio.Gamma(gamma=float(np.exp(0.18 * strength))), spacing)


def _contrast(volume: Volume, strength: float, rng: Generator, spacing: tuple[float, ...]) -> Volume:
    """The contrast between muscle and blood shrinks: middle intensities are drawn together, the ends stay."""
    pull = 0.09 * strength  # below 0.5, since more would reverse the order of intensities
    squeezed = tio.Lambda(lambda x: x + pull / torch.pi * torch.sin(2 * torch.pi * x.clamp(0, 1)))
    return _transformed(volume, squeezed, spacing)


def _resolution(volume: Volume, strength: float, rng: Generator, spacing: tuple[float, ...]) -> Volume:
    """Acquired 1.5 to 3.5 times coarser within the slice, and interpolated back."""
    for axis in (0, 1):
        factor = 1 + 0.5 * strength
        coarser = tio.RandomAnisotropy(axes=axis, downsampling=(factor, factor))
        volume = _transformed(volume, coarser, spacing)
    return volume


def _slice_thickness(volume: Volume, strength: float, rng: Generator, spacing: tuple[float, ...]) -> Volume:
    """A slice profile of 0.7 to 2.1 slice distances (full width at half maximum): neighbours mix."""
    width = 0.15 * (strength + 1) * spacing[2]
    return _transformed(volume, tio.Blur(std=(0.0, 0.0, width)), spacing)


CORRUPTIONS: dict[str, Callable[[Volume, float, Generator, tuple[float, ...]], Volume]] = {
    "noise": _rician,
    "bias field": _bias_field,
    "blur": _blur,
    "ghosting": _ghosting,
    "motion": _motion,
    "spike": _spike,
    "gamma": _gamma,
    "contrast": _contrast,
    "resolution": _resolution,
    "slice thickness": _slice_thickness,
}
