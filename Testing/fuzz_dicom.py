"""The DICOM readers as targets of fuzz.py: valid files, and a function that reads a damaged one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from dicom_files import enhanced, rtstruct_of, seg_of, write, write_series

from SegQualityQCLib.reading.cases import cut_cases
from SegQualityQCLib.reading.dicom.belonging import referenced_series
from SegQualityQCLib.reading.images import read_image
from SegQualityQCLib.reading.segment_choice import chosen_segments
from SegQualityQCLib.reading.segmentations import read_segmentation

Contents = tuple[list[bytes], Callable[[bytes], None]]
SHAPE = (3, 8, 6)


def _image() -> sitk.Image:
    image = sitk.GetImageFromArray(np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE))
    image.SetSpacing((1.5, 1.25, 4.0))
    return image


def _reader(folder: Path) -> Callable[[bytes], None]:
    """Reads a segmentation with the series that the sound ones were drawn on."""
    image, path = read_image(write_series(_image(), folder / "series")), folder / "drawn.dcm"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        referenced_series(path)
        file = read_segmentation(path, image, "series")
        for case in cut_cases(image, "series", file, chosen_segments(file)):
            assert case.mask.GetSize() == case.image.GetSize()
            assert case.segment.isprintable()
            assert sitk.GetArrayViewFromImage(case.mask).any()

    return read


def _content(dataset: pydicom.Dataset, folder: Path) -> bytes:
    return write(dataset, folder / "sound.dcm").read_bytes()


def segmentations(folder: Path) -> Contents:
    """DICOM SEG, through to its cases."""
    read, masks = _reader(folder), [np.zeros(SHAPE, bool) for _ in range(2)]
    masks[0][:2, 1:4, 1:4], masks[1][1:, 4:7, 2:5] = True, True
    return [_content(seg_of(_image(), masks, kind), folder) for kind in ("BINARY", "FRACTIONAL", "LABELMAP")], read


def structure_sets(folder: Path) -> Contents:
    """RTSTRUCT, through to its cases."""
    square = np.array([(0.0, 0, 0), (6, 0, 0), (6, 6, 0), (0, 6, 0)])
    oblique = square @ np.array([(0.8, 0, 0.6), (0, 1, 0), (-0.6, 0, 0.8)])
    regions = {"wall": [square, square / 3 + (2, 2, 0), square + (0, 0, 4)], "oblique": [oblique, oblique + (0, 0, 3)]}
    return [_content(rtstruct_of(regions), folder)], _reader(folder)


def multiframe_images(folder: Path) -> Contents:
    """Multi-frame images: a stack, and two phases with their delays."""
    path, images = folder / "image.dcm", [_image(), _image() + 7]

    def read(content: bytes) -> None:
        path.write_bytes(content)
        image = read_image(path, frame=1)
        assert np.isfinite(image.GetOrigin()).all()
        assert min(image.GetSpacing()) > 0

    phases = [(phase, k) for k in (2, 0, 1) for phase in (1, 0)]
    return [
        _content(enhanced(images[:1], [(0, 2), (0, 1), (0, 0)]), folder),
        _content(enhanced(images, phases, delays_ms=[0, 40], rescaling=[(2, 1)] * 6), folder),
    ], read
