"""Tries the extension inside a real Slicer (5.10 or newer) and records the results. From the checkout::

    Slicer --no-splash --additional-module-paths "$PWD/SegQualityQC" --python-script "$PWD/Testing/run_in_slicer.py"

Runs the module's self-test, assesses the demo heart, opens the panel and the views, and writes report.json, report.md
and the pictures into slicer-report in the current folder, or into the folder given behind the script. Slicer's exit
status is 0 if every step passed, else 1. With ``--install-torch`` behind the folder, the PyTorch extension installs
PyTorch if it is missing: several hundred megabytes from the network.

Do not add ``--testing``: Slicer 5.12 then exits with success when it has read this script, before the first step.
"""

from __future__ import annotations

import json
import platform
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer

MODULE = "SegQualityQC"
# The main window and its views are ready only some time after Slicer has read the script.
START_AFTER_MS = 1500


class Trial:
    """The steps, in order, and the result of each.

    Attributes:
        folder: Folder of the pictures and the report.
        steps: One entry per step: name, passed, seconds, and what it says.
    """

    def __init__(self, folder: Path, install_torch: bool = False) -> None:
        """Prepare a trial without steps.

        Args:
            folder: Folder of the pictures and the report; it exists.
            install_torch: Whether PyTorch may be installed.
        """
        self.folder = folder
        self.install_torch = install_torch
        self.steps: list[dict[str, Any]] = []
        self.logic: Any = None
        self.nodes: list[Any] = []
        self.reports: dict[str, Any] = {}

    def step(self, name: str, work: Callable[[], str]) -> None:
        """Do a step and record what it returns, or how it failed; the next steps follow in any case."""
        started = time.perf_counter()
        try:
            passed, says = True, work()
        except Exception:
            passed, says = False, traceback.format_exc()
        seconds = round(time.perf_counter() - started, 2)
        self.steps.append({"name": name, "passed": passed, "seconds": seconds, "says": says})
        print(f"{'ok' if passed else 'failed':8}{name} ({seconds} s)\n{'' if passed else says}", flush=True)

    def load_module(self) -> str:
        """The module is known to Slicer under its name."""
        module = getattr(slicer.modules, MODULE.lower())
        import SegQualityQC

        self.logic = SegQualityQC.SegQualityQCLogic()
        return str(getattr(module, "path", SegQualityQC.__file__))

    def provide_torch(self) -> str:
        """PyTorch is there, or is installed if that was asked for."""
        if not self.logic.torchInstalled():
            if not self.install_torch:
                raise RuntimeError(
                    "PyTorch is missing: give --install-torch, or install it with the PyTorch extension."
                )
            if not self.logic.installTorch():
                raise RuntimeError("PyTorch was declined: nothing can be assessed without it.")
        import torch

        return f"torch {torch.__version__}, CUDA {'there' if torch.cuda.is_available() else 'not there'}"

    def self_test(self) -> str:
        """Slicer's self-test of the module."""
        import unittest

        import SegQualityQC

        result = unittest.TestResult()
        unittest.defaultTestLoader.loadTestsFromTestCase(SegQualityQC.SegQualityQCTest).run(result)
        if not result.wasSuccessful():
            raise RuntimeError("\n".join(text for _, text in [*result.errors, *result.failures]))
        return f"{result.testsRun} tests"

    def assess_sample(self) -> str:
        """The demo heart, from nodes to reports in the scene."""
        slicer.mrmlScene.Clear(0)
        self.nodes = self.logic.loadDemo()
        self.reports = self.logic.assess(*self.nodes)
        (report,) = self.reports.values()
        gaps = [score.index for score in report.slices if score.status.value == "gap"]
        if gaps != [4] or report.volume.dice is None:
            raise RuntimeError(f"unexpected result: {report}")
        low, high = report.volume.low, report.volume.high
        return f"volume Dice {report.volume.dice:.3f} ({low:.3f} - {high:.3f}), worst first {list(report.order)}"

    def show_panel(self) -> str:
        """The panel, with the results of the demo heart in its table."""
        slicer.util.selectModule(MODULE)
        slicer.app.processEvents()
        rows = slicer.util.getModuleWidget(MODULE).ui.resultsTable.rowCount
        rows = rows() if callable(rows) else rows
        if not rows:
            raise RuntimeError("the results table is empty")
        return f"{rows} rows; {self._picture('panel.png')}"

    def show_slice(self) -> str:
        """The slice views on the worst drawn slice, coloured."""
        slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        slicer.util.setSliceViewerLayers(background=self.nodes[0], fit=True)
        self.logic.showResults(self.nodes[1], overlay=True, surface=False)
        ((segment_id, report),) = self.reports.items()
        index = next(i for i in report.order if report.slice(i).dice is not None)
        self.logic.goToSlice(self.nodes[1], segment_id, index)
        return f"slice {index}; {self._picture('slices.png')}"

    def show_surface(self) -> str:
        """The 3-D view, coloured by predicted Dice."""
        slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUp3DView)
        self.nodes[1].GetDisplayNode().SetVisibility(False)
        self.logic.showResults(self.nodes[1], overlay=False, surface=True)
        slicer.util.resetThreeDViews()
        return self._picture("surface.png")

    def save_scene(self) -> str:
        """The scene with the results, saved and loaded again."""
        path = self.folder / "scene.mrb"
        if not slicer.util.saveScene(str(path)):
            raise RuntimeError("the scene could not be saved")
        slicer.mrmlScene.Clear(0)
        slicer.util.loadScene(str(path))
        segmentation = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
        if list(self.logic.results(segmentation).reports.values()) != list(self.reports.values()):
            raise RuntimeError("the loaded scene holds other results")
        return f"{path.stat().st_size // 1000} kB"

    def _picture(self, name: str) -> str:
        """A picture of the main window; returns its file name."""
        slicer.util.forceRenderAllViews()
        slicer.app.processEvents()
        if not slicer.util.mainWindow().grab().save(str(self.folder / name)):
            raise RuntimeError(f"{name} could not be written")
        return name

    def run(self) -> None:
        """All steps."""
        self.step("the module loads", self.load_module)
        self.step("PyTorch is installed", self.provide_torch)
        self.step("the self-test passes", self.self_test)
        self.step("the sample is assessed", self.assess_sample)
        self.step("the panel shows the results", self.show_panel)
        self.step("the slice views show the worst slice", self.show_slice)
        self.step("the 3-D view shows the surface", self.show_surface)
        self.step("the scene keeps the results", self.save_scene)

    def write(self) -> bool:
        """Write report.json and report.md; returns whether every step passed."""
        passed = all(step["passed"] for step in self.steps)
        about = {
            "passed": passed,
            "slicer": str(getattr(slicer.app, "applicationVersion", "unknown")),
            "python": platform.python_version(),
            "system": platform.platform(),
            "steps": self.steps,
        }
        (self.folder / "report.json").write_text(json.dumps(about, indent=2), encoding="utf-8")
        lines = [f"# {MODULE} in Slicer {about['slicer']}: {'passed' if passed else 'FAILED'}", ""]
        lines += [f"Python {about['python']}, {about['system']}", "", "| step | | seconds | |", "|---|---|---|---|"]
        for step in self.steps:
            says = step["says"].strip().splitlines()[-1:] or [""]
            row = (step["name"], "ok" if step["passed"] else "**failed**", step["seconds"], says[0].replace("|", "/"))
            lines.append("| " + " | ".join(str(cell) for cell in row) + " |")
        lines += [""] + [f"![{path.stem}]({path.name})" for path in sorted(self.folder.glob("*.png"))]
        (self.folder / "report.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return passed


def main(arguments: list[str]) -> None:
    """Make the trial and leave Slicer with its exit status."""
    folders = [argument for argument in arguments if not argument.startswith("-")]
    folder = Path(folders[0] if folders else "slicer-report").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    trial = Trial(folder, install_torch="--install-torch" in arguments)
    passed = False
    try:
        trial.run()
        passed = trial.write()
    finally:
        slicer.util.exit(slicer.util.EXIT_SUCCESS if passed else slicer.util.EXIT_FAILURE)


if __name__ == "__main__":
    import qt

    qt.QTimer.singleShot(START_AFTER_MS, lambda: main(sys.argv[1:]))
