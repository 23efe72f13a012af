"""Attacks on what REG-Net predicts: FGSM and PGD on an image or a difference image; the mask is never touched.

An attack moves a prediction in a given direction, up (1) or down (-1), slice by slice. It climbs the logit: the sign of
its gradient is that of the absolute error's, and it does not vanish where the sigmoid is flat. All is computed in
float32, also where training uses fewer bits: these would round small gradients to zero and hide a weakness.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from SegQualityQCLib.estimators.networks.architectures import PixelRegNet, RegNet
from SegQualityQCLib.estimators.networks.network_estimator import NetworkEstimator

Score = Callable[[Tensor], Tensor]  # (n, 1, h, w) -> logits of the predicted Dice, (n,)
IMAGE_LIMITS = (-1.0, 1.0)
DIFFERENCE_LIMITS = (-2.0, 2.0)
_STEP = 0.1  # of eps


@dataclass(frozen=True)
class Attacked:
    """The result of PGD.

    Attributes:
        image: The strongest image of all steps, shape (n, 1, h, w); the clean one where no step was stronger.
        logits: The network's logits for it, shape (n,).
        trace: The strongest logits after 0, 1, ... steps, shape (steps + 1, n).
    """

    image: Tensor
    logits: Tensor
    trace: Tensor


def score_of_regression(reg_net: RegNet | PixelRegNet, mask: Tensor) -> Score:
    """REG-Net alone, as a function of its first channel: the difference image, or the image after Robinson."""
    return lambda first: reg_net.logits(torch.cat([first, mask], dim=1))


def score_of_pipeline(estimator: NetworkEstimator, mask: Tensor) -> Score:
    """All that an estimator computes from a windowed image, REC-Net included, differentiable in the image.

    Args:
        estimator: The model.
        mask: The candidate, shape (n, 1, h, w) of 0 and 1; fixed.
    """
    score = score_of_regression(estimator.reg_net, mask)
    return lambda image: score(estimator.first_channel(image, mask))


def direction_of_error(logits: Tensor, dice: Tensor) -> Tensor:
    """Where the absolute error grows: 1 where the prediction is above the true Dice, else -1, shape (n,)."""
    return torch.where(torch.sigmoid(logits) >= dice, 1.0, -1.0)


def gradient(score: Score, image: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient of the directed logits with respect to the image, and the logits."""
    image = image.detach().float().requires_grad_(True)
    with torch.enable_grad(), torch.autocast(image.device.type, enabled=False):
        logits = score(image)
        (slope,) = torch.autograd.grad((direction * logits).sum(), image)
    return slope, logits.detach()


def fgsm(score: Score, image: Tensor, direction: Tensor, eps: float | Tensor, limits: tuple[float, float]) -> Tensor:
    """One step of ``eps`` along the sign of the gradient (Goodfellow et al., ICLR 2015), clipped to the limits."""
    slope, _ = gradient(score, image, direction)
    return step_along(slope, image, eps, limits)


def step_along(slope: Tensor, image: Tensor, eps: float | Tensor, limits: tuple[float, float]) -> Tensor:
    """FGSM's step with a known gradient, which is the same for every eps."""
    return (image + _each(eps, image) * slope.sign()).clamp(*limits)


@torch.no_grad()
def pgd(
    score: Score,
    image: Tensor,
    direction: Tensor,
    eps: float | Tensor,
    limits: tuple[float, float],
    *,
    steps: int,
    generator: Generator,
) -> Attacked:
    """Projected gradient ascent from a random start, in steps of eps / 10 (Madry et al., ICLR 2018).

    Args:
        score: What is attacked.
        image: Clean images, shape (n, 1, h, w).
        direction: 1 or -1 for each slice.
        eps: Largest change of a pixel; one for all, or one for each slice.
        limits: Range that the attacked image is clipped to.
        steps: Gradient steps; the prefix of a longer run is a shorter run.
        generator: Source of the random start.
    """
    eps = _each(eps, image)
    low, high = (image - eps).clamp(*limits), (image + eps).clamp(*limits)
    start = 2 * torch.rand(image.shape, generator=generator, device=image.device) - 1
    at = torch.clamp(image + eps * start, low, high)
    best, best_logits = image, score(image).float()
    trace = []
    for _ in range(steps + 1):
        slope, logits = gradient(score, at, direction)
        better = direction * logits > direction * best_logits
        best = torch.where(better[:, None, None, None], at, best)
        best_logits = torch.where(better, logits, best_logits)
        trace.append(best_logits)
        at = torch.clamp(at + _STEP * eps * slope.sign(), low, high)
    return Attacked(best, best_logits, torch.stack(trace))


def smallest_eps(
    score: Score,
    image: Tensor,
    direction: Tensor,
    threshold: float,
    limits: tuple[float, float],
    *,
    largest: float,
    rounds: int,
    steps: int,
    generator: Generator,
) -> Tensor:
    """The smallest eps with which PGD moves each prediction across a threshold, by bisection.

    Args:
        score: What is attacked.
        image: Clean images, shape (n, 1, h, w).
        direction: 1 or -1 for each slice.
        threshold: Predicted Dice that has to be passed.
        limits: Range that the attacked image is clipped to.
        largest: Where the search begins.
        rounds: Halvings; the answer is ``largest / 2 ** rounds`` too large at most.
        steps: Of each PGD.
        generator: Source of the random starts.

    Returns:
        Shape (n,): 0 where the clean prediction is beyond the threshold, infinity where the largest eps fails.
    """
    edge = torch.logit(torch.tensor(threshold))

    def crossed(eps: Tensor) -> Tensor:
        found = pgd(score, image, direction, eps, limits, steps=steps, generator=generator)
        return direction * found.logits > direction * edge

    failing = torch.zeros(len(image))
    enough = torch.full_like(failing, largest)
    reachable = crossed(enough)
    for _ in range(rounds):
        middle = (failing + enough) / 2
        hit = crossed(middle)
        enough = torch.where(hit, middle, enough)
        failing = torch.where(hit, failing, middle)
    with torch.no_grad():
        already = direction * score(image) > direction * edge
    return torch.where(already, 0.0, torch.where(reachable, enough, torch.inf))


def _each(eps: float | Tensor, image: Tensor) -> Tensor:
    """Eps as a tensor that broadcasts over the pixels of each slice."""
    return torch.as_tensor(eps, dtype=torch.float32, device=image.device).reshape(-1, 1, 1, 1)
