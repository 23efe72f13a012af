"""The suggested order: what correcting a slice is expected to bring."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from SegQualityQCLib.case.case import Case
from SegQualityQCLib.demo import demo_images
from SegQualityQCLib.estimators.loading import load_estimator
from SegQualityQCLib.report.correction_priority import chance_below, expected_gain, suggestion_key
from SegQualityQCLib.report.report import SliceScore, Status

sys.path.append(str(Path(__file__).resolve().parents[1] / "Benchmarks"))


@pytest.fixture(scope="module")
def report():
    image, labels = demo_images()
    return load_estimator().assess(Case.from_images(image, labels, segment="LV myocardium"))


def with_slices(report, *scores):
    return replace(report, slices=scores)


def suggested(report, reviewed=()):
    ordered = sorted(report.slices, key=lambda s: suggestion_key(report, s, 0.7, reviewed=s.index in reviewed))
    return [score.index for score in ordered]


def test_a_slice_whose_interval_lies_above_the_threshold_is_not_suggested(report):
    good = SliceScore(0, Status.SCORED, 0.9, 0.8, 0.95, 1000.0)
    poor = SliceScore(1, Status.SCORED, 0.65, 0.5, 0.8, 10.0)
    assert expected_gain(report, good, 0.7) == 0
    assert suggested(with_slices(report, good, poor)) == [1, 0]


def test_of_two_equally_bad_slices_the_larger_comes_first(report):
    small = SliceScore(0, Status.SCORED, 0.4, 0.2, 0.6, 200.0)
    large = SliceScore(1, Status.SCORED, 0.4, 0.2, 0.6, 900.0)
    assert suggested(with_slices(report, small, large)) == [1, 0]


def test_of_two_equally_low_slices_the_surer_comes_first(report):
    unsure = SliceScore(0, Status.SCORED, 0.6, 0.2, 1.0, 500.0)
    sure = SliceScore(1, Status.SCORED, 0.6, 0.55, 0.65, 500.0)
    assert chance_below(sure, 0.7) == 1.0
    assert suggested(with_slices(report, unsure, sure)) == [1, 0]


def test_a_gap_counts_as_wrong_as_large_as_its_neighbours_are(report):
    scores = (
        SliceScore(0, Status.SCORED, 0.9, 0.8, 0.95, 400.0),
        SliceScore(1, Status.GAP, None, None, None, 0.0),
        SliceScore(2, Status.SCORED, 0.9, 0.8, 0.95, 600.0),
    )
    gappy = with_slices(report, *scores)
    assert expected_gain(gappy, scores[1], 0.7) == pytest.approx(500.0)
    assert suggested(gappy)[0] == 1


def test_reviewed_slices_come_behind_those_that_are_worth_a_look(report):
    order = suggested(report)
    worth = [index for index in order if expected_gain(report, report.slice(index), 0.7) > 0]
    assert set(worth) >= {2, 4, 7}
    assert order[: len(worth)] == worth
    again = suggested(report, reviewed=order[:1])
    assert again[: len(worth) - 1] == worth[1:]
    assert order[0] in again[len(worth) - 1 :]


def test_correcting_in_the_suggested_order_raises_the_dice_of_real_cases_fastest(acdc_root, monkeypatch):
    monkeypatch.setenv("ACDC_ROOT", str(acdc_root))
    from suggested_order import correction_curves, held_out_volumes

    curves = correction_curves(load_estimator(), held_out_volumes()[::3])
    assert curves["suggested"].mean() >= curves["lowest first"].mean() - 0.002
    assert curves["suggested"].mean() > curves["random"].mean() + 0.02


def test_an_interval_without_a_width_is_on_one_side_of_the_threshold(report):
    score = replace(report.slices[2], dice=0.9, low=0.9, high=0.9)
    assert [chance_below(score, threshold) for threshold in (0.7, 0.95)] == [0.0, 1.0]


def test_a_slice_without_a_score_has_no_share_below_the_threshold(report):
    gap = SliceScore(3, Status.GAP, None, None, None, 0.0)
    with pytest.raises(ValueError, match="slice 3 is gap"):
        chance_below(gap, 0.7)
