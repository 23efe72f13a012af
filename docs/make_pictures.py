"""Makes every picture of README and docs/, on the synthetic demo heart: no patient's image is shown.

    make pictures

or ``python docs/make_pictures.py --views-python PYTHON``, where PYTHON is that of an environment with trame-slicer.
It draws Slicer's slice and 3-D views without a screen (on Linux: apt-get install libegl1 libgl1-mesa-dri). Without the
option, the pictures of the views stay as they are, and only the panel and the figure of the method are made.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
sys.path[:0] = [str(ROOT), str(ROOT / "Testing" / "Python")]

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from matplotlib.image import imread
from PySide6 import QtGui, QtWidgets
from slicer_harness.application import open_panel, process_events, start

from SegQualityQCLib.bundles.bundle import ModelBundle
from SegQualityQCLib.bundles.catalogue import available_bundles
from SegQualityQCLib.demo import demo_case
from SegQualityQCLib.estimators.loading import load_estimator
from SegQualityQCLib.estimators.networks.rec_reg import RecRegEstimator
from SegQualityQCLib.estimators.selection import ModelSelection
from SegQualityQCLib.report.report import QualityReport, SliceScore
from SegQualityQCLib.scene.colours import colour_of

WELL_DRAWN, SHIFTED = 3, 2  # slices of the demo heart
PANEL_WIDTH = 560  # shows all columns of the table
INK, PAPER = "#202124", "white"


def draw_panel(path: Path) -> None:
    """The module's panel after an assessment of the demo heart, on real Qt and the real scene."""
    module = start()
    module.SegQualityQCLogic().loadDemo()
    QtWidgets.QApplication.setStyle("Fusion")
    light = QtGui.QColor("#f2f2f2")
    QtWidgets.QApplication.setPalette(QtGui.QPalette(light, light))
    widget = open_panel(module)
    widget.parent.adjustSize()
    widget.parent.resize(PANEL_WIDTH, widget.parent.height())
    widget.ui.assessButton.click()
    process_events(lambda: not widget.panel.steps.running)
    widget.ui.resultsTable.selectRow(0)
    QtWidgets.QApplication.processEvents()
    if not widget.parent.grab().save(str(path)):
        raise SystemExit(f"{path} could not be written")
    widget.cleanup()


def difference_estimator() -> RecRegEstimator:
    """The bundled model of the myocardium that works on the difference image."""
    for folder in available_bundles():
        bundle = ModelBundle.load(folder)
        if bundle.header.family == "rec-reg" and bundle.target_for(None, demo_case().segment):
            return RecRegEstimator(bundle, "cpu")
    raise SystemExit("No bundled model works on the difference image: the figure of the method cannot be drawn.")


def draw_method(estimator: RecRegEstimator, report: QualityReport, path: Path) -> None:
    """Image, masked image, reconstruction and difference of a well drawn slice and a misplaced one."""
    seen = estimator.inputs(demo_case())
    titles = ("image and segmentation", "segmentation cut out", "filled in by REC-Net", "difference")
    figure, axes = plt.subplots(2, 4, figsize=(9.2, 5.1), layout="constrained", facecolor=PAPER)
    middle = slice(seen.field.size // 5, -seen.field.size // 5)  # the heart, enlarged
    for row, index in zip(axes, (WELL_DRAWN, SHIFTED), strict=True):
        image, mask = torch.from_numpy(seen.image[index]), torch.from_numpy(seen.mask[index]).float()
        masked = image * (1 - mask)
        with torch.inference_mode():
            filled = estimator.rec_net(masked[None, None])[0, 0]
        image, mask, masked, filled = (picture[middle, middle] for picture in (image, mask, masked, filled))
        for axis, picture in zip(row, (image, masked, filled), strict=False):
            axis.imshow(picture, cmap="gray", vmin=-1, vmax=1)
        row[0].contour(mask, [0.5], colors="#ffd23f", linewidths=1.2)
        row[3].imshow(image - filled, cmap="RdBu", vmin=-1, vmax=1)
        row[0].set_ylabel("drawn well" if index == WELL_DRAWN else "drawn beside the muscle", fontsize=11)
        row[3].set_xlabel(_predicted(report.slice(index)), fontsize=11)
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=11)
    for axis in axes.ravel():
        axis.set(xticks=[], yticks=[])
    figure.savefig(path, dpi=85)
    plt.close(figure)


def _predicted(score: SliceScore) -> str:
    return f"predicted Dice {score.dice:.2f}\nwithin {score.low:.2f} – {score.high:.2f}"


def draw_strip(report: QualityReport, folder: Path, path: Path) -> None:
    """All slices in order, as the slice view shows them, over a band with the colour of each one's predicted Dice."""
    figure, axes = plt.subplots(2, len(report.slices) // 2, figsize=(9.2, 4.5), layout="constrained", facecolor=PAPER)
    for axis, score in zip(axes.ravel(), report.slices, strict=True):
        axis.imshow(imread(folder / f"strip-{score.index}.png"))
        known = score.dice is not None
        colour = colour_of(score.dice) if known else (0.85, 0.85, 0.85)
        text = f"{score.dice:.2f}" if known else score.status.value
        axis.set_title(f"slice {score.index}", fontsize=10, color=INK)
        axis.set_xlabel(text, fontsize=11, color="white" if sum(colour) < 1.2 else INK, backgroundcolor=colour)
        axis.set(xticks=[], yticks=[])
    figure.savefig(path, dpi=85)
    plt.close(figure)


def draw_views(report: QualityReport, python: Path, folder: Path) -> None:
    """The slice view, the 3-D view and the strip of slices, by Slicer's displayable managers in another Python."""
    with tempfile.TemporaryDirectory() as name:
        drawn = Path(name)
        (drawn / "report.json").write_text(json.dumps(report.to_dict()), encoding="utf-8")
        script = [str(python), str(ROOT / "docs" / "render_views.py"), str(drawn / "report.json"), str(drawn)]
        run = subprocess.run(script, capture_output=True, encoding="utf-8", check=False)
        if run.returncode != 0:
            raise SystemExit(f"The views could not be drawn:\n{run.stderr}")
        for picture in ("slice.png", "surface.png"):
            shutil.copyfile(drawn / picture, folder / picture)
        draw_strip(report, drawn, folder / "slices.png")


def main() -> None:
    """Make the pictures that can be made."""
    parser = argparse.ArgumentParser(description="Makes the pictures of README and docs/.")
    parser.add_argument("--views-python", type=Path, help="Python of an environment with trame-slicer")
    parser.add_argument("--into", type=Path, default=IMAGES, help="folder of the pictures")
    arguments = parser.parse_args()
    python, folder = arguments.views_python, arguments.into
    folder.mkdir(parents=True, exist_ok=True)
    estimator = difference_estimator()
    draw_method(estimator, estimator.assess(demo_case()), folder / "method.png")
    draw_panel(folder / "panel.png")
    if python is not None:
        bundle, _ = ModelSelection().best(demo_case().segment)  # what panel and command use
        draw_views(load_estimator(bundle, "cpu").assess(demo_case()), python, folder)
    for path in sorted(folder.glob("*.png")):
        print(f"{path.name}: {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
