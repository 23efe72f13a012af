"""Prints how long the panel takes from the Assess button to drawn results, warm, on the 10-slice demo heart."""

import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "Python"), str(Path(__file__).resolve().parents[2])]

from slicer_harness.application import open_panel, process_events, start  # noqa: E402 # the paths stand first

RUNS = 5


def main() -> None:
    module = start()
    module.SegQualityQCLogic().loadDemo()
    panel = open_panel(module)
    totals, longest = [], []
    for _ in range(RUNS + 1):
        begun = time.perf_counter()
        panel.ui.assessButton.click()
        clicked = time.perf_counter() - begun
        longest.append(max(clicked, process_events(lambda: panel.steps.running is False)))
        totals.append(time.perf_counter() - begun)
    print(f"first run: {totals[0]:.2f} s, longest step {1000 * longest[0]:.0f} ms (loads torch and the networks)")
    print(f"warm, {RUNS} runs: longest total {max(totals[1:]):.2f} s, longest step {1000 * max(longest[1:]):.0f} ms")
    panel.cleanup()


if __name__ == "__main__":
    main()
