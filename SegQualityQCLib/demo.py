"""A sample case that the package computes: a synthetic short-axis heart with well and badly drawn slices.

It imitates a cine-MR stack of 10 slices: chest wall, lung with vessels, liver, right and left ventricle with papillary
muscles, coil shading, blur and Rician noise. It is the same on every machine and needs neither data nor network.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from numpy.random import Generator
from numpy.typing import NDArray

from .case.case import Case

RIGHT_VENTRICLE, MYOCARDIUM, LEFT_VENTRICLE = 1, 2, 3
SEGMENT_NAME = "LV myocardium"

_SHAPE = (256, 216)  # rows, columns
_SPACING_MM = (1.5, 1.5, 10.0)
_SLICES = 10
_DRAWN = range(1, 9)
_GAP, _SHIFTED, _LOST_SECTOR, _THINNED, _LEAKING = 4, 2, 5, 7, 6

Plane = NDArray[np.float64]
Mask = NDArray[np.bool_]


def demo_images() -> tuple[sitk.Image, sitk.Image]:
    """The image, and the candidate labelmap: 2 is the left ventricular myocardium.

    Slices 1 to 8 show the ventricles. The candidate is correct on slices 1, 3 and 8; it is shifted on slice 2, missing
    on slice 4, lacks a sector on slice 5, leaks into the cavity on slice 6 and is too thin on slice 7.
    """
    candidate = np.stack([_candidate(k) for k in range(_SLICES)]).astype(np.uint8) * MYOCARDIUM
    return _image(np.stack([_signal(k) for k in range(_SLICES)])), _image(candidate)


def demo_reference() -> sitk.Image:
    """The true labelmap of the heart: right ventricle 1, myocardium 2, left ventricle 3."""
    labels = np.zeros((_SLICES, *_SHAPE), np.uint8)
    for k in _DRAWN:
        right, muscle, cavity = _ventricles(k)
        labels[k][right], labels[k][muscle], labels[k][cavity] = RIGHT_VENTRICLE, MYOCARDIUM, LEFT_VENTRICLE
    return _image(labels)


def demo_case() -> Case:
    """The case of the candidate's myocardium."""
    image, labels = demo_images()
    return Case.from_images(
        image,
        labels,
        label=MYOCARDIUM,
        segment=SEGMENT_NAME,
        image_name="demo heart",
        segmentation_name="demo candidate",
    )


def _image(array: NDArray) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(_SPACING_MM)
    image.SetOrigin([-(n - 1) / 2 * s for n, s in zip(image.GetSize(), _SPACING_MM, strict=True)])
    return image


def _coordinates(k: int) -> tuple[Plane, Plane]:
    """Millimetres right (towards the patient's left) and down (posterior) of the left ventricle's middle on a slice."""
    y, x = np.indices(_SHAPE) * _SPACING_MM[0]
    return x - 165 - 1.6 * k, y - 178 - 1.2 * k


def _ventricles(k: int) -> tuple[Mask, Mask, Mask]:
    """Right cavity, myocardium and left cavity of a slice."""
    x, y = _coordinates(k)
    angle = np.arctan2(y, x)
    wobble = 1 + 0.04 * np.cos(2 * angle + 0.5 + 0.2 * k) + 0.025 * np.cos(3 * angle + k)
    taper = np.sqrt(np.clip(1 - ((k - 2) / 7.6) ** 2, 0.0, 1.0)) if k > 2 else 1.0 - 0.03 * (2 - k)
    radius = np.hypot(x, y) / wobble
    outer, inner = 35 * taper, 35 * taper - 10.5 + 2.0 * (1 - taper)
    inner = max(inner, 2.5)
    cavity, heart = radius < inner, radius < outer
    reach = 33 * taper
    right = (np.hypot((x + 0.72 * outer) / (reach + 7), (y + 4) / (reach + 1)) < 1) & ~(radius < outer + 1)
    right &= x < 0.1 * outer
    return right, heart & ~cavity, cavity


def _candidate(k: int) -> Mask:
    """The candidate mask of a slice, with its fault where it has one."""
    if k not in _DRAWN or k == _GAP:
        return np.zeros(_SHAPE, bool)
    _, muscle, cavity = _ventricles(k)
    x, y = _coordinates(k)
    if k == _SHIFTED:
        return np.roll(muscle, (8, 13), axis=(0, 1))
    if k == _LOST_SECTOR:
        return muscle & (np.abs(np.arctan2(y, x) - 0.6) > 1.55)
    if k == _THINNED:
        return muscle & (np.hypot(x, y) < np.hypot(x, y)[cavity].max() + 2.5)
    if k == _LEAKING:
        return muscle | (cavity & (x > -6))
    return muscle


