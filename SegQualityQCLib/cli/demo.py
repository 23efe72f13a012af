"""``segquality demo``: score a sample case that the package makes by itself, and save it to try the other commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import SimpleITK as sitk
import typer

from ..demo import MYOCARDIUM, SEGMENT_NAME, demo_case, demo_images
from ..errors import InputError
from .assess import Device, Model, Quiet, Threshold, assess_cases, print_reports
from .failing import one_sentence_on_bad_input

IMAGE_FILE, SEGMENTATION_FILE = "image.nii.gz", "segmentation.seg.nrrd"


def demo_command(
    model: Model = None,
    device: Device = "auto",
    threshold: Threshold = 0.7,
    save: Annotated[
        Optional[Path],  # noqa: UP045 - Typer reads the annotation at run time, on Python 3.10 too
        typer.Option(help="Also write image and segmentation into this folder, to try the other commands on."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Score a synthetic short-axis heart with well and badly drawn slices; needs no data and no network."""
    with one_sentence_on_bad_input():
        if save is not None:
            _check_is_free(save)
        reports = assess_cases([demo_case()], model, device, quiet=quiet)
        if save is not None:
            save_demo(save)
    if not quiet:
        print_reports(reports, threshold, model_named=model is not None)
        if save is not None:
            typer.echo(f"Written: {save / IMAGE_FILE} and {save / SEGMENTATION_FILE}")


def save_demo(folder: Path) -> None:
    """Write the demo heart as ``image.nii.gz`` and its candidate as ``segmentation.seg.nrrd`` into a folder.

    Raises:
        InputError: The folder cannot be written to, or holds files of these names already.
    """
    _check_is_free(folder)
    image, labels = demo_images()
    # Slicer's own keys: they carry the name of the segment.
    fields = {"ID": SEGMENT_NAME, "Name": SEGMENT_NAME, "LabelValue": MYOCARDIUM, "Layer": 0, "Color": "0.8 0.6 0.4"}
    for field, value in fields.items():
        labels.SetMetaData(f"Segment0_{field}", str(value))
    labels.SetMetaData("Segmentation_MasterRepresentation", "Binary labelmap")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(image, str(folder / IMAGE_FILE), useCompression=True)
        sitk.WriteImage(labels, str(folder / SEGMENTATION_FILE), useCompression=True)
    except (OSError, RuntimeError) as error:
        raise InputError(f"The demo heart cannot be written into {folder}: choose another folder.") from error


def _check_is_free(folder: Path) -> None:
    for name in (IMAGE_FILE, SEGMENTATION_FILE):
        if (folder / name).exists():
            raise InputError(f"The file {folder / name} exists already: choose another folder.")
