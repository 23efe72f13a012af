"""How much sooner a reviewer finds the poor cases by opening the worst predicted case first.

Run: ``python Testing/Benchmarks/review_gain.py [--each 5] [--workers 2]``. The test patients are those that the study's
split kept from the bundled models. The figures of all patients are printed too; they are too good.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from simulated_candidates import Candidate, acdc_volumes, write_candidates

from SegQualityQCLib.cohort.results import CohortFolder
from SegQualityQCLib.cohort.running import run_cohort
from training.data.split import SHIPPED_SPLIT, kept_split

POOR_BELOW = 0.7
OPENED = (0.1, 0.2, 0.5)


def share_found(order: NDArray[np.int64], poor: NDArray[np.bool_], opened: float) -> float:
    """Share of the poor cases among the first part of an order."""
    return float(poor[order[: round(opened * len(order))]].sum() / max(poor.sum(), 1))


def risk_coverage_area(order: NDArray[np.int64], dice: NDArray[np.float64]) -> float:
    """Area under the risk-coverage curve: mean over all coverages of 1 - Dice among the cases kept, best first."""
    kept = (1 - dice)[order[::-1]]
    return float((np.cumsum(kept) / np.arange(1, len(kept) + 1)).mean())


def print_gain(name: str, predicted: NDArray[np.float64], true: NDArray[np.float64]) -> None:
    """Print the figures of the three orders."""
    poor = true < POOR_BELOW
    orders = {"predicted": np.argsort(predicted, kind="stable"), "ideal": np.argsort(true, kind="stable")}
    print(f"{name}: {len(true)} volumes, {poor.sum()} poor (true Dice below {POOR_BELOW})")
    for label, order in orders.items():
        found = ", ".join(f"{share_found(order, poor, part):.0%} among the first {part:.0%}" for part in OPENED)
        print(f"  {label:9}: {found}; area under the risk-coverage curve {risk_coverage_area(order, true):.4f}")
    found = ", ".join(f"{part:.0%} among the first {part:.0%}" for part in OPENED)
    print(f"  random   : {found}; area under the risk-coverage curve {float((1 - true).mean()):.4f}")


def main() -> None:
    """Score the simulated candidates and print the gain."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=5, help="candidates of each volume")
    parser.add_argument("--patients", choices=("all", "test"), default="all")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    volumes = acdc_volumes()
    test = set(kept_split(SHIPPED_SPLIT, volumes)["test"])
    if arguments.patients == "test":
        volumes = [volume for volume in volumes if volume.patient in test]
    with tempfile.TemporaryDirectory() as folder:
        candidates = write_candidates(volumes, Path(folder) / "candidates", arguments.each)
        out = Path(folder) / "out"
        run_cohort([candidate.case for candidate in candidates], out, workers=arguments.workers)
        predicted = {
            case.name: result.reports[0].volume.dice for case, result in CohortFolder(out).results() if result.reports
        }

    def arrays(of: list[Candidate]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Predicted Dice (cases without a score first, as in the worklist) and true Dice."""
        guessed = [predicted.get(candidate.case.name) for candidate in of]
        return np.array([-1.0 if dice is None else dice for dice in guessed]), np.array([c.dice for c in of])

    held_out = [candidate for candidate in candidates if candidate.patient in test]
    print_gain("Test patients", *arrays(held_out))
    if arguments.patients == "all":
        print_gain("All patients", *arrays(candidates))


if __name__ == "__main__":
    main()
