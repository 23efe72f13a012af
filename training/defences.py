"""Two cheap defences that need no training: both wrap what is attacked, so that the attack goes through them."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from .attacks import Score


def smoothed(score: Score, sigma: float) -> Score:
    """The image is blurred by a Gaussian of ``sigma`` pixels before anything else sees it."""
    reach = max(1, round(3 * sigma))
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float32)
    weights = torch.exp(-0.5 * (offsets / sigma) ** 2)
    weights = weights / weights.sum()

    def blurred(image: Tensor) -> Tensor:
        padded = torch.nn.functional.pad(image, (reach,) * 4, mode="replicate")
        along_y = torch.nn.functional.conv2d(padded, weights.reshape(1, 1, -1, 1))
        return torch.nn.functional.conv2d(along_y, weights.reshape(1, 1, 1, -1))

    return lambda image: score(blurred(image))


def averaged(score: Score, sigma: float, copies: int, generator: Generator) -> Score:
    """The mean logit over copies of the image with Gaussian noise, drawn anew at each call.

    An attack through it follows the mean gradient over the noise, so that chance does not hide a weakness (Athalye et
    al., "Obfuscated gradients give a false sense of security", ICML 2018).
    """

    def noisy(image: Tensor) -> Tensor:
        total = torch.zeros(len(image))
        for _ in range(copies):
            total = total + score(image + sigma * torch.randn(image.shape, generator=generator))
        return total / copies

    return noisy
