"""Images and segmentations from disk, as cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import SimpleITK as sitk

from ..case.case import Case
from ..case.checks import checked_image
from ..errors import InputError, OutsideImageError
from .dicom.belonging import referenced_series
from .images import read_image
from .nifti_forms import with_agreeing_forms
from .probabilities import with_probabilities
from .samples import with_samples
from .segment_choice import chosen_segments
from .segmentations import read_segmentation
from .segments import Segment, SegmentationFile


def read_cases(
    image_path: str | Path,
    segmentation_path: str | Path,
    *,
    label: int | None = None,
    segment: str | None = None,
    axis: int | str | None = None,
    structures: Mapping[int, str] | None = None,
    samples: Sequence[str | Path] = (),
    probabilities: str | Path | None = None,
    frame: int | None = None,
) -> list[Case]:
    """Read an image and a segmentation and make one case a segment.

    Where none was chosen, segments that are empty or wholly outside the image are left out; for the latter the others
    carry the flag ``segment_left_out``.

    Args:
        image_path: Image file or DICOM folder.
            A folder may hold several series where the segmentation names the one that it was drawn on.
        segmentation_path: Labelmap; or Slicer's ``.seg.nrrd``, DICOM SEG or RTSTRUCT with names and layers.
        label: Label value of the one segment wanted.
        segment: Name of the one segment wanted.
        axis: Slice axis, see :meth:`Case.from_images`.
        structures: What the labels of a file without names are. The segments are still called ``label N``, so that
            stored scores find them; models are found by these words.
        samples: Other segmentations of the image; their segments are found by name where both files have names, else by
            label. One that equals the candidate is left out.
        probabilities: A map of one structure, a 4-D file or nnU-Net's ``.npz`` with one map a class, or a path with the
            place ``{label}`` for one file a class.
        frame: Which image of a cine or of a 4-D file, from 1.

    Raises:
        InputError: Something cannot be read, chosen or assessed, or a labelmap without names has so many values that it
            looks like an image, and none was chosen.
    """
    if label is not None and segment is not None:
        raise InputError("A label and a segment name were both given: use one of them.")
    image_path, segmentation_path = Path(image_path), Path(segmentation_path)
    drawn_on = referenced_series(segmentation_path) if image_path.is_dir() else frozenset()
    stored = read_image(image_path, frame=frame, drawn_on=drawn_on)
    file = read_segmentation(segmentation_path, stored, image_path.name)
    image = checked_image(stored, image_path.name)
    if structures is not None:
        file = file.with_structures(structures)
    file, flags = with_agreeing_forms(image, image_path, file, segmentation_path)
    chosen = chosen_segments(file, label, segment)
    cases = cut_cases(image, image_path.name, file, chosen, axis)
    cases = [replace(case, flags=(*case.flags, *flags)) for case in cases]
    if not samples and probabilities is None:
        return cases
    segments = _segments_of(cases, chosen, file.name)
    if samples:
        cases = with_samples(cases, segments, file.is_named, [Path(path) for path in samples], stored)
    if probabilities is not None:
        cases = with_probabilities(cases, segments, Path(probabilities))
    return cases


def _segments_of(cases: Sequence[Case], segments: Sequence[Segment], name: str) -> list[Segment]:
    """What the file calls the segment of each case."""
    names = [segment.name for segment in segments]
    for case in cases:
        if names.count(case.segment) > 1:
            raise InputError(
                f"In the segmentation {name} several segments are called {case.segment!r}, so that samples and "
                "probabilities cannot be told apart: choose one with --label."
            )
    return [segments[names.index(case.segment)] for case in cases]


def cut_cases(
    image: sitk.Image,
    image_name: str,
    file: SegmentationFile,
    segments: Sequence[Segment],
    axis: int | str | None = None,
) -> list[Case]:
    """Make one case of each of some segments of a file; the file's layers are released on the way.

    Args:
        image: 3-D image.
        image_name: What messages and reports call it.
        file: The segmentation file.
        segments: Segments of it, at least one.
        axis: Slice axis, see :meth:`Case.from_images`.

    Returns:
        The cases of the segments that overlap the image.

    Raises:
        InputError: A segment cannot be assessed, or none overlaps the image.
    """
    cases: list[Case] = []
    outside: list[OutsideImageError] = []
    for number, segment in enumerate(segments, start=1):
        labelmap = file.labelmap_of(segment)
        if number == len(segments):
            file.release()  # the last mask is cut out without keeping the other layers of a large volume
        try:
            case = Case.from_images(
                image,
                labelmap,
                label=segment.label,
                axis=axis,
                segment=segment.name,
                image_name=image_name,
                segmentation_name=file.name,
                terminology_code=segment.code,
                structure=segment.structure,
            )
        except OutsideImageError as error:
            outside.append(error)
        else:
            cases.append(case)
    if not cases:
        raise outside[0]
    flags = (*file.flags, *(("segment_left_out",) if outside else ()))
    return [replace(case, flags=(*case.flags, *flags)) for case in cases] if flags else cases
