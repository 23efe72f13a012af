"""Whether an image slice looks like those a model was trained on.

A slice is described by numbers that depend on the image alone, not on the mask, the storage or the orientation: the
quantiles of its intensities in the window and in the window's middle, its gradients, and its power spectrum, by radius
and by direction. Its Mahalanobis distance from the training slices tells whether it is familiar (Lee et al., "A simple
unified framework for detecting out-of-distribution samples", NeurIPS 2018, on fixed descriptors in place of network
features).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

_QUANTILES = np.array([0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98])
_RADIAL_BANDS = 8  # narrower ones would hold no frequency at the slow end of a 72-pixel middle
_DIRECTIONAL_BANDS, _SECTORS = 5, 8
_SLOWEST_DIRECTED = 1 / 16  # cycles a pixel; slower waves are the anatomy's own, and have a direction in each heart
DESCRIPTORS = 2 * len(_QUANTILES) + len(_QUANTILES) - 2 + _RADIAL_BANDS + 1 + 3 * _DIRECTIONAL_BANDS
_SHRINKAGE = 0.02
_LEAST_VARIANCE = 1e-6  # a descriptor that is constant in training must not make the covariance singular
_FOLDS = 9


@dataclass(frozen=True)
class ImageDistribution:
    """The images that a model was trained on, as far as their descriptors tell.

    Attributes:
        mean: Mean descriptors, shape (DESCRIPTORS,).
        precision: Inverse of their covariance, shape (DESCRIPTORS, DESCRIPTORS).
        threshold: Squared distance a dimension within which an image is like them.
    """

    mean: NDArray[np.float64]
    precision: NDArray[np.float64]
    threshold: float = np.inf

    def to_dict(self) -> dict[str, Any]:
        """The distribution as JSON types."""
        return {"mean": self.mean.tolist(), "precision": self.precision.tolist(), "threshold": self.threshold}

    @classmethod
    def from_dict(cls, content: Any) -> ImageDistribution:
        """Read a distribution from JSON types.

        Raises:
            ValueError: It has a wrong shape, or holds something that is not a number.
            KeyError: A part of it is missing.
        """
        mean, precision = content["mean"], content["precision"]
        if len(mean) != DESCRIPTORS or [len(row) for row in precision] != [DESCRIPTORS] * DESCRIPTORS:
            raise ValueError("the statistics of its distribution check have a wrong shape")
        values = [content["threshold"], *mean, *(value for row in precision for value in row)]
        if not all(type(value) in (int, float) and np.isfinite(value) for value in values):
            raise ValueError("the statistics of its distribution check hold a value that is not a number")
        return cls(np.array(mean, np.float64), np.array(precision, np.float64), float(content["threshold"]))


def describe(images: NDArray[np.float32]) -> NDArray[np.float64]:
    """Describe slices by intensity quantiles, gradient quantiles and the power spectrum.

    Turning a slice by 90 degrees or mirroring it changes nothing.

    Args:
        images: Shape (n, size, size), values in [-1, 1].

    Returns:
        Shape (n, DESCRIPTORS).
    """
    n, size, _ = images.shape
    quarter = size // 4
    middle = images[:, quarter : size - quarter, quarter : size - quarter]
    features = [
        _row_quantiles(images.reshape(n, -1)),
        _row_quantiles(middle.reshape(n, -1)),
        np.log(_row_quantiles(_gradient_magnitude(middle).reshape(n, -1))[:, 2:] + 1e-3),
        _spectrum(middle),
    ]
    return np.concatenate(features, axis=1)


def fit_distribution(
    described: NDArray[np.float64], patients: NDArray[np.int64], *, quantile: float = 0.995
) -> ImageDistribution:
    """Fit the statistics on the slices of all patients, and the threshold on patients left out in turn.

    The patients are split into nine parts (fewer where there are fewer patients); the distances of each part are taken
    from the statistics of the others, so that the threshold is that of patients whom the statistics do not know.

    Args:
        described: What :func:`describe` gave for slices of training patients, shape (n, DESCRIPTORS).
        patients: Number of each slice's patient, shape (n,); at least two patients.
        quantile: Share of the left-out slices that shall be familiar.

    Returns:
        The distribution, rounded so that it is short in JSON.
    """
    names, place = np.unique(patients, return_inverse=True)
    if len(names) < 2:
        raise ValueError("The threshold needs slices of at least two patients.")
    part = place % min(_FOLDS, len(names))
    distances = np.empty(len(described))
    for left_out in np.unique(part):
        statistics = _statistics(described[part != left_out])
        distances[part == left_out] = distance(statistics, described[part == left_out])
    return replace(_statistics(described), threshold=round(float(np.quantile(distances, quantile)), 4))


def distance(distribution: ImageDistribution, described: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared Mahalanobis distance a dimension from the training slices, shape (n,); about 1 is usual.

    Args:
        distribution: What :func:`fit_distribution` gave.
        described: What :func:`describe` gave for slices, shape (n, DESCRIPTORS).
    """
    offset = described - distribution.mean
    return np.einsum("ni,ij,nj->n", offset, distribution.precision, offset) / offset.shape[1]


