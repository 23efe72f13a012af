"""Intervals hold the share of true values that they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from SegQualityQCLib.report.calibration import IntervalTable, fit_table


def simulated(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Predictions whose error shrinks towards a Dice of 1, as that of networks does."""
    rng = np.random.default_rng(seed)
    predicted = rng.uniform(0, 1, n)
    true = predicted + rng.normal(0, 0.02 + 0.1 * (1 - predicted))
    return predicted, true.clip(0, 1)


def test_nine_of_ten_new_values_lie_in_the_interval_over_the_whole_range_of_dice():
    table = fit_table(*simulated(2000, 0))
    predicted, true = simulated(20000, 1)
    bounds = np.array([table.interval(dice) for dice in predicted])
    held = (bounds[:, 0] <= true) & (true <= bounds[:, 1])
    assert 0.88 <= held.mean() <= 0.92
    for low in (0.0, 0.25, 0.5, 0.75):
        part = (predicted >= low) & (predicted < low + 0.25)
        assert 0.86 <= held[part].mean() <= 0.94


def test_intervals_are_narrow_where_the_errors_are_small():
    table = fit_table(*simulated(2000, 0))
    width = [np.ptp(table.interval(dice)) for dice in (0.3, 0.95)]
    assert width[1] < width[0] / 2


def test_intervals_follow_the_expected_error_where_the_prediction_says_nothing_of_it():
    rng = np.random.default_rng(0)
    predicted, spread = rng.uniform(0.4, 0.6, 4000), rng.choice([0.01, 0.06], 4000)
    true = predicted + spread * rng.normal(size=4000)
    table = fit_table(predicted[:2000], true[:2000], spread[:2000])
    bounds = np.array([table.interval(*each) for each in zip(predicted[2000:], spread[2000:], strict=True)])
    held = (bounds[:, 0] <= true[2000:]) & (true[2000:] <= bounds[:, 1])
    for size in (0.01, 0.06):
        assert 0.87 <= held[spread[2000:] == size].mean() <= 0.93
        assert np.ptp(bounds[spread[2000:] == size], axis=1).mean() == pytest.approx(2 * 1.645 * size, rel=0.1)


def test_few_cases_give_few_bins():
    assert len(fit_table(*simulated(50, 0)).edges) == 2


@given(st.integers(1, 300), st.integers(0, 5), st.floats(0, 1), st.floats(0.001, 1))
def test_an_interval_always_holds_its_prediction_and_stays_within_0_and_1(n, seed, dice, spread):
    table = fit_table(*simulated(n, seed), spread)
    assert IntervalTable.from_dict(table.to_dict()) == table
    low, high = table.interval(dice, spread)
    assert 0 <= low <= dice <= high <= 1


@pytest.mark.parametrize(
    "table",
    [
        {"edges": [0, 1], "low": [0.1], "high": [0.1]},
        {"edges": [0, 1], "low": [-0.1, 0], "high": [0.1]},
        {"edges": [1, 0], "low": [-0.1], "high": [0.1]},
        {"edges": [0, float("nan")], "low": [-0.1], "high": [0.1]},
        {"edges": [0, "1"], "low": [-0.1], "high": [0.1]},
        {"edges": [], "low": [], "high": []},
    ],
)
def test_a_wrong_table_is_refused(table):
    with pytest.raises(ValueError, match="a calibration table"):
        IntervalTable.from_dict(table)
