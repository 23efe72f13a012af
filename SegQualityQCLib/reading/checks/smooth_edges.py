"""Masks whose edges were made smooth: JPEG files, and pictures that a drawing program exported with anti-aliasing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ...errors import InputError

_JPEG = (".jpg", ".jpeg", ".jpe", ".jp2", ".j2k")
_FEWEST_BETWEEN = 3  # different values between nothing and the drawn value
_AT_AN_EDGE = 0.95  # share of their pixels that lie at an edge of what is drawn; structures have an inside


def check_no_jpeg(path: Path) -> None:
    """Refuse a segmentation in a format that changes pixels at edges.

    Raises:
        InputError: It is a JPEG file.
    """
    if path.name.lower().endswith(_JPEG):
        raise InputError(
            f"The segmentation {path} is a JPEG file, whose compression changes the values at edges, so that they are "
            "no labels: export it as NIfTI, NRRD or PNG."
        )


def check_edges(labelmap: sitk.Image, labels: list[int], name: str) -> None:
    """Refuse a labelmap whose further values are nothing but the smoothed edge of one.

    Args:
        labelmap: 3-D labelmap of integers.
        labels: Its values above 0, ascending.
        name: Name of the file.

    Raises:
        InputError: Three or more values lie nowhere but between the largest value and the empty pixels.
    """
    between = [label for label in labels if 0 < label < labels[-1]]
    if len(between) < _FEWEST_BETWEEN:
        return
    found = at_edges = 0
    for plane in sitk.GetArrayViewFromImage(labelmap):
        middle = (plane > 0) & (plane < labels[-1])
        if middle.any():
            found += int(middle.sum())
            at_edges += int((middle & _grown(plane == labels[-1], 2) & _grown(plane == 0, 2)).sum())
    if at_edges >= _AT_AN_EDGE * found:
        raise InputError(
            f"The segmentation {name} has smooth edges: {len(between)} values lie nowhere but between {labels[-1]} and "
            "the empty pixels, as after anti-aliasing or smooth resampling, so that they are no labels. Export it "
            "without smoothing, or threshold it."
        )


def _grown(drawn: np.ndarray, steps: int) -> np.ndarray:
    """What is drawn in a plane, with its neighbours in so many steps."""
    padded = np.pad(drawn, steps)
    rows, columns = drawn.shape
    shifts = range(2 * steps + 1)
    return np.logical_or.reduce([padded[y : y + rows, x : x + columns] for y in shifts for x in shifts])
