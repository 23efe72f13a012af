"""The mark in a slice view: a band in the colour of the slice's predicted Dice, and a line of text."""

from __future__ import annotations

from typing import Any

import vtk

from ..report.codes import CaseFlag
from ..report.report import SliceScore, Status
from ..report.wording import short_words
from .colours import colour_of

_BAND_WIDTH = 0.02  # of the view's width
_NO_NUMBER = (0.6, 0.6, 0.6)
_ERROR = (0.65, 0.0, 0.15)


def text_of(score: SliceScore, segment: str, threshold: float, before: float | None = None) -> str:
    """Segment, slice, predicted Dice with its interval, and status, for a slice view."""
    head = f"{segment}, slice {score.index}: "
    if score.dice is None:
        return head + short_words(score.status)
    number = f"{score.dice:.2f}" if before is None else f"{before:.2f} to {score.dice:.2f}"
    low = ", low" if score.is_low(threshold) else ""
    if score.low is None or score.high is None:
        return f"{head}{number}, {short_words(CaseFlag.NOT_CALIBRATED)}{low}"
    return f"{head}Dice {number} ({score.low:.2f} – {score.high:.2f}){low}"


def colour_of_score(score: SliceScore) -> tuple[float, float, float]:
    """Red, green and blue in [0, 1] of a slice's band."""
    if score.dice is not None:
        return colour_of(score.dice)
    return _ERROR if score.status is Status.GAP else _NO_NUMBER


class SliceMark:
    """The mark in one slice view.

    Args:
        renderer: The view's vtkRenderer.
    """

    def __init__(self, renderer: Any) -> None:
        self._renderer = renderer
        self.band = self._rectangle()
        self.text = vtk.vtkTextActor()
        place = self.text.GetPositionCoordinate()
        place.SetCoordinateSystemToNormalizedViewport()
        place.SetValue(2 * _BAND_WIDTH, 0.94)
        style = self.text.GetTextProperty()
        style.SetFontSize(16)
        style.SetShadow(True)
        for actor in (self.band, self.text):
            actor.SetVisibility(False)
            renderer.AddViewProp(actor)

    def show(self, text: str, colour: tuple[float, float, float]) -> None:
        """Show a line of text beside a band of this colour."""
        self.text.SetInput(text)
        self.band.GetProperty().SetColor(*colour)
        self.band.SetVisibility(True)
        self.text.SetVisibility(True)

    def hide(self) -> None:
        """Hide band and text."""
        self.band.SetVisibility(False)
        self.text.SetVisibility(False)

    def remove(self) -> None:
        """Take the mark out of its view."""
        self._renderer.RemoveViewProp(self.band)
        self._renderer.RemoveViewProp(self.text)

    @staticmethod
    def _rectangle() -> Any:
        points = vtk.vtkPoints()
        for x, y in ((0, 0), (_BAND_WIDTH, 0), (_BAND_WIDTH, 1), (0, 1)):
            points.InsertNextPoint(x, y, 0)
        cells = vtk.vtkCellArray()
        cells.InsertNextCell(4, [0, 1, 2, 3])
        outline = vtk.vtkPolyData()
        outline.SetPoints(points)
        outline.SetPolys(cells)
        viewport = vtk.vtkCoordinate()
        viewport.SetCoordinateSystemToNormalizedViewport()
        mapper = vtk.vtkPolyDataMapper2D()
        mapper.SetInputData(outline)
        mapper.SetTransformCoordinate(viewport)
        actor = vtk.vtkActor2D()
        actor.SetMapper(mapper)
        return actor
