"""REC-Net and REG-Net of Zhou, Deng and Wu (arXiv 1903.08773), and a REG-Net that judges each pixel."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

_SUBPIXELS = 4  # of each pixel at half resolution
_PIXEL_FIGURES = 5  # what the correction of the pixel head sees beside features
_SPREAD_LIMITS = (0.002, 1.0)  # of an expected error


class _SkipConnected(nn.Module):
    """A skip-connected auto-encoder: per level two 3x3 convolutions with ReLU, max-pooling by 2 on the way down,
    transposed 2x2 convolutions with stride 2 and concatenated skips on the way up, a 1x1 convolution at the end.
    """

    def __init__(self, channels_in: int, channels_out: int, filters: Sequence[int]) -> None:
        super().__init__()
        self.down = nn.ModuleList(
            _double_convolution(before, after)
            for before, after in zip((channels_in, *filters[:-1]), filters, strict=True)
        )
        upward = list(filters[::-1])
        self.enlarge = nn.ModuleList(
            nn.ConvTranspose2d(deep, shallow, 2, stride=2) for deep, shallow in itertools.pairwise(upward)
        )
        self.up = nn.ModuleList(_double_convolution(2 * shallow, shallow) for shallow in upward[1:])
        self.out = nn.Conv2d(filters[0], channels_out, 1)

    def decode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The output before any activation, and the features of the deepest level."""
        skips = []
        for level, convolutions in enumerate(self.down):
            x = convolutions(x if level == 0 else nn.functional.max_pool2d(x, 2))
            skips.append(x)
        deepest = skips.pop()
        for enlarge, convolutions in zip(self.enlarge, self.up, strict=True):
            x = convolutions(torch.cat([enlarge(x), skips.pop()], dim=1))
        return self.out(x), deepest


class RecNet(_SkipConnected):
    """Reconstructs an image slice from the slice with the target masked out (section 2.1 of the paper).

    A skip-connected auto-encoder with tanh at the end.

    Input and output: shape (n, 1, h, w) in [-1, 1]; h and w are multiples of ``2 ** (len(filters) - 1)``.

    Args:
        filters: Channels of each level, from full resolution to the bottleneck.
    """

    def __init__(self, filters: Sequence[int] = (16, 32, 64, 128)) -> None:
        super().__init__(1, 1, filters)

    def forward(self, masked: Tensor) -> Tensor:
        """Reconstruct the image from ``masked`` = I * (1 - S)."""
        reconstruction, _ = self.decode(masked)
        return torch.tanh(reconstruction)


class RegNet(nn.Module):
    """Predicts Dice from a two-channel slice: (D, S) in the paper, (I, S) after Robinson et al. 2018.

    AlexNet-like: stages of 3x3 convolutions with ReLU and max-pooling by 2, then fully connected layers with two
    dropouts of 0.5 and a sigmoid.

    Input: shape (n, 2, window, window). Output: predicted Dice in (0, 1), and 1 for each, both of shape (n,).

    Args:
        filters: Channels after each stage.
        convolutions: Convolutions in each stage (1 in the paper).
        hidden: Sizes of the fully connected layers before the output.
        window: Side of the input in pixels; fixes the size of the first fully connected layer.
        pooling: ``"flatten"`` as in the paper, or ``"mean"`` for global average pooling, which has fewer weights.
    """

    def __init__(
        self,
        filters: Sequence[int] = (16, 32, 64, 64, 64),
        convolutions: int = 1,
        hidden: Sequence[int] = (256, 64),
        window: int = 144,
        pooling: str = "flatten",
    ) -> None:
        super().__init__()
        if pooling not in ("flatten", "mean"):
            raise ValueError(f"pooling must be 'flatten' or 'mean', not {pooling!r}")
        stages: list[nn.Module] = []
        channels = 2
        for width in filters:
            for _ in range(convolutions):
                stages += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
                channels = width
            stages.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*stages)
        side = window // 2 ** len(filters)
        self.pool: nn.Module = (
            nn.Flatten() if pooling == "flatten" else nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        )
        sizes = [channels * side * side if pooling == "flatten" else channels, *hidden]
        head: list[nn.Module] = []
        for before, after in itertools.pairwise(sizes):
            head += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(0.5)]
        self.head = nn.Sequential(*head, nn.Linear(sizes[-1], 1))

    def logits(self, pair: Tensor) -> Tensor:
        """Predicted Dice before the sigmoid, shape (n,)."""
        return self.head(self.pool(self.features(pair))).squeeze(1)

    def forward(self, pair: Tensor) -> tuple[Tensor, Tensor]:
        """Predicted Dice, shape (n,), and 1 for each: this network expects the same error of all slices."""
        dice = torch.sigmoid(self.logits(pair))
        return dice, torch.ones_like(dice)


class Judgement(NamedTuple):
    """What :class:`PixelRegNet` says of n slices.

    Attributes:
        logits: Predicted Dice before the sigmoid, shape (n,).
        spread: The absolute error that is expected of the predicted Dice, shape (n,).
        pixels: How likely the reference holds each pixel, before the sigmoid, shape (n, 1, h, w).
    """

    logits: Tensor
    spread: Tensor
    pixels: Tensor