def is_familiar(distribution: ImageDistribution, images: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which slices lie within the threshold, shape (n,)."""
    return distance(distribution, describe(images)) <= distribution.threshold


def _statistics(described: NDArray[np.float64]) -> ImageDistribution:
    covariance = np.cov(described, rowvar=False)
    covariance = (1 - _SHRINKAGE) * covariance + np.diag(_SHRINKAGE * np.diag(covariance) + _LEAST_VARIANCE)
    precision = np.linalg.inv(covariance)
    return ImageDistribution(described.mean(axis=0).round(6), np.asarray(precision, np.float64).round(6))


def _row_quantiles(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    ranks = (_QUANTILES * (rows.shape[1] - 1)).round().astype(int)
    return np.partition(rows, ranks, axis=1)[:, ranks].astype(np.float64)


def _gradient_magnitude(images: NDArray[np.float32]) -> NDArray[np.float32]:
    along_y = images[:, 2:, 1:-1] - images[:, :-2, 1:-1]
    along_x = images[:, 1:-1, 2:] - images[:, 1:-1, :-2]
    return np.hypot(along_x, along_y) / 2


def _spectrum(images: NDArray[np.float32]) -> NDArray[np.float64]:
    """Log power by radius; and in each band how much the strongest and the weakest direction differ from the mean, and
    how elongated the spectrum is.

    Directions tell a picture that is resolved less well one way, as a stack of slices seen from its side.
    """
    n, size, _ = images.shape
    taper = np.hanning(size).astype(np.float32)
    centred = images - images.mean(axis=(1, 2), keepdims=True)
    power = np.abs(np.fft.rfft2(centred * taper * taper[:, None])) ** 2
    radial, directional = (np.log(power.reshape(n, -1) @ bins + 1e-4) for bins in _bins(size))
    directions = directional.reshape(n, _DIRECTIONAL_BANDS, _SECTORS)
    mean = directions.mean(axis=2)
    # Amplitude of the wave cos(2 angle) over the sectors, which fill half a turn.
    elongation = np.abs(directions @ np.exp(2j * np.pi * np.arange(_SECTORS) / _SECTORS)) * 2 / _SECTORS
    return np.concatenate([radial, directions.max(axis=2) - mean, directions.min(axis=2) - mean, elongation], axis=1)


@lru_cache(maxsize=4)
def _bins(size: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Matrices that average the frequencies of each radial band, and of each sector of each directional band."""
    fy, fx = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :]
    radius = np.hypot(fx, fy)
    # The half spectrum holds one of each pair of opposite frequencies, but both where fx is 0 or the fastest.
    weight = np.broadcast_to(np.where((fx == 0) | (fx == 0.5), 0.5, 1.0), radius.shape)
    band = np.digitize(radius, np.geomspace(1.5 / size, 0.5, _RADIAL_BANDS + 1)) - 1  # -1: mean and slowest waves
    directed = np.digitize(radius, np.geomspace(_SLOWEST_DIRECTED, 0.5, _DIRECTIONAL_BANDS + 1)) - 1
    sector = np.round(np.arctan2(fy, fx) / np.pi * _SECTORS).astype(int) % _SECTORS
    inside = (directed >= 0) & (directed < _DIRECTIONAL_BANDS)
    sectors = np.where(inside, directed * _SECTORS + sector, -1)
    return _averaging(band, weight, _RADIAL_BANDS + 1), _averaging(sectors, weight, _DIRECTIONAL_BANDS * _SECTORS)


def _averaging(place: NDArray[np.signedinteger], weight: NDArray[np.float64], count: int) -> NDArray[np.float32]:
    """Matrix (frequencies, count) of the weighted mean in each place; -1 belongs to none."""
    matrix = (place.ravel()[:, None] == np.arange(count)) * weight.ravel()[:, None]
    return (matrix / np.maximum(matrix.sum(axis=0), 1)).astype(np.float32)
