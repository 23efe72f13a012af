"""The memory layout in which convolutions are fastest."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

_Network = TypeVar("_Network", bound=nn.Module)


def channels_last(network: _Network) -> _Network:
    """Lay the network's weights out with the channels last, in place."""
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in PyTorch's stubs
