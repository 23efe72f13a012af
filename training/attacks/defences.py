"""Two cheap defences that need no training; both wrap the attacked model, so that attacks go through them."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from SegQualityQCLib.estimators.networks.architectures import blurred

from .gradient_attacks import Score


def smoothed(score: Score, sigma: float) -> Score:
    """The image is blurred by a Gaussian of ``sigma`` pixels before anything else sees it."""
    return lambda image: score(blurred(image, sigma))


def averaged(score: Score, sigma: float, copies: int, generator: Generator) -> Score:
    """The mean logit over copies of the image with Gaussian noise, drawn anew at each call.

    An attack through it follows the mean gradient over the noise, so that the noise does not hide a weakness (Athalye
    et al., "Obfuscated gradients give a false sense of security", ICML 2018).
    """

    def noisy(image: Tensor) -> Tensor:
        total = torch.zeros(len(image))
        for _ in range(copies):
            total = total + score(image + sigma * torch.randn(image.shape, generator=generator))
        return total / copies

    return noisy
