"""Labelmaps without names: each value is a segment."""

from __future__ import annotations

from pathlib import Path

import SimpleITK as sitk

from ..case.checks import check_positions, checked_labelmap, labels_of, name_of_label
from .checks.nifti import is_nifti
from .checks.smooth_edges import check_edges, check_no_jpeg
from .images import read_file
from .label_names import names_in_nifti
from .segments import Segment, SegmentationFile


def read_labelmap(path: Path, image: sitk.Image, image_name: str) -> SegmentationFile:
    """Read a labelmap of any format that SimpleITK knows.

    Args:
        path: The file.
        image: The image that it belongs to.
        image_name: Name of the image in messages.

    Raises:
        InputError: It cannot be read, is not a labelmap, or cannot belong to the image.
    """
    file = labelmap_file(read_stored(path, image, image_name), path.name)
    return file.with_structures(names_in_nifti(path)) if is_nifti(path) else file


def read_stored(path: Path, image: sitk.Image, image_name: str) -> sitk.Image:
    """What a segmentation file stores, as it stands there: a labelmap, or the layers of one as a vector image.

    Raises:
        InputError: It cannot be read, or it or the image is 2-D and the other has several slices.
    """
    check_no_jpeg(path)
    stored = read_file(path, "segmentation")
    check_positions(image, stored, image_name, path.name)
    return stored


def labelmap_file(stored: sitk.Image, name: str) -> SegmentationFile:
    """A labelmap that was read, as a segmentation file whose segments are its labels.

    Raises:
        InputError: It is not a labelmap, or it is empty.
    """
    labelmap = checked_labelmap(stored, name)
    labels = labels_of(labelmap)
    check_edges(labelmap, labels, name)
    segments = tuple(Segment(name_of_label(label), label) for label in labels)
    return SegmentationFile(name, segments, [labelmap], is_named=False)
