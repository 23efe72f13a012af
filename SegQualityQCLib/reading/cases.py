"""Images and segmentations from disk, as cases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import SimpleITK as sitk

from ..case.case import Case
from ..case.checks import check_positions, checked_image, checked_labelmap, labels_of, name_of_label
from ..errors import InputError, OutsideImageError
from .images import read_file, read_image
from .seg_nrrd import _named_segments
from .segments import _check_number, _chosen, _is_drawn, _listed, _Segment


def read_cases(
    image_path: str | Path,
    segmentation_path: str | Path,
    *,
    label: int | None = None,
    segment: str | None = None,
    axis: int | str | None = None,
    structures: Mapping[int, str] | None = None,
) -> list[Case]:
    """Read an image and a segmentation and make one case a segment.

    Where none was chosen, segments that are empty or wholly outside the image are left out; for the latter the others
    carry the flag ``segment_left_out``.

    Args:
        image_path: Image file or DICOM folder.
        segmentation_path: Labelmap, or Slicer's ``.seg.nrrd`` with names and layers.
        label: Label value of the one segment wanted.
        segment: Name of the one segment wanted.
        axis: Slice axis, see :meth:`Case.from_images`.
        structures: What the labels of a file without names are. The segments are still called ``label N``, so that
            stored scores find them; models are found by these words.

    Raises:
        InputError: Something cannot be read, chosen or assessed, or a labelmap without names has so many values that it
            looks like an image, and none was chosen.
    """
    if label is not None and segment is not None:
        raise InputError("A label and a segment name were both given: use one of them.")
    image_path, segmentation_path = Path(image_path), Path(segmentation_path)
    image = read_image(image_path)
    stored = read_file(segmentation_path, "segmentation")
    check_positions(image, stored, image_path.name, segmentation_path.name)
    image = checked_image(image, image_path.name)
    named = _named_segments(segmentation_path)
    layers = [stored]
    if named and stored.GetNumberOfComponentsPerPixel() > 1:
        layers = [
            sitk.VectorIndexSelectionCast(stored, layer) for layer in range(stored.GetNumberOfComponentsPerPixel())
        ]
    del stored
    name = segmentation_path.name
    drawn = [sitk.GetArrayViewFromImage(layer).any() for layer in layers]
    layers = [
        checked_labelmap(layer, name) if has or not any(drawn) else layer
        for layer, has in zip(layers, drawn, strict=True)
    ]
    structures = structures or {}
    segments = named or [
        _Segment(name_of_label(value), value, structure=structures.get(value)) for value in labels_of(layers[0])
    ]
    if label is None and not named:
        _check_number(segments, name)
    chosen = _chosen(segments, label, segment, name)
    if named and len(chosen) == 1 and not _is_drawn(chosen[0], layers):
        others = _listed([one for one in segments if _is_drawn(one, layers)])
        drawn_ones = f" ({others})" if others else ""
        raise InputError(f"The segment {chosen[0].name} of {name} is empty: choose one that is drawn{drawn_ones}.")
    if len(chosen) > 1:  # an empty one among several does not stop the others
        present = [set(labels_of(layer)) for layer in layers]
        chosen = [one for one in chosen if 0 <= one.layer < len(layers) and one.label in present[one.layer]]
    if not chosen:
        raise InputError(f"The segmentation {name} is empty: draw something, or choose another file.")
    cases: list[Case] = []
    outside: list[OutsideImageError] = []
    several = len(chosen) > 1
    while chosen:
        one = chosen.pop(0)
        if not 0 <= one.layer < len(layers):
            raise InputError(f"The segment {one.name} of {name} names layer {one.layer}, which the file does not have.")
        labelmap = layers[one.layer]
        if not chosen:
            layers.clear()  # the last mask is cut out without keeping the labelmap of a large volume
        try:
            case = Case.from_images(
                image,
                labelmap,
                label=one.label,
                axis=axis,
                segment=one.name,
                image_name=image_path.name,
                segmentation_name=name,
                terminology_code=one.code,
                structure=one.structure,
            )
        except OutsideImageError as error:
            if not several:
                raise
            outside.append(error)
        else:
            cases.append(case)
    if not cases:
        raise outside[0]
    return [replace(case, flags=(*case.flags, "segment_left_out")) for case in cases] if outside else cases
