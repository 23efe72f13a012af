"""Weights of networks, read from a bundle without executing anything in it."""

from __future__ import annotations

import zipfile

import torch
from torch import Tensor

from ...bundles.bundle import MAX_FILE_BYTES, ModelBundle
from ...errors import BundleError


def read_weights(bundle: ModelBundle, file: str) -> dict[str, Tensor]:
    """The tensors of a weight file, as float32.

    Args:
        bundle: The bundle.
        file: Path inside the bundle, for example ``models/reg_net.pt``.

    Raises:
        BundleError: The file holds anything but finite floating-point tensors.
    """
    size = _check_archive(bundle, file)
    told = f"The weights {file} of the model {bundle.name}"
    try:
        state = torch.load(bundle.folder / file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for damaged or hostile files
        raise BundleError(f"{told} hold something other than tensors: refused.") from error
    if not isinstance(state, dict) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in state.items()
    ):
        raise BundleError(f"{told} are not a table of tensors: refused.")
    for tensor in state.values():
        if tensor.layout != torch.strided or tensor.device.type != "cpu" or not _holds_its_values(tensor, size):
            raise BundleError(f"{told} declare tensors that are larger than the file: refused.")
    for key, tensor in state.items():
        if tensor.dtype not in (torch.float32, torch.float16) or not torch.isfinite(tensor).all():
            raise BundleError(
                f"The weights {key} in {file} of the model {bundle.name} are not finite float32 or float16."
            )
    return {key: tensor.float() for key, tensor in state.items()}


def _check_archive(bundle: ModelBundle, file: str) -> int:
    """A weight file is a zip archive whose members are stored, not compressed: so it cannot grow when read.

    Returns the bytes of its largest member, which no tensor can be larger than.
    """
    told = f"The weights {file} of the model {bundle.name}"
    try:
        with zipfile.ZipFile(bundle.folder / file) as archive:
            members = archive.infolist()
    except (OSError, zipfile.BadZipFile) as error:
        raise BundleError(f"{told} are not a PyTorch file.") from error
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise BundleError(f"{told} are compressed inside: refused.")
    if sum(member.file_size for member in members) > MAX_FILE_BYTES:
        raise BundleError(f"{told} are larger than any known model: refused.")
    return max((member.file_size for member in members), default=0)


def _holds_its_values(tensor: Tensor, most_bytes: int) -> bool:
    """Whether a tensor has a value of its own for each place, and the file as many bytes as it claims."""
    own = tensor.untyped_storage().nbytes()
    return tensor.numel() * tensor.element_size() <= own <= most_bytes
