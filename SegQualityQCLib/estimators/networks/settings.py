"""The settings of the families that run networks on a field of view of each slice; needs no runtime for networks."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ...storage.json_numbers import finite_number, is_whole_number
from ..distribution_check import ImageDistribution

INTENSITY_PERCENTILES = (0.5, 99.5)
_INTENSITY = {"rule": "percentile", "low": INTENSITY_PERCENTILES[0], "high": INTENSITY_PERCENTILES[1]}

# A stranger's bundle must not make networks that fill the memory.
_MAX_FILTERS = 1024
_MAX_CONVOLUTIONS = 32
_MAX_SIDE = 1024  # pixels
_MAX_SMOOTHING = 16  # pixels
_MAX_PIXELS = 2**26  # of one slice in a network's widest level: side² times filters


@dataclass(frozen=True)
class NetworkSettings:
    """What the networks of a bundle see and how large they are.

    Attributes:
        size: Side of the field of view in pixels.
        spacing_mm: Its pixel size.
        networks: Arguments of each network, by its name.
        distribution: The images that the model was trained on, as far as the distribution check describes them.
        image_smoothing: Standard deviation in pixels of the Gaussian that blurs the image before any network sees it.
    """

    NETWORKS: ClassVar[tuple[str, ...]]

    size: int
    spacing_mm: float
    networks: Mapping[str, Mapping[str, Any]]
    distribution: ImageDistribution
    image_smoothing: float = 0.0

    @classmethod
    def weight_file(cls, network: str) -> str:
        """Where the weights of a network are inside a bundle."""
        return f"models/{network}.pt"

    @classmethod
    def read(cls, block: Mapping[str, Any], files: Collection[str]) -> NetworkSettings:
        """Check the block of a bundle; see :class:`~SegQualityQCLib.estimators.registry.Settings`."""
        window = block["window"]
        if not is_whole_number(window["size"], 16, _MAX_SIDE) or not 0.01 <= finite_number(window["spacing_mm"]) <= 100:
            raise ValueError(f"its window {window!r} is impossible")
        if block["intensity"] != _INTENSITY:
            raise ValueError(f"its intensity rule {block['intensity']!r} is not known")
        networks = {name: block["networks"][name] for name in cls.NETWORKS}
        for network in networks.values():
            _check_sizes(network, window["size"])
        expected = sorted(cls.weight_file(name) for name in cls.NETWORKS)
        if sorted(files) != expected:
            raise ValueError(f"its weights must be {', '.join(expected)}")
        return cls(
            size=window["size"],
            spacing_mm=float(window["spacing_mm"]),
            networks=networks,
            distribution=ImageDistribution.from_dict(block["familiarity"]),
            image_smoothing=_checked_smoothing(block.get("image_smoothing", 0)),
        )

    def to_block(self) -> dict[str, Any]:
        """The settings as the block of a bundle."""
        return {
            "window": {"size": self.size, "spacing_mm": self.spacing_mm},
            "intensity": _INTENSITY,
            "image_smoothing": self.image_smoothing,
            "networks": {name: dict(sizes) for name, sizes in self.networks.items()},
            "familiarity": self.distribution.to_dict(),
        }


@dataclass(frozen=True)
class DirectSettings(NetworkSettings):
    """Settings of REG-Net on the image."""

    NETWORKS = ("reg_net",)


@dataclass(frozen=True)
class RecRegSettings(NetworkSettings):
    """Settings of REC-Net with REG-Net on the difference image."""

    NETWORKS = ("rec_net", "reg_net")


def _check_sizes(network: Mapping[str, Any], side: int) -> None:
    sizes = [*network.get("filters", []), *network.get("hidden", []), network.get("convolutions", 1)]
    if len(sizes) > 32 or not all(is_whole_number(size, 1, _MAX_FILTERS) for size in sizes):
        raise ValueError("its networks have impossible sizes")
    if side**2 * max([1, *network.get("filters", [])]) > _MAX_PIXELS or sizes[-1] > _MAX_CONVOLUTIONS:
        raise ValueError("its networks are larger than any known one")
    _checked_smoothing(network.get("smoothing", 0))


def _checked_smoothing(pixels: Any) -> float:
    if not 0 <= finite_number(pixels) <= _MAX_SMOOTHING:
        raise ValueError("its smoothing must be between 0 and 16 pixels")
    return float(pixels)
