"""The demo heart on disk, as labelmaps and as Slicer's .seg.nrrd."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import SimpleITK as sitk

from SegQualityQCLib.demo import demo_images, demo_reference


def write_heart(folder: Path) -> Path:
    """Write the demo heart and its true labelmap in three formats: image.* and labels.*."""
    for ending in ("nii.gz", "nrrd", "mha"):
        sitk.WriteImage(demo_images()[0], str(folder / f"image.{ending}"))
        sitk.WriteImage(demo_reference(), str(folder / f"labels.{ending}"))
    return folder


def write_seg_nrrd(path: Path, image: sitk.Image, segments: Sequence[Mapping[str, object]]) -> None:
    """Write a .seg.nrrd as Slicer does: a labelmap or a vector image of layers, with the segments in the header."""
    for number, segment in enumerate(segments):
        for key, value in segment.items():
            image.SetMetaData(f"Segment{number}_{key}", str(value))
    image.SetMetaData("Segmentation_MasterRepresentation", "Binary labelmap")
    sitk.WriteImage(image, str(path), useCompression=True)
