"""A segmentation file, whatever its format: its segments, and the labelmaps that they lie in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import SimpleITK as sitk

from ..case.checks import labels_of, name_of_label
from ..errors import InputError

FRACTIONAL = "fractional"  # the flag of segments that were cut from fractions at one half


@dataclass(frozen=True)
class Segment:
    """A segment of a file.

    Attributes:
        name: What the file calls it; ``label N`` where the file has no names.
        label: Its value in its layer.
        layer: Index of the layer that it lies in.
        code: SNOMED-CT code, where the file has one.
        structure: What it is, where another file says so, as nnU-Net's ``dataset.json`` does.
    """

    name: str
    label: int
    layer: int = 0
    code: str | None = None
    structure: str | None = None

    def __str__(self) -> str:
        """Its name, with its label where the name does not say it."""
        return self.name if self.name == name_of_label(self.label) else f"{self.name} ({self.label})"


@dataclass
class SegmentationFile:
    """A segmentation as its file holds it.

    A labelmap has one layer. Segments that overlap lie in several layers. A format in which each segment has a mask of
    its own has one layer for each segment.

    Attributes:
        name: Name of the file, for messages and reports.
        segments: Its segments, in the order of the file.
        layers: 3-D labelmaps of integers, each on a grid of its own. A format with many large layers gives a sequence
            that decodes a layer when it is asked for.
        is_named: Whether the file itself names its segments.
        flags: What the user should know of all its segments.
    """

    name: str
    segments: tuple[Segment, ...]
    layers: Sequence[sitk.Image]
    is_named: bool
    flags: tuple[str, ...] = ()

    def with_structures(self, structures: Mapping[int, str]) -> SegmentationFile:
        """The file with what another file says of its labels; a file that names its segments stays as it is."""
        if self.is_named:
            return self
        return replace(
            self,
            segments=tuple(replace(one, structure=structures.get(one.label, one.structure)) for one in self.segments),
        )

    def has_layer_of(self, segment: Segment) -> bool:
        """Whether the file has the layer that a segment names."""
        return 0 <= segment.layer < len(self.layers)

    def labelmap_of(self, segment: Segment) -> sitk.Image:
        """The layer that a segment lies in.

        Raises:
            InputError: The file does not have it.
        """
        if not self.has_layer_of(segment):
            raise InputError(
                f"The segment {segment.name} of {self.name} names layer {segment.layer}, which the file does not have."
            )
        return self.layers[segment.layer]

    def is_drawn(self, segment: Segment) -> bool:
        """Whether a segment has a pixel; it has none where the file lacks its layer."""
        if not self.has_layer_of(segment):
            return False
        return bool((sitk.GetArrayViewFromImage(self.layers[segment.layer]) == segment.label).any())

    def drawn(self, segments: Iterable[Segment]) -> list[Segment]:
        """Those of several segments that have a pixel; each layer is searched once."""
        if not self.is_named:  # its segments are the labels that were found in it
            return list(segments)
        labels = [set(labels_of(layer)) for layer in self.layers]
        return [one for one in segments if self.has_layer_of(one) and one.label in labels[one.layer]]

    def release(self) -> None:
        """Let go of the layers, which are large."""
        self.layers = ()
