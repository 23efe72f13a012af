"""The two networks of Zhou, Deng and Wu (arXiv 1903.08773): REC-Net and REG-Net."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class RecNet(nn.Module):
    """Reconstructs an image slice from the slice with the target masked out (section 2.1 of the paper).

    A skip-connected auto-encoder: per level two 3x3 convolutions with ReLU, max-pooling by 2 on the way down,
    transposed 2x2 convolutions with stride 2 and concatenated skips on the way up, tanh at the end.

    Input and output: shape (n, 1, h, w) in [-1, 1]; h and w are multiples of ``2 ** (len(filters) - 1)``.

    Args:
        filters: Channels of each level, from full resolution to the bottleneck.
    """

    def __init__(self, filters: Sequence[int] = (16, 32, 64, 128)) -> None:
        super().__init__()
        self.down = nn.ModuleList(
            _double_convolution(before, after) for before, after in zip((1, *filters[:-1]), filters, strict=True)
        )
        upward = list(filters[::-1])
        self.enlarge = nn.ModuleList(
            nn.ConvTranspose2d(deep, shallow, 2, stride=2) for deep, shallow in itertools.pairwise(upward)
        )
        self.up = nn.ModuleList(_double_convolution(2 * shallow, shallow) for shallow in upward[1:])
        self.out = nn.Conv2d(filters[0], 1, 1)

    def forward(self, masked: Tensor) -> Tensor:
        """Reconstruct the image from ``masked`` = I * (1 - S)."""
        skips = []
        x = masked
        for level, convolutions in enumerate(self.down):
            x = convolutions(x if level == 0 else nn.functional.max_pool2d(x, 2))
            skips.append(x)
        skips.pop()
        for enlarge, convolutions in zip(self.enlarge, self.up, strict=True):
            x = convolutions(torch.cat([enlarge(x), skips.pop()], dim=1))
        return torch.tanh(self.out(x))


class RegNet(nn.Module):
    """Predicts Dice from a two-channel slice: (D, S) in the paper, (I, S) after Robinson et al. 2018.

    AlexNet-like: stages of 3x3 convolutions with ReLU and max-pooling by 2, then fully connected layers with two
    dropouts of 0.5 and a sigmoid.

    Input: shape (n, 2, window, window). Output: shape (n,), predicted Dice in (0, 1).

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
        self.pool: nn.Module = nn.Flatten() if pooling == "flatten" else nn.Sequential(_GlobalMean(), nn.Flatten())
        sizes = [channels * side * side if pooling == "flatten" else channels, *hidden]
        head: list[nn.Module] = []
        for before, after in itertools.pairwise(sizes):
            head += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(0.5)]
        self.head = nn.Sequential(*head, nn.Linear(sizes[-1], 1))

    def logits(self, pair: Tensor) -> Tensor:
        """Predicted Dice before the sigmoid, shape (n,)."""
        return self.head(self.pool(self.features(pair))).squeeze(1)

    def forward(self, pair: Tensor) -> Tensor:
        """Predicted Dice, shape (n,)."""
        return torch.sigmoid(self.logits(pair))


class _GlobalMean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=(2, 3), keepdim=True)


def difference(image: Tensor, mask: Tensor, rec_net: RecNet) -> Tensor:
    """The difference image D = I - REC(I * (1 - S)), signed, in [-2, 2] (equation 2 of the paper).

    Args:
        image: I, shape (n, 1, h, w) in [-1, 1].
        mask: S, the same shape, of 0 and 1.
        rec_net: The reconstruction network.
    """
    return image - rec_net(image * (1 - mask))


def _double_convolution(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.Conv2d(after, after, 3, padding=1), nn.ReLU()
    )
