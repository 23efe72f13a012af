"""Augmentation: cuts of the cached fields of view, turned, scaled and with other intensities."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Augmentation:
    """How crops vary, beside mirroring.

    Attributes:
        rotation: In degrees, at most.
        scale: Logarithm of the scale, at most.
        stretch: Logarithm of the scale along one axis over that along the other, at most.
        shift: Standard deviation of the centre in pixels.
        far_shifts: Share of crops whose shift is three times as far.
        gamma: Logarithm of the exponent of the intensities, at most.
        brightness: Offset of the intensities, at most.
        bias: Standard deviation of the logarithm of a slowly varying factor on the intensities.
        noise: Standard deviation of Gaussian noise, at most.
    """

    rotation: float = 180.0
    scale: float = 0.12
    stretch: float = 0.0
    shift: float = 5.0
    far_shifts: float = 0.0
    gamma: float = 0.25
    brightness: float = 0.08
    bias: float = 0.0
    noise: float = 0.0


def crop(
    image: Tensor, labels: Tensor, centres: Tensor, size: int, augmentation: Augmentation | None
) -> tuple[Tensor, Tensor]:
    """Cut the networks' window out of larger ones, varied by an augmentation.

    One affine map for a whole batch: MONAI's transforms work sample by sample and took longer than the network itself.

    Args:
        image: Shape (n, side, side), in [-1, 1].
        labels: Shape (n, channels, side, side); resampled by nearest neighbour.
        centres: Centre (y, x) of the crops in pixels, shape (n, 2).
        size: Side of the crops.
        augmentation: ``None`` cuts straight out.

    Returns:
        Images of shape (n, 1, size, size), and labels of shape (n, channels, size, size), both float32.
    """
    n, side, _ = image.shape
    matrix = torch.eye(2).repeat(n, 1, 1)
    centres = centres.to(torch.float32)
    if augmentation is not None:
        angle = torch.deg2rad((2 * torch.rand(n) - 1) * augmentation.rotation)
        scale = torch.exp((2 * torch.rand(n) - 1) * augmentation.scale)
        cos, sin = scale * torch.cos(angle), scale * torch.sin(angle)
        mirror = torch.where(torch.rand(n) < 0.5, -1.0, 1.0)
        matrix = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin * mirror, cos * mirror], 1)], 1)
        stretch = torch.exp((torch.rand(n) - 0.5) * augmentation.stretch)
        matrix = matrix * torch.stack([stretch, 1 / stretch], 1)[:, None]
        far = torch.where(torch.rand(n, 1) < augmentation.far_shifts, 3.0, 1.0)
        centres = centres + augmentation.shift * far * torch.randn(n, 2)
    steps = torch.arange(size, dtype=torch.float32) - (size - 1) / 2
    offsets = torch.stack(torch.meshgrid(steps, steps, indexing="xy"), dim=-1)  # (x, y)
    places = torch.einsum("nij,hwj->nhwi", matrix, offsets) + centres.flip(1)[:, None, None, :]
    grid = (2 * places + 1) / side - 1
    sample = torch.nn.functional.grid_sample
    cut = sample(image[:, None].float() + 1, grid, mode="bilinear", align_corners=False) - 1
    cut_labels = sample(labels.float(), grid, mode="nearest", align_corners=False)
    if augmentation is not None:
        cut = _with_other_intensities(cut, augmentation)
    return cut, cut_labels


def _with_other_intensities(image: Tensor, augmentation: Augmentation) -> Tensor:
    n, _, size, _ = image.shape
    gamma = torch.exp((2 * torch.rand(n, 1, 1, 1) - 1) * augmentation.gamma)
    offset = (2 * torch.rand(n, 1, 1, 1) - 1) * augmentation.brightness
    varied = ((image.clamp(-1, 1) + 1) / 2) ** gamma
    if augmentation.bias > 0:
        coarse = augmentation.bias * torch.randn(n, 1, 3, 3)
        varied = varied * torch.exp(torch.nn.functional.interpolate(coarse, (size, size), mode="bicubic"))
    varied = 2 * varied - 1 + offset
    if augmentation.noise > 0:
        varied = varied + augmentation.noise * torch.rand(n, 1, 1, 1) * torch.randn_like(varied)
    return varied.clamp(-1, 1)
