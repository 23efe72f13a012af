"""Prints how long the panel takes, warm, on the 10-slice demo heart.

It measures from the Assess button to drawn results, and from an edit of one slice to the drawn result of scoring it
again. The second includes the pause that waits for the end of an edit.
"""

import sys
import time
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "Python"), str(Path(__file__).resolve().parents[2])]

from slicer_harness.application import open_panel, process_events, start  # noqa: E402 # the paths are set first
from slicer_harness.editing import edit_slice  # noqa: E402

RUNS = 5


def main() -> None:
    """Print the times of the first run and of the later ones."""
    module = start()
    module.SegQualityQCLogic().loadDemo()
    widget = open_panel(module)
    panel = widget.panel
    totals, longest = [], []
    for _ in range(RUNS + 1):
        begun = time.perf_counter()
        panel.ui.assessButton.click()
        clicked = time.perf_counter() - begun
        longest.append(max(clicked, process_events(lambda: not panel.steps.running)))
        totals.append(time.perf_counter() - begun)
    print(
        f"Assess, first run: {totals[0]:.2f} s, longest step {1000 * longest[0]:.0f} ms (loads torch and the networks)"
    )
    steps = [1000 * seconds for seconds in longest]
    print(f"Assess, warm: {max(totals[1:]):.2f} s at most, longest step {max(steps[1:]):.0f} ms (goals 1 s, 200 ms)")
    segmentation = panel.parameters.segmentation
    key = segmentation.GetSegmentation().GetNthSegmentID(0)
    times = []
    for _ in range(RUNS + 1):
        before = panel.results
        edit_slice(segmentation, key, 6, lambda pixels: np.roll(pixels, 2, axis=0))
        begun = time.perf_counter()
        process_events(lambda before=before: panel.results is not before and not panel.steps.running)
        times.append(1000 * (time.perf_counter() - begun))
    print(f"One edited slice, first: {times[0]:.0f} ms; warm: {max(times[1:]):.0f} ms at most (goal 150 ms)")
    widget.cleanup()


if __name__ == "__main__":
    main()
