"""Whether an image slice looks like those a model was trained on.

A slice is described by numbers that depend on the image alone, not on the mask, the storage or the orientation: the
quantiles of its intensities in the window and in the window's middle, its gradients, and its radial power spectrum. Its
Mahalanobis distance from the training slices tells whether it is familiar (Lee et al., "A simple unified framework for
detecting out-of-distribution samples", NeurIPS 2018, on fixed descriptors in place of network features).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

_QUANTILES = np.array([0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98])
_RADIAL_BANDS = 8  # narrower ones would hold no frequency at the slow end of a 72-pixel middle
DESCRIPTORS = 2 * len(_QUANTILES) + len(_QUANTILES) - 2 + _RADIAL_BANDS + 1
_SHRINKAGE = 0.02
_LEAST_VARIANCE = 1e-6  # a descriptor that is constant in training must not make the covariance singular


def describe(images: NDArray[np.float32]) -> NDArray[np.float64]:
    """Describe slices by intensity quantiles, gradient quantiles and the radial power spectrum.

    Args:
        images: Shape (n, size, size), values in [-1, 1].

    Returns:
        Shape (n, d).
    """
    n, size, _ = images.shape
    quarter = size // 4
    middle = images[:, quarter : size - quarter, quarter : size - quarter]
    features = [
        _row_quantiles(images.reshape(n, -1)),
        _row_quantiles(middle.reshape(n, -1)),
        np.log(_row_quantiles(_gradient_magnitude(middle).reshape(n, -1))[:, 2:] + 1e-3),
        _radial_spectrum(middle),
    ]
    return np.concatenate(features, axis=1)


def fit_familiarity(
    training: NDArray[np.float32], held_out: NDArray[np.float32], *, quantile: float = 0.99
) -> dict[str, Any]:
    """Fit the statistics on training slices, and the threshold on held-out ones.

    Args:
        training: Slices of the training patients, shape (n, size, size) in [-1, 1].
        held_out: Slices of the validation patients.
        quantile: Share of held-out slices that shall be familiar.

    Returns:
        ``mean`` (d values), ``precision`` (d x d values) and ``threshold`` (squared distance a dimension), rounded so
        that they are short in JSON.
    """
    described = describe(training)
    mean = described.mean(axis=0)
    covariance = np.cov(described, rowvar=False)
    covariance = (1 - _SHRINKAGE) * covariance + np.diag(_SHRINKAGE * np.diag(covariance) + _LEAST_VARIANCE)
    precision = np.linalg.inv(covariance)
    statistics = {"mean": mean.round(6).tolist(), "precision": precision.round(6).tolist()}
    distances = distance(statistics, held_out)
    return {**statistics, "threshold": round(float(np.quantile(distances, quantile)), 4)}


def distance(statistics: dict[str, Any], images: NDArray[np.float32]) -> NDArray[np.float64]:
    """Squared Mahalanobis distance a dimension of each slice from the training slices, shape (n,); about 1 is usual."""
    offset = describe(images) - np.asarray(statistics["mean"])
    return np.einsum("ni,ij,nj->n", offset, np.asarray(statistics["precision"]), offset) / offset.shape[1]


def is_familiar(statistics: dict[str, Any], images: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which slices lie within the threshold, shape (n,)."""
    return distance(statistics, images) <= statistics["threshold"]


def _row_quantiles(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    ranks = (_QUANTILES * (rows.shape[1] - 1)).round().astype(int)
    return np.partition(rows, ranks, axis=1)[:, ranks].astype(np.float64)


def _gradient_magnitude(images: NDArray[np.float32]) -> NDArray[np.float32]:
    along_y = images[:, 2:, 1:-1] - images[:, :-2, 1:-1]
    along_x = images[:, 1:-1, 2:] - images[:, 1:-1, :-2]
    return np.hypot(along_x, along_y) / 2


@lru_cache(maxsize=4)
def _bands(size: int) -> tuple[NDArray[np.signedinteger], NDArray[np.signedinteger]]:
    """The radial band of each frequency, and the number of frequencies in each band."""
    fy, fx = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :]
    radius = np.hypot(fx, fy)
    edges = np.geomspace(1.5 / size, 0.5, _RADIAL_BANDS + 1)
    band = np.digitize(radius, edges)  # 0: the mean and the slowest waves; the last: the corners
    return band.ravel(), np.bincount(band.ravel(), minlength=_RADIAL_BANDS + 2)


def _radial_spectrum(images: NDArray[np.float32]) -> NDArray[np.float64]:
    size = images.shape[1]
    taper = np.hanning(size).astype(np.float32)
    centred = images - images.mean(axis=(1, 2), keepdims=True)
    power = np.abs(np.fft.rfft2(centred * taper * taper[:, None])) ** 2
    band, count = _bands(size)
    sums = np.stack([np.bincount(band, weights=row.ravel(), minlength=len(count)) for row in power])
    return np.log(sums[:, 1:] / np.maximum(count[1:], 1) + 1e-4)
