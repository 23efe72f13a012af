"""The segments of a segmentation file, and the choice among them."""

from __future__ import annotations

from dataclasses import dataclass

import SimpleITK as sitk

from ..case.checks import name_of_label
from ..errors import InputError

# More values without a name than this are those of an image. Some labelmaps have more (117 organs, a brain in 200
# parts), but no model judges all of these, so that one of them has to be chosen anyway.
_MOST_LABELS = 60


@dataclass(frozen=True)
class _Segment:
    """A segment of a file: its name, label value, layer, SNOMED-CT code where the file has one, and what another file
    calls it.
    """

    name: str
    label: int
    layer: int = 0
    code: str | None = None
    structure: str | None = None


def _check_number(segments: list[_Segment], name: str) -> None:
    """An image or a probability map in the place of a labelmap would be scored for minutes, value by value."""
    unknown = sum(segment.structure is None for segment in segments)
    if unknown > _MOST_LABELS:
        raise InputError(
            f"The segmentation {name} has {unknown} different values, none with a name: it looks like an image "
            "or a probability map. Were image and segmentation swapped? If it is a labelmap, choose one value with "
            "--label (in a manifest: the column label)."
        )


def _chosen(segments: list[_Segment], label: int | None, segment: str | None, name: str) -> list[_Segment]:
    if label is None and segment is None:
        return list(segments)
    chosen = [one for one in segments if one.label == label or one.name == segment]
    if not chosen:
        wanted = name_of_label(label) if label is not None else f"segment {segment!r}"
        raise InputError(f"The segmentation {name} has no {wanted}: it has {_listed(segments)}.")
    if len(chosen) > 1:
        raise InputError(_several(chosen, segments, label, name))
    return chosen


def _several(chosen: list[_Segment], segments: list[_Segment], label: int | None, name: str) -> str:
    """That a choice fits several segments, and the choice that fits one."""
    names, labels = ([getattr(one, key) for one in segments] for key in ("name", "label"))
    what = f"called {chosen[0].name!r}" if label is None else f"of the label {label}"
    if label is None and all(labels.count(one.label) == 1 for one in chosen):
        return f"In the segmentation {name} several segments are {what}: choose one with --label ({_listed(chosen)})."
    if label is not None and all(names.count(one.name) == 1 for one in chosen):
        return f"In the segmentation {name} several segments are {what}: choose one by its name ({_listed(chosen)})."
    return f"In the segmentation {name} several segments are {what}: give them names of their own."


def _listed(segments: list[_Segment]) -> str:
    """Names with their labels, of the first ones."""
    return ", ".join(f"{one.name} ({one.label})" if _has_own_name(one) else one.name for one in segments[:12])


def _is_drawn(segment: _Segment, layers: list[sitk.Image]) -> bool:
    """Whether a segment has a pixel; a layer that the file does not have is left to others to tell."""
    if not 0 <= segment.layer < len(layers):
        return True
    return bool((sitk.GetArrayViewFromImage(layers[segment.layer]) == segment.label).any())


def _has_own_name(segment: _Segment) -> bool:
    """Whether a segment has a name of its own, and not one made from its label."""
    return segment.name != name_of_label(segment.label)
