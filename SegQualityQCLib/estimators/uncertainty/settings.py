"""The settings of the families that need no training: empty, or what a calibration on the user's own cases found."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from ...report.monotone_map import MonotoneMap
from ...storage.json_numbers import finite_number

_Own = TypeVar("_Own", bound="UncertaintySettings")
_TEMPERATURES = (0.05, 20.0)


@dataclass(frozen=True)
class UncertaintySettings:
    """What turns the figures of a family into a predicted Dice.

    Attributes:
        slice_map: From the figure of a slice to its Dice; ``None`` where it is not calibrated.
        volume_map: The same for volumes.
        cases: Names of the cases that it was calibrated on.
        temperature: What logits are divided by before they are probabilities; 1 changes nothing, and only the family of
            probabilities has another.
    """

    slice_map: MonotoneMap | None = None
    volume_map: MonotoneMap | None = None
    cases: tuple[str, ...] = ()
    temperature: float = 1.0

    @property
    def is_calibrated(self) -> bool:
        """Whether there are maps."""
        return self.slice_map is not None and self.volume_map is not None

    @classmethod
    def read(cls: type[_Own], block: Mapping[str, Any], files: Collection[str]) -> _Own:
        """Check the block of a bundle; see :class:`~SegQualityQCLib.estimators.registry.Settings`."""
        if files:
            raise ValueError("it lists files, and its family has none")
        temperature = finite_number(block.get("temperature", 1.0))
        if not _TEMPERATURES[0] <= temperature <= _TEMPERATURES[1]:
            raise ValueError(f"its temperature {temperature:g} is impossible")
        cases = block.get("cases", [])
        if not isinstance(cases, list) or not all(isinstance(name, str) for name in cases):
            raise ValueError("the names of its cases are not texts")
        maps = block.get("maps")
        if maps is None:
            return cls(None, None, tuple(cases), temperature)
        slices, volumes = (MonotoneMap.from_dict(maps[key]) for key in ("slice", "volume"))
        return cls(slices, volumes, tuple(cases), temperature)

    def to_block(self) -> dict[str, Any]:
        """The settings as the block of a bundle."""
        block: dict[str, Any] = {"temperature": self.temperature, "cases": list(self.cases)}
        if self.slice_map is not None and self.volume_map is not None:
            block["maps"] = {"slice": self.slice_map.to_dict(), "volume": self.volume_map.to_dict()}
        return block


class AgreementSettings(UncertaintySettings):
    """Settings of the agreement with other segmentations."""


class ProbabilitiesSettings(UncertaintySettings):
    """Settings of the expected Dice under probabilities."""