def _signal(k: int) -> NDArray[np.int16]:
    """The magnitude image of a slice."""
    rng = np.random.default_rng(1000 + k)
    x, y = _coordinates(k)
    signal = _thorax(x, y, k, rng)
    right, muscle, cavity = _ventricles(k)
    if k not in _DRAWN:
        # Above the base lies an atrium with thin walls, below the apex fat and liver.
        right, cavity = np.zeros_like(right), np.hypot(x + 8, y) < (34 if k == 0 else 0)
        muscle = (np.hypot(x + 8, y) < (37 if k == 0 else 0)) & ~cavity
    fat = _grown(right | muscle | cavity, 3) & (y < 26)
    signal[fat] = 0.44
    wall = _grown(right | muscle | cavity, 1)
    signal[wall] = 0.20
    signal[right] = 0.62
    signal[muscle] = 0.21
    signal[cavity] = 0.78
    _blobs(signal, right, rng, count=22, radius=(1.5, 4.0), value=(0.25, 0.5))
    if k in range(2, 8):
        inner = np.hypot(x, y)[cavity].max()
        for direction in (0.9, 2.4):
            at = 0.62 * inner * np.array([np.cos(direction), np.sin(direction)])
            papillary = np.hypot((x - at[0]) / 1.2, y - at[1]) < 0.2 * inner
            signal[papillary & cavity] = 0.33
        _blobs(signal, cavity & (np.hypot(x, y) > 0.75 * inner), rng, count=9, radius=(1.0, 2.5), value=(0.4, 0.6))
    signal *= 1 + 0.07 * _texture(rng, 3.0) + 0.05 * _texture(rng, 1.2)
    signal = _smoothed(signal, 0.75)
    # The coil array lies on the chest: signal falls off with depth.
    signal *= 0.62 + 0.62 * np.exp(-((np.hypot(x + 60, y + 90) / 150) ** 2))
    noise = rng.normal(0, 0.014, (2, *_SHAPE))
    return np.round(1000 * np.hypot(signal + noise[0], noise[1])).astype(np.int16)


def _thorax(x: Plane, y: Plane, k: int, rng: Generator) -> Plane:
    """Air, chest wall, lung with vessels, liver and back muscles around the heart."""
    ellipse = np.hypot((x - 18) / 172, (y - 8) / 118)
    signal = np.full(_SHAPE, 0.015)
    signal[ellipse < 1.0] = 0.72  # subcutaneous fat
    signal[ellipse < 0.93] = 0.20  # muscle and ribs
    signal[ellipse < 0.905] = 0.40
    signal[ellipse < 0.885] = 0.20
    lung = ellipse < 0.85
    signal[lung] = 0.05
    _blobs(signal, lung, rng, count=140, radius=(0.8, 2.6), value=(0.18, 0.55))
    diaphragm = 43 - 2.2 * k + 10 * np.cos((x + 30) / 55)
    liver = lung & (y > diaphragm)
    signal[liver] = 0.25
    _blobs(signal, liver, rng, count=30, radius=(1.2, 4.0), value=(0.34, 0.5))
    mediastinum = lung & (np.hypot((x + 62) / 42, (y + 6) / 62) < 1)
    signal[mediastinum] = 0.34
    _blobs(signal, mediastinum, rng, count=24, radius=(2.0, 7.0), value=(0.15, 0.62))
    aorta = np.hypot(x - 8, y - 78) < 11
    signal[aorta & lung] = 0.66
    spine = np.hypot((x + 26) / 22, (y - 92) / 18) < 1
    signal[spine] = 0.33
    return signal


def _blobs(
    signal: Plane, where: Mask, rng: Generator, *, count: int, radius: tuple[float, float], value: tuple[float, float]
) -> None:
    """Vessels and trabeculae: small ellipses at random places of a region."""
    places = np.argwhere(where)
    if len(places) == 0:
        return
    rows, columns = np.indices(_SHAPE)
    for _ in range(count):
        row, column = places[rng.integers(len(places))]
        height, width = rng.uniform(*radius, 2) / _SPACING_MM[0]
        level = rng.uniform(*value)
        blob = np.hypot((rows - row) / max(height, 0.6), (columns - column) / max(width, 0.6)) < 1
        signal[blob & where] = level


def _grown(mask: Mask, pixels: int) -> Mask:
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    return sitk.GetArrayFromImage(sitk.BinaryDilate(image, [pixels, pixels])).astype(bool)


def _smoothed(plane: Plane, sigma: float) -> Plane:
    return sitk.GetArrayFromImage(sitk.DiscreteGaussian(sitk.GetImageFromArray(plane), [sigma**2, sigma**2]))


def _texture(rng: Generator, sigma: float) -> Plane:
    """Smooth noise of unit variance."""
    plane = _smoothed(rng.normal(size=_SHAPE), sigma)
    return plane / plane.std()
