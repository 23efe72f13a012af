"""Draws the demo heart in Slicer's own slice and 3-D views, without a screen.

Called by docs/make_pictures.py with a Python that has trame-slicer, which brings the displayable managers of Slicer::

    python docs/render_views.py REPORT.json FOLDER

REPORT.json is the report of ``segquality demo``. Writes slice.png, surface.png, and a PNG of the heart on each slice.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np
import slicer
import vtk
from trame_slicer.core import SlicerApp
from trame_slicer.views import DirectRendering, SliceView, ThreeDView

from SegQualityQCLib.demo import SEGMENT_NAME, demo_case, demo_images
from SegQualityQCLib.report.report import QualityReport
from SegQualityQCLib.scene.images import add_segmentation, add_volume
from SegQualityQCLib.scene.navigation import go_to_slice
from SegQualityQCLib.scene.overlays import legend, write_overlay, write_surfaces
from SegQualityQCLib.scene.slice_marks import SliceMark, colour_of_score, text_of
from SegQualityQCLib.scene.visibility import show_overlay, show_surfaces

THRESHOLD = 0.7  # the default of the panel
SLICE_SIZE, SURFACE_SIZE, STRIP_SIZE = (600, 480), (440, 480), (180, 180)


class DemoViews:
    """The demo heart with its results in a scene, and views on it."""

    def __init__(self, report: QualityReport) -> None:
        """Load the demo heart, and write the results of its report into the scene."""
        self.app = SlicerApp()
        self.app.scene.RegisterNodeClass(slicer.vtkMRMLColorLegendDisplayNode())  # as Slicer's Colors module does
        # Before the results, as in the application: a view shows the legends of nodes that come after it.
        self.slice_view = SliceView(
            self.app.scene, self.app.app_logic, "Red", scheduled_render_strategy=DirectRendering()
        )
        image, labels = demo_images()
        self.volume = add_volume(self.app.scene, image, "DemoHeart")
        self.segmentation = add_segmentation(
            self.app.scene, labels, self.volume, "DemoHeart segmentation", [SEGMENT_NAME]
        )
        key = self.segmentation.GetSegmentation().GetNthSegmentID(0)
        self.report = report
        self.overlay = write_overlay(self.segmentation, self.volume, {key: demo_case()}, {key: report})
        write_surfaces(self.segmentation, self.volume, {key: demo_case()}, {key: report})
        self.legend = legend(self.overlay.GetDisplayNode())
        display = self.volume.GetDisplayNode()
        display.AutoWindowLevelOff()
        display.SetWindowLevelMinMax(0, 900)
        # The outline alone: a filled segment would mix its own colour with that of the quality.
        self.segmentation.GetDisplayNode().SetVisibility2DFill(False)
        self.segmentation.GetDisplayNode().SetSliceIntersectionThickness(2)
        self.mark = SliceMark(self.slice_view.first_renderer())
        self.centre = self._centre_of_the_heart()

    def _centre_of_the_heart(self) -> np.ndarray:
        bounds = np.zeros(6)
        self.segmentation.GetRASBounds(bounds)
        return bounds.reshape(3, 2).mean(axis=1)

    def draw_slice(
        self, index: int, path: Path, *, size: tuple[int, int], field_of_view_mm: float, marked: bool
    ) -> None:
        """A slice view as the module shows it: outline and colour; marked with band, text and legend."""
        view = self.slice_view
        view.update_size(*size)
        view.render_window().SetSize(*size)
        node = view.get_view_node()
        for n in range(self.app.app_logic.GetSliceLogics().GetNumberOfItems()):
            composite = self.app.app_logic.GetSliceLogics().GetItemAsObject(n).GetSliceCompositeNode()
            composite.SetBackgroundVolumeID(self.volume.GetID())
        show_overlay(self.segmentation, True)
        self.legend.SetVisibility(marked)
        view.fit_view_to_content()
        position = np.array(self.centre)
        go_to_slice(node, self.volume, self.report.case.axis, index)
        position[2] = node.GetSliceToRAS().GetElement(2, 3)
        go_to_slice(node, self.volume, self.report.case.axis, index, position)
        node.SetFieldOfView(field_of_view_mm, field_of_view_mm * size[1] / size[0], 1.0)
        self.legend.Modified()  # the legend looks again which volumes the view shows
        score = self.report.slice(index)
        if marked:
            self.mark.show(text_of(score, self.report.case.segment, THRESHOLD), colour_of_score(score))
        else:
            self.mark.hide()
        view.render()
        _save(view, path)

    def draw_surface(self, path: Path) -> None:
        """The 3-D view with the surface coloured by predicted Dice."""
        view = ThreeDView(self.app.scene, self.app.app_logic, "1", scheduled_render_strategy=DirectRendering())
        view.render_window().SetSize(*SURFACE_SIZE)
        node = view.get_view_node()
        node.SetBoxVisible(False)
        node.SetAxisLabelsVisible(False)
        self.segmentation.GetDisplayNode().SetVisibility(False)
        show_surfaces(self.segmentation, True)
        view.reset_camera()
        camera = view.first_renderer().GetActiveCamera()
        camera.Azimuth(35)
        camera.Elevation(18)
        view.reset_camera()
        view.render()
        _save(view, path)


def _save(view: SliceView | ThreeDView, path: Path) -> None:
    grabbed = vtk.vtkWindowToImageFilter()
    grabbed.SetInput(view.render_window())
    grabbed.ReadFrontBufferOff()
    writer = vtk.vtkPNGWriter()
    writer.SetInputConnection(grabbed.GetOutputPort())
    writer.SetFileName(str(path))
    writer.Write()


def main(report_file: Path, folder: Path) -> None:
    """Draw all pictures of a report of the demo heart into a folder."""
    views = DemoViews(QualityReport.from_dict(json.loads(report_file.read_text(encoding="utf-8"))))
    lowest = next(i for i in views.report.order if views.report.slice(i).dice is not None)
    views.draw_slice(lowest, folder / "slice.png", size=SLICE_SIZE, field_of_view_mm=190, marked=True)
    for score in views.report.slices:
        views.draw_slice(
            score.index, folder / f"strip-{score.index}.png", size=STRIP_SIZE, field_of_view_mm=110, marked=False
        )
    views.draw_surface(folder / "surface.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
