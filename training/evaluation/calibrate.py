"""Stage 5: fit the intervals on validation patients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from SegQualityQCLib.report.calibration import Calibration, IntervalTable, fit_table

from ..data.split import read_split
from ..export.bundling import NO_INTERVAL
from ..fitting.distribution_check import read_distribution
from ..study.artifacts import write_json
from ..study.run import Run
from ..study.stage_arguments import stage_arguments
from .provisional import provisional_model
from .scoring import NET, Scores, balanced, score_patients

# With this table the interval is as wide as the error that the network expects, unless an end is clipped.
EXPECTED_ERROR = IntervalTable((0.0, 1.0), (-0.5,), (0.5,))
UNKNOWN = Calibration(EXPECTED_ERROR, NO_INTERVAL)
# Leaving out one validation patient at a time, 3 bins gave narrower intervals than 10 (.156 against .162 on U-net
# candidates), and no coverage was lost: the expected error says most already.
_SLICE_BINS = 3


def calibrate(run: Run) -> None:
    """Write the calibration of a run: its tables, and the statistics of the distribution check of its structure."""
    split = read_split(run.study)
    distribution = read_distribution(run.study, run.structure)
    # Every image passes the distribution check while the residuals are measured.
    unchecked = replace(distribution, threshold=1e9)
    card = "A model whose intervals are not known yet.\n"
    estimator = provisional_model(run, "calibration", UNKNOWN, unchecked, card=card)
    scores = score_patients(run.study, run.structure, estimator, split["validation"])
    scores.write(run.stage_file("calibration", "-validation.npz"))
    calibration = Calibration(_slice_table(scores, run.study.split_seed), _volume_table(scores))
    content = {"calibration": calibration.to_dict(), "familiarity": distribution.to_dict()}
    write_json(run.stage_file("calibration"), content)
    print(run.model_name, "slice table", calibration.slice.to_dict())


def _slice_table(scores: Scores, seed: int) -> IntervalTable:
    """Fitted on equal shares of U-net candidates and perturbed masks, each balanced over the bins of Dice."""
    nets = balanced(scores, scores.kind == NET, 1000, seed)
    perturbed = balanced(scores, scores.kind != NET, 1000, seed)
    places = np.concatenate([nets, perturbed])
    predicted = scores.predicted[places]
    spread = 2 * np.maximum(scores.high[places] - predicted, predicted - scores.low[places])  # one end is never clipped
    return _rounded(fit_table(predicted, scores.true[places], spread, bins=_SLICE_BINS))


def _volume_table(scores: Scores) -> IntervalTable:
    """Fitted on the volumes whose drawn slices are all scored; for the others the estimator widens the interval.

    References and perturbed volumes are among them: of U-nets' none is so good that it would be predicted too low.
    """
    whole = scores.volume_share == 1
    if not whole.any():
        return NO_INTERVAL
    return _rounded(fit_table(scores.volume_predicted[whole], scores.volume_true[whole], bins=5))


def _rounded(table: IntervalTable) -> IntervalTable:
    return IntervalTable(*(tuple(np.round(values, 5).tolist()) for values in (table.edges, table.low, table.high)))


if __name__ == "__main__":
    calibrate(stage_arguments(__doc__, run=True, variant=True).run)
