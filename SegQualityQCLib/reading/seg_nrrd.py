"""The .seg.nrrd of 3D Slicer: segments with names, layers and codes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from ..case.checks import checked_labelmap
from ..case.terminology import snomed_code
from ..errors import InputError
from ..storage.safe_text import printable
from .checks.nrrd_header import LONGEST_HEADER
from .labelmaps import labelmap_file, read_stored
from .segments import Segment, SegmentationFile


def read_seg_nrrd(path: Path, image: sitk.Image, image_name: str) -> SegmentationFile:
    """Read a ``.seg.nrrd``; one whose header names no segments is read as a labelmap.

    Args:
        path: The file.
        image: The image that it belongs to.
        image_name: Name of the image in messages.

    Raises:
        InputError: It cannot be read, its layers are not labelmaps, it is empty, or it cannot belong to the image.
    """
    stored = read_stored(path, image, image_name)
    segments = _segments_of_header(path, stored.GetNumberOfComponentsPerPixel())
    if not segments:
        return labelmap_file(stored, path.name)
    layers = _layers_of(stored)
    del stored  # it is as large as all layers together
    return SegmentationFile(path.name, segments, _checked_layers(layers, path.name), is_named=True)


def _layers_of(stored: sitk.Image) -> list[sitk.Image]:
    """The labelmaps that a vector image holds, as Slicer stores segments that overlap."""
    number = stored.GetNumberOfComponentsPerPixel()
    if number == 1:
        return [stored]
    return [sitk.VectorIndexSelectionCast(stored, layer) for layer in range(number)]


def _checked_layers(layers: list[sitk.Image], name: str) -> list[sitk.Image]:
    """The layers, checked; an empty one is an error only where all are empty."""
    drawn = [sitk.GetArrayViewFromImage(layer).any() for layer in layers]
    return [
        checked_labelmap(layer, name) if has or not any(drawn) else layer
        for layer, has in zip(layers, drawn, strict=True)
    ]


def _segments_of_header(path: Path, layers: int) -> tuple[Segment, ...]:
    try:
        import slicerio
    except ImportError as error:
        raise InputError(
            f"Reading the segment names of {path.name} needs the package slicerio: pip install 'SegQualityQCLib[cli]'."
        ) from error
    try:
        header = slicerio.read_segmentation(str(path), skip_voxels=True)
        names = segment_names(path)  # slicerio leaves out the letters that are not ASCII
        entries = header["segments"]
        places = [_place_of(entry, number, layers, len(entries)) for number, entry in enumerate(entries)]
        segments = tuple(
            Segment(printable(name or str(entry.get("name") or entry["id"])), *place, _code_of(entry))
            for name, entry, place in zip(names, entries, places, strict=True)
        )
    except Exception as error:  # slicerio and pynrrd raise many kinds for damaged headers
        raise InputError(f"The segments of {path.name} cannot be read: its header is damaged.") from error
    _check_kind(path, header)
    _check_places(path, segments, [entry for entry in entries if "labelValue" not in entry])
    return segments


def _place_of(entry: Mapping[str, Any], number: int, layers: int, segments: int) -> tuple[int, int]:
    """Label value and layer of a segment. Slicer up to 4.10 wrote neither: one layer a segment, each drawn with 1."""
    own_layer = number if layers == segments else 0
    return int(entry.get("labelValue", 1)), int(entry.get("layer", 0 if "labelValue" in entry else own_layer))


def _check_kind(path: Path, header: Mapping[str, Any]) -> None:
    kind = str(header.get("mainRepresentation", header.get("masterRepresentation", "")))
    if "fractional" in kind.lower():
        raise InputError(
            f"The segmentation {path.name} is a fractional labelmap, which says of each pixel how much of it is drawn: "
            "convert it to a binary labelmap in 3D Slicer (module Segmentations) and save it again."
        )


def _check_places(path: Path, segments: Sequence[Segment], without_label: Sequence[object]) -> None:
    places = {(segment.label, segment.layer) for segment in segments}
    if without_label and len(places) < len(segments):
        raise InputError(
            f"The file {path.name} does not say which value each of its {len(segments)} segments has: open it in 3D "
            "Slicer and save it again."
        )


def _code_of(entry: Mapping[str, Any]) -> str | None:
    kind = entry.get("terminology", {}).get("type")
    return snomed_code(str(kind[0]), str(kind[1])) if kind and len(kind) > 1 else None


def has_segments(path: Path) -> bool:
    """Whether a file's name is that of a segmentation of 3D Slicer, with names and layers."""
    return path.name.lower().endswith((".seg.nrrd", ".seg.nhdr"))


def segment_names(path: Path) -> list[str]:
    """The names of the segments of a ``.seg.nrrd`` in the order of their numbers, in UTF-8 as Slicer writes them.

    Raises:
        OSError: The file cannot be read.
    """
    numbers: set[int] = set()
    names: dict[int, str] = {}
    with path.open("rb") as file:
        while (line := file.readline(LONGEST_HEADER)).strip(b"\r\n"):
            found = re.match(rb"Segment(\d+)_(\w+):=(.*)", line.rstrip(b"\r\n"))
            if found:
                numbers.add(int(found[1]))
                if found[2] == b"Name":
                    names[int(found[1])] = found[3].decode("utf-8", "replace").strip()
    return [names.get(number, "") for number in sorted(numbers)]
