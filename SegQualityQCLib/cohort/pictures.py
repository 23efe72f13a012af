"""Small pictures of a case for the cohort's page: all its slices in a row, the worst slices large, the mask's outline.

A case costs about 40 KB, so that the page of a thousand of them stays under 50 MB: grey JPEG for the image, and the
outline as a path that the browser draws sharply in any size and colour.
"""

from __future__ import annotations

import base64
import io
from typing import Any

import contourpy
import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from PIL import Image

from ..case.case import Case
from ..case.field_of_view import FieldOfView, resample_slices
from ..report.report import QualityReport

THUMBNAIL = 80  # pixels a side
LARGE = 192
UNITS = 4  # outlines are in quarters of a thumbnail's pixel
MOST_THUMBNAILS = 24
MOST_LARGE = 3
_FINER = 1.25  # the outline is taken from a grid this much finer than the thumbnail

_MARGIN = 0.3  # of the mask's extent, on each side
_SMALLEST_MM = 20.0
_STRIP_BYTES, _LARGE_BYTES = 14_000, 12_000
_QUALITIES = (75, 60, 45, 30, 20)


def case_pictures(case: Case, report: QualityReport) -> dict[str, Any]:
    """The pictures of a case and its report, as JSON types.

    Returns:
        ``shown`` and ``large``: slice indices, in the order of the pictures; ``strip_jpeg`` and ``large_jpeg``: the
        pictures side by side, base64; ``outlines``: an SVG path for each slice of ``shown``, in units of
        1/:data:`UNITS` of a thumbnail's pixel; empty where nothing is drawn.
    """
    side_mm, centre_mm = _view(case)
    shown = shown_slices(report)
    thumbnails = FieldOfView(centre_mm, THUMBNAIL, side_mm / THUMBNAIL)
    image = resample_slices(case, case.image, thumbnails, np.array(shown, np.int64), sitk.sitkLinear)
    levels = _levels(image)
    fine = round(_FINER * THUMBNAIL)
    worst = [index for index in report.order if index in shown][:MOST_LARGE]
    large = [
        resample_slices(
            case, case.image, FieldOfView(centre_mm, LARGE, side_mm / LARGE), np.array([index]), sitk.sitkLinear
        )
        for index in worst
    ]
    return {
        "shown": shown,
        "strip_jpeg": _jpeg(_grey(image, levels), _STRIP_BYTES),
        "outlines": _outlines(case, FieldOfView(centre_mm, fine, side_mm / fine), shown),
        "large": worst,
        "large_jpeg": _jpeg(_grey(np.concatenate(large), levels), _LARGE_BYTES),
    }


def shown_slices(report: QualityReport) -> list[int]:
    """The slices of the strip, ascending: those not plainly empty; of many, the worst and even steps of the rest."""
    candidates = [score.index for score in report.slices if not score.is_plainly_empty]
    if len(candidates) <= MOST_THUMBNAILS:
        return candidates
    chosen = [index for index in report.order if index in set(candidates)][: MOST_THUMBNAILS // 2]
    rest = [index for index in candidates if index not in set(chosen)]
    steps = np.linspace(0, len(rest) - 1, MOST_THUMBNAILS - len(chosen)).round().astype(int)
    return sorted(chosen + [rest[step] for step in steps])


def _view(case: Case) -> tuple[float, tuple[float, float, float]]:
    """Side in mm and centre of the square that shows the mask on all slices, with a margin."""
    extents = case.extents
    drawn = extents.spans[extents.counts > 0]
    first, last = drawn[:, :, 0].min(axis=0), drawn[:, :, 1].max(axis=0)
    axes = [axis for axis in range(3) if axis != case.axis]
    index = [0.0, 0.0, 0.0]
    index[case.axis] = extents.centroid[case.axis]
    sides = []
    for axis, low, high in zip(axes, first, last, strict=True):
        index[axis] = (low + high) / 2
        sides.append((high - low + 1) * case.spacing_mm[axis])
    x, y, z = case.image.TransformContinuousIndexToPhysicalPoint(index)
    return max((1 + 2 * _MARGIN) * float(max(sides)), _SMALLEST_MM), (float(x), float(y), float(z))


def _levels(image: NDArray[np.float32]) -> tuple[float, float]:
    inside = image[:, ::2, ::2]  # a quarter of the pixels is enough
    inside = inside[np.isfinite(inside)]
    low, high = np.percentile(inside, (1, 98.5)) if inside.size else (0.0, 1.0)
    return float(low), max(float(high), float(low) + 1e-6)


def _grey(image: NDArray[np.float32], levels: tuple[float, float]) -> NDArray[np.uint8]:
    """Slices (n, side, side) as grey pictures side by side, (side, n * side); black outside the image."""
    low, high = levels
    grey = np.nan_to_num(np.clip((image - low) / (high - low), 0, 1), nan=0.0) * 255
    return np.ascontiguousarray(grey.round().astype(np.uint8).transpose(1, 0, 2).reshape(grey.shape[1], -1))


def _jpeg(grey: NDArray[np.uint8], limit: int) -> str:
    """The picture in base64, with the best quality that stays within the limit in bytes, else the lowest."""
    for quality in _QUALITIES:
        data = io.BytesIO()
        Image.fromarray(grey).save(data, "JPEG", quality=quality, optimize=True)
        if data.tell() <= limit:
            break
    return base64.b64encode(data.getvalue()).decode("ascii")


def _outlines(case: Case, field: FieldOfView, shown: list[int]) -> list[str]:
    """The outlines of the mask on slices, seen a little finer than the thumbnails."""
    mask = resample_slices(case, case.mask, field, np.array(shown, np.int64), sitk.sitkLinear)
    mask = np.pad(np.nan_to_num(mask, nan=0.0), ((0, 0), (1, 1), (1, 1)))
    return [_path(plane) if plane.any() else "" for plane in mask]


def _path(plane: NDArray[np.float32]) -> str:
    """The contour at 0.5 of a plane with a border of one pixel, as a path of relative steps."""
    parts = []
    rows, columns = (np.flatnonzero(plane.any(axis=axis)) for axis in (1, 0))
    corner = np.array([columns[0] - 1, rows[0] - 1])  # the border is never drawn on
    plane = plane[corner[1] : rows[-1] + 2, corner[0] : columns[-1] + 2]
    for line in contourpy.contour_generator(z=plane, name="serial").lines(0.5):
        # The padded plane's pixel 1 is the first real one, whose centre lies half a pixel inside the picture.
        points = np.rint((np.asarray(line) + corner - 0.5) / _FINER * UNITS).astype(int)
        points = _simplified(points)
        if len(points) < 3:
            continue
        steps = " ".join(map(str, np.diff(points, axis=0).ravel().tolist()))
        parts.append(f"M{points[0][0]} {points[0][1]}l{steps}z")
    return "".join(parts)


def _simplified(points: NDArray[np.int64]) -> NDArray[np.int64]:
    """The points of a line without repeated points and without points inside a straight stretch."""
    points = points[np.append(True, (np.diff(points, axis=0) != 0).any(axis=1))]
    if len(points) < 3:
        return points
    before, after = points[1:-1] - points[:-2], points[2:] - points[1:-1]
    bends = before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]
    return points[np.concatenate([[True], bends, [True]])]
