"""Other segmentations of the same image: samples for the agreement, and references for a calibration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..case.case import Case
from ..case.grids import onto_grid, same_grid
from ..errors import InputError
from .segment_choice import chosen_segments
from .segmentations import read_segmentation
from .segments import Segment, SegmentationFile

LEFT_OUT, RESAMPLED = "sample_left_out", "samples_resampled"

_MOST_BYTES = 4 * 2**30  # of all samples of a file's segments together: one byte a voxel


def with_samples(
    cases: Sequence[Case], segments: Sequence[Segment], is_named: bool, paths: Sequence[Path], image: sitk.Image
) -> list[Case]:
    """Cases of one file with their samples; one that equals the candidate is left out, and a flag says so.

    Args:
        cases: Cases of one segmentation on one image.
        segments: What the file calls the segment of each.
        is_named: Whether the file itself names its segments: then samples that do too are matched by name.
        paths: Files of the samples; one that is given twice counts once.
        image: The image as it was read, 2-D or 3-D.

    Raises:
        InputError: A sample cannot be read, lacks a segment or lies elsewhere, or all together need too much memory.
    """
    files = list(dict.fromkeys(path.resolve() for path in paths))
    needed = len(files) * sum(int(np.prod(case.image.GetSize())) for case in cases)
    if needed > _MOST_BYTES:
        raise InputError(
            f"{len(files)} samples of {len(cases)} segments take {needed / 2**30:.1f} GB of memory, and "
            f"{_MOST_BYTES / 2**30:.0f} GB are allowed: give fewer samples, or choose one segment with --label."
        )
    samples: list[list[sitk.Image]] = [[] for _ in cases]
    flags: list[set[str]] = [set() for _ in cases]
    for path in files:
        for number, (mask, is_resampled) in enumerate(matching_masks(cases, segments, is_named, path, image)):
            if np.array_equal(sitk.GetArrayViewFromImage(mask), sitk.GetArrayViewFromImage(cases[number].mask)):
                flags[number].add(LEFT_OUT)
                continue
            samples[number].append(mask)
            flags[number] |= {RESAMPLED} if is_resampled else set()
    return [
        replace(case, samples=tuple(masks), flags=(*case.flags, *sorted(said)))
        for case, masks, said in zip(cases, samples, flags, strict=True)
    ]


def matching_masks(
    cases: Sequence[Case], segments: Sequence[Segment], is_named: bool, path: Path, image: sitk.Image
) -> Iterator[tuple[sitk.Image, bool]]:
    """The masks of the same segments in another file, on the image's grid, and whether they were resampled.

    Args:
        cases: See :func:`with_samples`.
        segments: See :func:`with_samples`.
        is_named: See :func:`with_samples`.
        path: The other file.
        image: See :func:`with_samples`.

    Raises:
        InputError: It cannot be read, lacks a segment, or lies elsewhere.
    """
    name = cases[0].image_name
    file = read_segmentation(path, image, name)
    for case, segment in zip(cases, segments, strict=True):
        found = _same_segment(file, segment, is_named)
        mask = sitk.Equal(file.labelmap_of(found), found.label)
        is_resampled = not same_grid(mask, case.image)
        mask, _ = onto_grid(mask, case.image, found.name, file.name, name)
        yield mask, is_resampled


def _same_segment(file: SegmentationFile, segment: Segment, is_named: bool) -> Segment:
    """The segment of the same name where both files have names, else that of the same label."""
    by_name = is_named and file.is_named
    (found,) = chosen_segments(
        file, label=None if by_name else segment.label, segment=segment.name if by_name else None
    )
    return found
