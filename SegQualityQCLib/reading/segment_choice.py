"""Which segments of a file are assessed: the one that was chosen, or all that are drawn."""

from __future__ import annotations

from collections.abc import Sequence

from ..case.checks import name_of_label
from ..errors import InputError
from .segments import Segment, SegmentationFile

# More values without a name than this are those of an image. Some labelmaps have more (117 organs, a brain in 200
# parts), but no model judges all of these, so that one of them has to be chosen anyway.
_MOST_LABELS = 60


def chosen_segments(file: SegmentationFile, label: int | None = None, segment: str | None = None) -> list[Segment]:
    """The segment of a label or a name; where neither is given, all that are drawn.

    Args:
        file: The segmentation file.
        label: Label value of the one segment wanted.
        segment: Name of the one segment wanted.

    Returns:
        At least one segment.

    Raises:
        InputError: The choice fits no segment or several, nothing is drawn, or a labelmap without names has so many
            values that it looks like an image, and none was chosen.
    """
    if label is None and not file.is_named:
        _check_number(file)
    if label is None and segment is None:
        chosen = list(file.segments)
    else:
        chosen = [_one_segment(file, label, segment)]
    if len(chosen) != 1:
        chosen = file.drawn(chosen)  # an empty one among several does not stop the others
        if not chosen:
            raise InputError(f"The segmentation {file.name} is empty: draw something, or choose another file.")
    elif file.is_named:
        _check_drawn(file, chosen[0])
    return chosen


def _check_number(file: SegmentationFile) -> None:
    """An image or a probability map in the place of a labelmap would be scored for minutes, value by value."""
    unknown = sum(segment.structure is None for segment in file.segments)
    if unknown > _MOST_LABELS:
        raise InputError(
            f"The segmentation {file.name} has {unknown} different values, none with a name: it looks like an image "
            "or a probability map. Were image and segmentation swapped? If it is a labelmap, choose one value with "
            "--label (in a manifest: the column label)."
        )


def _check_drawn(file: SegmentationFile, segment: Segment) -> None:
    if file.has_layer_of(segment) and not file.is_drawn(segment):
        others = _listed([one for one in file.segments if file.is_drawn(one)])
        drawn_ones = f" ({others})" if others else ""
        raise InputError(f"The segment {segment.name} of {file.name} is empty: choose one that is drawn{drawn_ones}.")


def _one_segment(file: SegmentationFile, label: int | None, segment: str | None) -> Segment:
    chosen = [one for one in file.segments if one.label == label or one.name == segment]
    if not chosen:
        wanted = name_of_label(label) if label is not None else f"segment {segment!r}"
        raise InputError(f"The segmentation {file.name} has no {wanted}: it has {_listed(file.segments)}.")
    if len(chosen) > 1:
        raise InputError(_several(file, chosen, label))
    return chosen[0]


def _several(file: SegmentationFile, chosen: Sequence[Segment], label: int | None) -> str:
    """The sentence that a choice fits several segments, with the choice that fits one."""
    names, labels = ([getattr(one, key) for one in file.segments] for key in ("name", "label"))
    what = f"called {chosen[0].name!r}" if label is None else f"of the label {label}"
    several = f"In the segmentation {file.name} several segments are {what}"
    if label is None and all(labels.count(one.label) == 1 for one in chosen):
        return f"{several}: choose one with --label ({_listed(chosen)})."
    if label is not None and all(names.count(one.name) == 1 for one in chosen):
        return f"{several}: choose one by its name ({_listed(chosen)})."
    return f"{several}: give them names of their own."


def _listed(segments: Sequence[Segment]) -> str:
    """The first segments, by name and label."""
    return ", ".join(str(one) for one in segments[:12])
