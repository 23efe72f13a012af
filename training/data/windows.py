"""The cached windows of all patients, and augmented crops of them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from SegQualityQCLib.case.case import Case
from SegQualityQCLib.case.field_of_view import Window, slice_extents, window_around_mask
from SegQualityQCLib.errors import InputError

from ..study.artifacts import write_arrays
from ..study.configuration import Study


@dataclass(frozen=True)
class Windows:
    """Windows of all slices of all volumes, with a margin around what the networks see.

    Attributes:
        image: Shape (n, side, side), float16 in [-1, 1].
        labels: Shape (n, side, side), uint8 reference labels.
        volume: Number of each slice's volume, shape (n,).
        volume_names: Name of each volume.
        volume_patients: Patient of each volume.
    """

    image: NDArray[np.float16]
    labels: NDArray[np.uint8]
    volume: NDArray[np.int64]
    volume_names: tuple[str, ...]
    volume_patients: tuple[str, ...]

    def write(self, study: Study) -> None:
        """Write the cache into the study's folder, whole or not at all."""
        write_arrays(_path(study), {entry.name: getattr(self, entry.name) for entry in fields(self)})

    @classmethod
    def of(cls, study: Study) -> Windows:
        """Read the cache of a study.

        Raises:
            InputError: It has not been made.
        """
        path = _path(study)
        if not path.is_file():
            raise InputError(f"The windows {path} have not been made: run python -m training.data.prepare first.")
        with np.load(path) as stored:
            return cls(
                stored["image"],
                stored["labels"],
                stored["volume"],
                tuple(stored["volume_names"].tolist()),
                tuple(stored["volume_patients"].tolist()),
            )

    def rows_of(self, patients: list[str]) -> NDArray[np.int64]:
        """The slices of these patients, shape (m,)."""
        chosen = np.isin(np.array(self.volume_patients), patients)
        return np.flatnonzero(chosen[self.volume])

    def rows_of_volume(self, name: str) -> NDArray[np.int64]:
        """The slices of this volume, in order, shape (m,)."""
        return np.flatnonzero(self.volume == self.volume_names.index(name))

    def centroids(self, masks: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Centre (y, x) of the masks of each volume, given for each slice, shape (n, 2).

        Where a volume has nothing drawn, the centre of its window.
        """
        side = self.image.shape[1]
        centres = np.full((len(self.volume_names), 2), (side - 1) / 2)
        pixels = np.arange(side)
        for number in range(len(centres)):
            part = masks[self.volume == number]
            total = part.sum()
            if total:
                centres[number] = (part.sum((0, 2)) @ pixels / total, part.sum((0, 1)) @ pixels / total)
        return centres[self.volume]


def _path(study: Study) -> Path:
    return study.folder / "windows.npz"


def margin_window(study: Study, case: Case) -> Window:
    """Where a volume's windows in the cache lie, their margin included; the case is what :meth:`Volume.read` gave."""
    size = study.window_size + 2 * study.margin
    return window_around_mask(case, slice_extents(case), size=size, spacing_mm=study.window_spacing_mm)


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

    One affine map on a whole batch; MONAI's transforms work sample by sample and took longer than the network itself.

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
