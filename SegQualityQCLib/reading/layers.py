"""Layers that are decoded when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import overload

import SimpleITK as sitk


class DecodedLayers(Sequence[sitk.Image]):
    """A sequence of labelmaps of which only the last one asked for is kept: all together may be too large."""

    def __init__(self, number: int, decode: Callable[[int], sitk.Image]) -> None:
        self._number = number
        self._decode = decode
        self._last: tuple[int, sitk.Image] | None = None

    def __len__(self) -> int:
        return self._number

    @overload
    def __getitem__(self, index: int) -> sitk.Image: ...

    @overload
    def __getitem__(self, index: slice) -> list[sitk.Image]: ...

    def __getitem__(self, index: int | slice) -> sitk.Image | list[sitk.Image]:
        if isinstance(index, slice):
            return [self[number] for number in range(self._number)[index]]
        if not 0 <= index < self._number:
            raise IndexError(index)
        if self._last is None or self._last[0] != index:
            self._last = None  # it is let go before the next one takes its memory
            self._last = (index, self._decode(index))
        return self._last[1]
