"""The networks of MONAI that draw candidates by folds."""

from __future__ import annotations

from monai.networks.nets import AttentionUnet, BasicUNet, DynUNet, SegResNet, UNet
from torch import nn

from SegQualityQCLib.errors import InputError

from ..study.configuration import Architecture

_NETWORKS: dict[str, type[nn.Module]] = {
    "AttentionUnet": AttentionUnet,
    "BasicUNet": BasicUNet,
    "DynUNet": DynUNet,
    "SegResNet": SegResNet,
    "UNet": UNet,
}


def built(architecture: Architecture, classes: int) -> nn.Module:
    """An architecture with random weights: images of one channel to logits of each class.

    Args:
        architecture: The architecture.
        classes: Channels of the output: the structures and the background.

    Raises:
        InputError: Its class or its sizes are not known to MONAI.
    """
    where = f"The architecture {architecture.name} of candidate_nets"
    if architecture.network not in _NETWORKS:
        raise InputError(f"{where} has the network {architecture.network!r}: use {', '.join(_NETWORKS)}.")
    shape = {"spatial_dims": 2, "in_channels": 1, "out_channels": classes}
    try:
        return _NETWORKS[architecture.network](**shape, **architecture.sizes)
    except (TypeError, ValueError, AssertionError, IndexError) as error:
        raise InputError(f"{where} has sizes that {architecture.network} does not take: {error}.") from error
