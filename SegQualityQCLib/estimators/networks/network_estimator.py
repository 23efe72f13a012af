"""What the families that run networks on a field of view of each slice have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...bundles.bundle import ModelBundle, unusable_metadata_refused
from ...bundles.header import TrainedTarget
from ...case.case import Case, CaseInput
from ...case.field_of_view import FieldOfView, field_of_view_around_mask, reaches_outside
from ...errors import BundleError, InputError
from ...report.codes import CaseFlag, SliceFlag, Status
from ..base import Estimator
from ..distribution_check import is_familiar
from ..slice_rules import SliceEstimate
from .architectures import reg_network
from .inputs import NetworkInputs, PreparedImage, extract
from .settings import NetworkSettings
from .weights import read_weights


class Prediction(NamedTuple):
    """What the networks say of n slices.

    Attributes:
        dice: Predicted Dice in [0, 1], shape (n,).
        spread: The absolute error expected of it, which the interval is proportional to, shape (n,); 1 throughout where
            the network expects none.
    """

    dice: NDArray[np.float64]
    spread: NDArray[np.float64]


class NetworkEstimator(Estimator[PreparedImage]):
    """Runs REG-Net on what a family shows it of each slice, and on the mask.

    Where the GPU runs out of memory, fewer slices go through the networks together, and where one is still too many,
    the networks go to the CPU and stay there.

    Args:
        bundle: The model.
        device: ``"auto"`` (CUDA where there is one), ``"cpu"`` or ``"cuda"``.

    Attributes:
        settings: What the networks see and how large they are.
        device: Where the networks are.
        short_of_memory: Whether the GPU ran out of memory; reports say so with the flag ``gpu_memory``.

    Raises:
        BundleError: The weights are damaged or unsafe, or the networks do not work.
    """

    requires = frozenset({CaseInput.IMAGE, CaseInput.MASK})
    settings_class: ClassVar[type[NetworkSettings]]

    def __init__(self, bundle: ModelBundle, device: str = "auto") -> None:
        super().__init__(bundle, device)
        with unusable_metadata_refused(bundle.folder):
            self.settings = self.settings_class.read(bundle.header.block, bundle.header.checksums.keys())
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = torch.device(device)
        self.short_of_memory = False
        try:
            self._load_networks()
        except torch.cuda.OutOfMemoryError:  # others fill the GPU
            self.short_of_memory = True
            self.device = torch.device("cpu")
            self._load_networks()
        self._try_out()

    @abstractmethod
    def first_channel(self, image: Tensor, mask: Tensor) -> Tensor:
        """What REG-Net sees beside the mask, differentiable in the image.

        Args:
            image: Shape (n, 1, size, size) in [-1, 1].
            mask: The same shape, of 0 and 1.
        """

    @property
    def flags(self) -> tuple[str, ...]:
        """Whether the GPU ran out of memory."""
        return (CaseFlag.GPU_MEMORY,) if self.short_of_memory else ()

    def prepare(self, case: Case, parameters: Mapping[str, Any] | None = None) -> PreparedImage:
        """The image in a field of view that is centred on the candidate, or in that of an earlier report."""
        if parameters is not None:
            field, intensity_range = _field_of_view_in(parameters)
            return PreparedImage(case, field, intensity_range)
        return PreparedImage(case, self._field_around(case))

    def estimate(
        self, prepared: PreparedImage, case: Case, slices: Sequence[int], target: TrainedTarget | None
    ) -> list[SliceEstimate]:
        """Estimate drawn slices by the networks, unless they cannot see them or the image is unlike the training's."""
        outside = reaches_outside(case, prepared.field)
        inside = [index for index in slices if not outside[index]]
        estimates = {index: SliceEstimate.without_number(Status.OUT_OF_WINDOW) for index in slices}
        if not inside:
            return list(estimates.values())
        image, mask = prepared.image(inside), prepared.mask(case, inside)
        seen: NDArray[np.bool_] = np.any(mask.reshape(len(mask), -1), axis=1)
        estimates |= {
            index: SliceEstimate.without_number(Status.UNFAMILIAR, SliceFlag.TOO_SMALL)
            for index, has in zip(inside, seen, strict=True)
            if not has
        }
        if seen.any():
            scored = [index for index, has in zip(inside, seen, strict=True) if has]
            estimates |= dict(zip(scored, self._estimates(image[seen], mask[seen]), strict=True))
        return [estimates[index] for index in slices]

    def parameters(self, prepared: PreparedImage) -> dict[str, Any]:
        """The field of view and the intensity range."""
        field = prepared.field
        return {
            "window": {"centre_mm": list(field.centre_mm), "size": field.size, "spacing_mm": field.spacing_mm},
            "intensity_range": list(prepared.intensity_range),
        }

    def inputs(self, case: Case) -> NetworkInputs:
        """What the networks see of all slices of a case."""
        return extract(case, self._field_around(case))

    @torch.inference_mode()
    def predict(self, image: NDArray[np.float32], mask: NDArray[np.uint8]) -> Prediction:
        """Predicted Dice of slices as the networks see them.

        Args:
            image: Shape (n, size, size) in [-1, 1].
            mask: The same shape, of 0 and 1.
        """
        both = self.in_memory(self._forward, image, mask).astype(np.float64)
        if not np.isfinite(both).all():
            raise BundleError(f"The model {self.bundle.name} predicts something that is not a number: use another one.")
        return Prediction(both[:, 0], both[:, 1])

    def in_memory(
        self, forward: Callable[[Tensor, Tensor], Tensor], image: NDArray[np.float32], mask: NDArray[np.uint8]
    ) -> NDArray[np.float32]:
        """What ``forward`` makes of slices, with as many together as the memory of the device holds."""
        try:
            output = forward(self._tensor(image), self._tensor(mask)).float().cpu()
            return np.asarray(np.from_dlpack(output), np.float32)
        except torch.cuda.OutOfMemoryError:
            if self.device.type == "cpu" and len(image) <= 1:
                raise
        # Only here, where the exception no longer holds the tensors, can their memory be given back.
        self.short_of_memory = True
        torch.cuda.empty_cache()
        half = len(image) // 2
        if half:
            parts = (slice(None, half), slice(half, None))
            return np.concatenate([self.in_memory(forward, image[part], mask[part]) for part in parts])
        self.device = torch.device("cpu")
        for network in self._networks.values():
            network.to(self.device)
        return self.in_memory(forward, image, mask)

    def _estimates(self, image: NDArray[np.float32], mask: NDArray[np.uint8]) -> list[SliceEstimate]:
        unlike = SliceEstimate.without_number(Status.UNFAMILIAR, SliceFlag.IMAGE)
        familiar = is_familiar(self.settings.distribution, image)
        return [
            SliceEstimate(float(dice), float(spread)) if known else unlike
            for known, dice, spread in zip(familiar, *self.predict(image, mask), strict=True)
        ]

    def _field_around(self, case: Case) -> FieldOfView:
        return field_of_view_around_mask(case, size=self.settings.size, spacing_mm=self.settings.spacing_mm)

    def _load_networks(self) -> None:
        self._networks: dict[str, nn.Module] = {}
        self.reg_net = self._network(reg_network, "reg_net", {"window": self.settings.size})

    def _network(self, kind: Callable[..., nn.Module], name: str, further: Mapping[str, Any] | None = None) -> Any:
        """A network with the weights of its file; nothing is allocated for what the metadata only claims."""
        file = self.settings.weight_file(name)
        weights = read_weights(self.bundle, file)
        try:
            with torch.device("meta"):
                network = kind(**self.settings.networks[name], **(further or {}))
            network.load_state_dict(weights, assign=True)
        except (TypeError, ValueError, LookupError, RuntimeError) as error:
            reason = str(error).splitlines()[0][:120]
            raise BundleError(
                f"The weights {file} of the model {self.bundle.name} do not fit its networks: {reason}."
            ) from error
        network.eval().requires_grad_(False).to(self.device)
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # not in torch's stubs
        self._networks[name] = network
        return network

    def _try_out(self) -> None:
        """Let the networks see an empty slice.

        Raises:
            BundleError: They do not work on a field of view of this size.
        """
        size = self.settings.size
        empty = np.zeros((1, size, size), np.float32)
        try:
            self.predict(empty, empty.astype(np.uint8))
        except torch.cuda.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise BundleError(
                f"The networks of the model {self.bundle.name} do not work on its field of view of {size} pixels: "
                f"{(str(error).splitlines() or ['no reason given'])[0][:120]}."
            ) from error

    def _forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """Predicted Dice and its expected error, shape (n, 2)."""
        return torch.stack(self.reg_net(torch.cat([self.first_channel(image, mask), mask], dim=1)), dim=1)

    def _tensor(self, slices: NDArray) -> Tensor:
        # By DLPack, since the last torch for Macs with Intel processors has no torch.from_numpy and Tensor.numpy for
        # NumPy 2, which Slicer has. It takes no array that is read-only: hence the copy.
        tensor = torch.from_dlpack(np.array(slices, np.float32))[:, None]
        return tensor.to(self.device, memory_format=torch.channels_last)


def _field_of_view_in(parameters: Mapping[str, Any]) -> tuple[FieldOfView, tuple[float, float]]:
    """The field of view and the intensity range that a report was made with."""
    try:
        stored = parameters["window"]
        x, y, z = (float(value) for value in stored["centre_mm"])
        low, high = (float(value) for value in parameters["intensity_range"])
        return FieldOfView((x, y, z), int(stored["size"]), float(stored["spacing_mm"])), (low, high)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError("The report does not say its field of view: assess the case again.") from error
