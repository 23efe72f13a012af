"""A DICOM series, checked before ITK stacks it: ITK takes any set of slices for an evenly spaced volume."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ...errors import InputError

_POSITION, _ORIENTATION = "0020|0032", "0020|0037"  # Image Position (Patient), Image Orientation (Patient)
_UNEVEN = 0.05  # largest difference between two steps, as a part of the usual step
_ROUNDED_MM = 0.15  # rounding of positions in headers
_TURNED = 1e-3  # largest difference between two direction cosines


def check_series(files: Sequence[str], folder: Path) -> None:
    """Check that slices lie on top of each other in even steps; headers without positions are not checked.

    Raises:
        InputError: Two lie at one position, as in a time series; one is missing; the steps differ; the stack is
            sheared, as with a tilted gantry; or the slices are turned against each other.
        RuntimeError: A file cannot be read.
    """
    headers = [_header(file) for file in files]
    known = [header for header in headers if header is not None]
    if len(files) < 2 or len(known) < len(headers):
        return
    positions, orientations = (np.array(column) for column in zip(*known, strict=True))
    check_stack(positions, orientations, f"DICOM series in {folder}")


def check_stack(positions: NDArray[np.float64], orientations: NDArray[np.float64], what: str) -> None:
    """Check that slices lie on top of each other in even steps, in any order.

    Args:
        positions: N x 3; the centre of the first pixel of each slice, in mm; N is at least 2.
        orientations: N x 6; the direction cosines along its rows and columns.
        what: What messages call the stack.

    Raises:
        InputError: It is no even stack, see :func:`check_series`.
    """
    if np.abs(orientations - orientations[0]).max() > _TURNED:
        raise InputError(f"The {what} holds slices of several directions: give one stack of slices.")
    normal = np.cross(orientations[0, :3], orientations[0, 3:])
    order = np.argsort(positions @ normal)
    moves = np.diff(positions[order], axis=0)
    steps = moves @ normal
    usual = float(np.median(steps))
    if steps.min() <= _UNEVEN * max(usual, 1e-6):
        raise InputError(
            f"The {what} holds several images at one position, such as the phases of a time series: "
            "give one image for each position."
        )
    uneven = max(_UNEVEN * usual, _ROUNDED_MM)
    if np.abs(steps - usual).max() > uneven:
        raise InputError(
            f"The slices of the {what} are {steps.min():.2f} to {steps.max():.2f} mm apart: one is "
            "missing, or they are unevenly spaced; give a whole and even stack."
        )
    if np.linalg.norm(moves - steps[:, None] * normal, axis=1).max() > uneven:
        raise InputError(
            f"The slices of the {what} are shifted against each other, as with a tilted gantry: "
            "resample the volume first."
        )


def _header(file: str) -> tuple[list[float], list[float]] | None:
    """Position and direction cosines of a slice; ``None`` where its header does not say them."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(file)
    reader.ReadImageInformation()
    if not (reader.HasMetaDataKey(_POSITION) and reader.HasMetaDataKey(_ORIENTATION)):
        return None
    try:
        position, orientation = (
            [float(value) for value in reader.GetMetaData(key).split("\\")] for key in (_POSITION, _ORIENTATION)
        )
    except ValueError:
        return None
    return (position, orientation) if (len(position), len(orientation)) == (3, 6) else None
