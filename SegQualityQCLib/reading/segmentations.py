"""Segmentation files: the reader of each format is chosen here."""

from __future__ import annotations

from pathlib import Path

import SimpleITK as sitk

from .dicom.files import DicomKind, dicom_kind
from .dicom.rtstruct import read_rtstruct
from .dicom.seg import read_dicom_seg
from .labelmaps import read_labelmap
from .seg_nrrd import has_segments, read_seg_nrrd
from .segments import SegmentationFile


def read_segmentation(path: Path, image: sitk.Image, image_name: str) -> SegmentationFile:
    """Read a segmentation file by what it is.

    Args:
        path: The file: a labelmap, Slicer's ``.seg.nrrd``, a DICOM SEG or an RTSTRUCT.
        image: The image that it belongs to, as it was read: 2-D or 3-D.
        image_name: Name of the image in messages.

    Raises:
        InputError: It cannot be read, is not a segmentation, is empty, or cannot belong to the image.
    """
    kind = dicom_kind(path)
    if kind is DicomKind.SEGMENTATION:
        read = read_dicom_seg
    elif kind is DicomKind.CONTOURS:
        read = read_rtstruct
    else:
        read = read_seg_nrrd if has_segments(path) else read_labelmap
    return read(path, image, image_name)
