"""Prints how memory, nodes and observers grow over many assessments and many edits in one process.

    python Testing/Benchmarks/soak.py [--assessments 10000] [--edits 1000]

The slope is that of a straight line through the second half of the samples, after caches were filled. Memory is that
which the operating system counts for the process (Linux).
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "Python"), str(Path(__file__).resolve().parents[2])]

from slicer_harness.application import open_panel, process_events, start  # noqa: E402 # the paths are set first
from slicer_harness.editing import edit_slice  # noqa: E402

SAMPLES = 50


def memory_kib() -> float:
    """Resident memory of this process in KiB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024


def soaked(name: str, repeats: int, action: Callable[[int], None], measures: dict[str, Callable[[], float]]) -> None:
    """Repeat an action, and print for each measure its first and last value and its slope per 100 repeats."""
    action(0)  # loads the packages and the model
    times, samples = [], []
    begun = time.perf_counter()
    for number in range(1, repeats + 1):
        action(number)
        if number % max(1, repeats // SAMPLES) == 0:
            times.append(number)
            samples.append([measure() for measure in measures.values()])
    seconds = time.perf_counter() - begun
    print(f"{repeats} {name}, {1000 * seconds / repeats:.0f} ms each")
    half = len(times) // 2
    for column, measure in zip(np.array(samples).T, measures, strict=True):
        slope = 100 * np.polyfit(times[half:], column[half:], 1)[0]
        ends = f"{column[0]:12.0f} at first {column[-1]:12.0f} at last"
        print(f"  {measure:12}{ends} {slope:+12.1f} for 100 (second half)", flush=True)


def soak_assessments(repeats: int) -> None:
    """Assess the demo heart again and again."""
    from SegQualityQCLib.demo import demo_case
    from SegQualityQCLib.estimators.loading import load_estimator

    estimator, case = load_estimator(None, "cpu"), demo_case()
    soaked("assessments", repeats, lambda number: estimator.assess(case) and None, {"memory KiB": memory_kib})


def soak_edits(repeats: int) -> None:
    """Edit one slice in the panel again and again, each time until its new score is drawn."""
    module = start()
    import slicer

    module.SegQualityQCLogic().loadDemo()
    widget = open_panel(module)
    panel = widget.panel
    panel.ui.assessButton.click()
    process_events(lambda: panel.results is not None and not panel.steps.running, 300)
    segmentation = panel.parameters.segmentation
    key = segmentation.GetSegmentation().GetNthSegmentID(0)
    scene = slicer.mrmlScene

    def edit(number: int) -> None:
        before, step = panel.results, 2 if number % 2 else -2
        edit_slice(segmentation, key, 6, lambda pixels: np.roll(pixels, step, axis=0))
        process_events(lambda: panel.results is not before and not panel.steps.running, 300)

    def observers() -> int:
        """Observers of all nodes; VTK prints each observer of an object."""
        nodes = [scene, *(scene.GetNthNode(n) for n in range(scene.GetNumberOfNodes()))]
        return sum(str(node).count("vtkObserver (") for node in [*nodes, segmentation.GetSegmentation()])

    measures = {"memory KiB": memory_kib, "nodes": scene.GetNumberOfNodes, "observers": observers}
    soaked("edits of a slice, scored again in the panel", repeats, edit, measures)
    widget.cleanup()


def main() -> None:
    """Run both, or one of them where the other is given as 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--assessments", type=int, default=10_000)
    parser.add_argument("--edits", type=int, default=1000)
    options = parser.parse_args()
    if options.assessments:
        soak_assessments(options.assessments)
    if options.edits:
        soak_edits(options.edits)


if __name__ == "__main__":
    main()
