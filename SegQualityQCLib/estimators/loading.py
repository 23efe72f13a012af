"""How to get the estimator of a model."""

from __future__ import annotations

from pathlib import Path

from ..bundles.bundle import ModelBundle
from ..bundles.catalogue import default_bundle, find_bundle
from ..errors import InputError
from .base import Estimator

DEVICES = ("auto", "cpu", "cuda")


def check_device(device: str) -> None:
    """Check that a device can be used on this machine.

    Raises:
        InputError: It is unknown or absent.
    """
    if device not in DEVICES:
        raise InputError(f"The device {device!r} is not known: use one of {', '.join(DEVICES)}.")
    if device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise InputError("There is no CUDA device on this machine: use --device cpu.")


def load_estimator(model: str | Path | ModelBundle | None = None, device: str = "auto") -> Estimator:
    """The estimator of a model.

    Args:
        model: Name of a bundled model, a bundle's folder or a loaded bundle; ``None`` takes the best bundled model.
        device: ``"auto"`` (CUDA where there is one), ``"cpu"`` or ``"cuda"``.

    Raises:
        BundleError: The model is missing or damaged.
        InputError: The device is unknown or absent.
    """
    import torch

    from .networks.network_estimator import DirectEstimator, RecRegEstimator

    check_device(device)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if model is None:
        bundle = default_bundle()
    elif isinstance(model, ModelBundle):
        bundle = model
    else:
        bundle = ModelBundle.load(find_bundle(model))
    kinds: dict[str, type[DirectEstimator]] = {"direct": DirectEstimator, "rec-reg": RecRegEstimator}
    kind = kinds[bundle.quality["estimator"]]
    try:
        estimator = kind(bundle, torch.device(device))
    except torch.cuda.OutOfMemoryError:  # others fill the GPU
        estimator = kind(bundle, torch.device("cpu"))
        estimator.short_of_memory = True
    estimator.try_out()
    return estimator