class PixelRegNet(_SkipConnected):
    """Predicts Dice through the pixels: how likely the reference holds each of them, and from that the Dice.

    The paper's fully connected layers have to learn what Dice is; here it is computed, 2 sum(S p) / (sum(S) + sum(p))
    with the probability p of each pixel, and learnt are the pixels and a correction of the logit, since the Dice of the
    expected reference is not the expected Dice. Dense supervision needs far fewer patients (as in QCResUNet, Qiu et
    al., Medical Image Analysis 2025, which predicts an error map beside the Dice).

    The pair goes in at half resolution with its sub-pixels as channels, and the probabilities come out in the same way
    (Shi et al., CVPR 2016), which halves the time.

    A second small network expects the absolute error of the prediction from the same features; it is trained beside the
    first and sends it no gradient.

    Input: shape (n, 2, h, w), (D, S) or (I, S), with h and w multiples of ``2 ** len(filters)``. Output: predicted Dice
    in (0, 1) and its expected absolute error, shape (n,) each.

    Args:
        filters: Channels of each level, from half resolution to the bottleneck.
        hidden: Size of the hidden layer of the correction and of the expected error.
        smoothing: Standard deviation in pixels of the Gaussian that blurs the first channel; 0 for none.
    """

    def __init__(
        self, filters: Sequence[int] = (32, 64, 96, 128), hidden: Sequence[int] = (64,), smoothing: float = 0.0
    ) -> None:
        super().__init__(2 * _SUBPIXELS, _SUBPIXELS, filters)
        self.smoothing = smoothing
        seen = filters[-1] + _PIXEL_FIGURES
        self.correction = _perceptron(seen, hidden, at_first=0.0)
        self.log_spread = _perceptron(seen + 1, hidden, at_first=math.log(0.05))

    def judge(self, pair: Tensor) -> Judgement:
        """Predicted Dice with what leads to it."""
        first, mask = pair[:, :1], pair[:, 1:]
        first = blurred(first, self.smoothing)
        halves = nn.functional.pixel_unshuffle(torch.cat([first, mask], dim=1), 2)
        sub_pixels, deepest = self.decode(halves.contiguous(memory_format=torch.channels_last))
        pixels = nn.functional.pixel_shuffle(sub_pixels, 2).float()
        probability = torch.sigmoid(pixels)
        mask = mask.float()
        drawn, expected = mask.sum((1, 2, 3)), probability.sum((1, 2, 3))
        overlap = (mask * probability).sum((1, 2, 3))
        doubt = probability * (1 - probability)
        n_pixels = mask.shape[2] * mask.shape[3]
        dice = (2 * overlap + 1e-3) / (drawn + expected + 2e-3)
        figures = torch.stack(
            [
                torch.logit(dice),
                (drawn + 1).log() - math.log(n_pixels),
                (expected + 1).log() - math.log(n_pixels),
                ((mask * doubt).sum((1, 2, 3)) / (drawn + 1)).log1p(),
                (((1 - mask) * doubt).sum((1, 2, 3)) / (drawn + 1)).log1p(),
            ],
            dim=1,
        )
        features = torch.cat([deepest.mean(dim=(2, 3)).float(), figures], dim=1)
        logits = figures[:, 0] + self.correction(features).squeeze(1).float()
        seen = torch.cat([features, logits[:, None]], dim=1).detach()
        spread = self.log_spread(seen).squeeze(1).float().exp().clamp(*_SPREAD_LIMITS)
        return Judgement(logits, spread, pixels)

    def logits(self, pair: Tensor) -> Tensor:
        """Predicted Dice before the sigmoid, shape (n,)."""
        return self.judge(pair).logits

    def forward(self, pair: Tensor) -> tuple[Tensor, Tensor]:
        """Predicted Dice and its expected absolute error, shape (n,) each."""
        judgement = self.judge(pair)
        return torch.sigmoid(judgement.logits), judgement.spread


def reg_network(*, window: int, head: str = "fully connected", **sizes: Any) -> RegNet | PixelRegNet:
    """The REG-Net that a bundle or a study names.

    Args:
        window: Side of the input in pixels.
        head: ``"fully connected"`` as in the paper, or ``"pixels"``.
        sizes: Arguments of :class:`RegNet` or :class:`PixelRegNet`.
    """
    if head == "pixels":
        return PixelRegNet(**sizes)
    if head == "fully connected":
        return RegNet(window=window, **sizes)
    raise ValueError(f"head must be 'fully connected' or 'pixels', not {head!r}")


def blurred(image: Tensor, sigma: float) -> Tensor:
    """Images blurred by a Gaussian of ``sigma`` pixels, shape (n, 1, h, w); 0 leaves them as they are."""
    if sigma == 0:
        return image
    reach = max(1, round(3 * sigma))
    offsets = torch.arange(-reach, reach + 1, dtype=image.dtype, device=image.device)
    weights = torch.exp(-0.5 * (offsets / sigma) ** 2)
    weights = weights / weights.sum()
    padded = nn.functional.pad(image, (reach,) * 4, mode="replicate")
    along_y = nn.functional.conv2d(padded, weights.reshape(1, 1, -1, 1))
    return nn.functional.conv2d(along_y, weights.reshape(1, 1, 1, -1))


def difference(image: Tensor, mask: Tensor, rec_net: RecNet) -> Tensor:
    """The difference image D = I - REC(I * (1 - S)), signed, in [-2, 2] (equation 2 of the paper).

    Args:
        image: I, shape (n, 1, h, w) in [-1, 1].
        mask: S, the same shape, of 0 and 1.
        rec_net: The reconstruction network.
    """
    return image - rec_net(image * (1 - mask))


def _perceptron(size_in: int, hidden: Sequence[int], at_first: float) -> nn.Sequential:
    """Fully connected layers to one figure, which is ``at_first`` before any training."""
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise([size_in, *hidden]):
        layers += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(0.2)]
    last = nn.Linear([size_in, *hidden][-1], 1)
    nn.init.zeros_(last.weight)
    nn.init.constant_(last.bias, at_first)
    return nn.Sequential(*layers, last)


def _double_convolution(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.Conv2d(after, after, 3, padding=1), nn.ReLU()
    )
