"""Batch normalisation for training alone: it is folded into the convolutions of the network that is exported."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.optim.swa_utils import update_bn


def with_batch_norm(network: nn.Module) -> nn.Module:
    """Normalise after each 3x3 convolution of a network, which is changed in place."""
    for name, child in list(network.named_children()):
        if isinstance(child, nn.Conv2d) and _is_normalised(child):
            setattr(network, name, nn.Sequential(child, nn.BatchNorm2d(child.out_channels)))
        else:
            with_batch_norm(child)
    return network


def measure_again(network: nn.Module, inputs: Iterable[Tensor]) -> None:
    """Measure the statistics of the normalisation on some inputs.

    The statistics of averaged weights are not the average of the statistics (Izmailov et al., "Averaging weights leads
    to wider optima and better generalization", UAI 2018): not measured again, they raised the error from .06 to .35.
    """
    update_bn(inputs, network)


def folded(network: nn.Module) -> nn.Module:
    """A copy in evaluation mode that computes the same without normalisation: as it was before, with other weights."""
    return _folded(copy.deepcopy(network).eval())


def _folded(network: nn.Module) -> nn.Module:
    for name, child in list(network.named_children()):
        pair = list(child.children())
        if len(pair) == 2 and isinstance(pair[0], nn.Conv2d) and isinstance(pair[1], nn.BatchNorm2d):
            setattr(network, name, fuse_conv_bn_eval(pair[0], pair[1]))
        else:
            _folded(child)
    return network


@torch.no_grad()
def unfolded(network: nn.Module, inputs: Iterable[Tensor]) -> nn.Module:
    """A copy of a folded network for further training, normalised by the statistics of some inputs.

    The scale and shift of each normalisation undo it, so that the copy computes the same until it is trained.
    """
    result = with_batch_norm(copy.deepcopy(network))
    network = copy.deepcopy(network).eval()
    figures: dict[str, list[tuple[Tensor, Tensor]]] = defaultdict(list)
    for name, child in network.named_modules():
        if _is_normalised(child):

            def keep(module: nn.Module, seen: tuple[Tensor, ...], result: Tensor, name: str = name) -> None:
                variance, mean = torch.var_mean(result, (0, 2, 3), correction=0)
                figures[name].append((mean, variance))

            child.register_forward_hook(keep)
    for batch in inputs:
        network(batch)
    for name, batches in figures.items():
        means, variances = (torch.stack(column) for column in zip(*batches, strict=True))
        mean, variance = means.mean(0), variances.mean(0) + means.var(0, correction=0)
        normalisation = result.get_submodule(f"{name}.1")
        assert isinstance(normalisation, nn.BatchNorm2d)  # with_batch_norm put it there
        state = {"running_mean": mean, "running_var": variance}
        state |= {"weight": (variance + normalisation.eps).sqrt(), "bias": mean}
        normalisation.load_state_dict(state, strict=False)  # the count of batches stays
    return result


def _is_normalised(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3)
