"""Quality without training: the candidate against other segmentations, and against probabilities."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st
from uncertain_cases import equipped, write_calibrated_bundle

from SegQualityQCLib.case.case import Case
from SegQualityQCLib.demo import demo_case
from SegQualityQCLib.errors import BundleError, InputError, ReportError
from SegQualityQCLib.estimators.base import MapKind
from SegQualityQCLib.estimators.built_in import built_in_bundle
from SegQualityQCLib.estimators.loading import EstimatorCache, load_estimator
from SegQualityQCLib.report.codes import CaseFlag, Measure
from SegQualityQCLib.report.correction_priority import expected_gain
from SegQualityQCLib.report.csv_table import reports_to_csv
from SegQualityQCLib.report.monotone_map import MonotoneMap
from SegQualityQCLib.report.report import QualityReport
from SegQualityQCLib.report.wording import number_words

METHODS = ("agreement", "probabilities")


@pytest.fixture(scope="module")
def case() -> Case:
    return equipped(demo_case())


def estimator_of(method: str):
    return load_estimator(built_in_bundle(method))


def image_of(array: np.ndarray, kind=np.uint8) -> sitk.Image:
    return sitk.GetImageFromArray(array.astype(kind))


def square_case(samples=(), probabilities=None) -> Case:
    """Three slices of 20 x 20 pixels; a square of 8 x 8 on the middle one."""
    mask = np.zeros((3, 20, 20))
    mask[1, 6:14, 6:14] = 1
    image = image_of(np.random.default_rng(0).normal(size=mask.shape), np.float32)
    for one in (image, labels := image_of(mask)):
        one.SetSpacing((1, 1, 8))
    case = Case.from_images(image, labels, segment="square")
    on_grid = []
    for sample in samples:
        on_grid.append(image_of(sample))
        on_grid[-1].CopyInformation(image)
    if probabilities is not None:
        probabilities = image_of(probabilities, np.float32)
        probabilities.CopyInformation(image)
    return replace(case, samples=tuple(on_grid), probabilities=probabilities)


def shifted(pixels: int) -> np.ndarray:
    sample = np.zeros((3, 20, 20))
    sample[1, 6:14, 6 + pixels : 14 + pixels] = 1
    return sample


def test_the_agreement_is_the_mean_dice_with_the_samples():
    report = estimator_of("agreement").assess(square_case([shifted(0), shifted(2), shifted(4)]))
    assert report.slice(1).dice == pytest.approx((1 + 6 / 8 + 4 / 8) / 3)
    assert report.volume.dice == pytest.approx(report.slice(1).dice)
    assert report.slice(1).evidence["samples_iou"] == pytest.approx(4 / 12)
    assert report.slice(1).evidence["area_variation"] == 0
    assert report.volume.evidence["volume_variation"] == 0
    assert 0 < report.slice(1).evidence["contour_entropy"] < 1


def test_samples_that_are_alike_agree_wholly_and_their_votes_have_no_entropy():
    score = estimator_of("agreement").assess(square_case([shifted(0), shifted(0)])).slice(1)
    assert score.dice == 1
    assert score.evidence["contour_entropy"] == 0


def test_what_samples_have_beyond_the_candidates_ends_lowers_the_volume_and_not_the_slice():
    longer = shifted(0)
    longer[2] = longer[1]
    report = estimator_of("agreement").assess(square_case([longer, longer]))
    assert report.slice(1).dice == 1
    assert report.volume.dice == pytest.approx(2 / 3)


def test_one_sample_is_too_few():
    with pytest.raises(InputError, match=r"at least 2 samples beside the segmentation itself, and square .* has 1"):
        estimator_of("agreement").assess(square_case([shifted(1)]))


def test_a_report_of_other_samples_is_not_scored_again(case):
    estimator = estimator_of("agreement")
    with pytest.raises(InputError, match="made with 3 samples, the case has 2"):
        estimator.rescore(replace(case, samples=case.samples[:2]), estimator.assess(case), [4])


def test_a_sample_without_a_pixel_has_no_overlap():
    score = estimator_of("agreement").assess(square_case([shifted(0), np.zeros((3, 20, 20))])).slice(1)
    assert score.dice == 0.5
    assert score.evidence["samples_iou"] == 0


def test_the_expected_dice_follows_its_closed_form():
    probabilities = 0.8 * shifted(0) + 0.1 * shifted(8)
    score = estimator_of("probabilities").assess(square_case(probabilities=probabilities)).slice(1)
    assert score.dice == pytest.approx(2 * 0.8 * 64 / (64 + 0.8 * 64 + 0.1 * 48), abs=1e-6)
    assert score.evidence["inside_confidence"] == pytest.approx(0.8)
    assert score.evidence["inside_entropy"] == pytest.approx(0.7219, abs=1e-4)


def test_the_sampled_dice_is_that_of_drawing_masks_by_one_level_each():
    probabilities = 0.8 * shifted(0) + 0.1 * shifted(8)
    score = estimator_of("probabilities").assess(square_case(probabilities=probabilities)).slice(1)
    levels = np.random.default_rng(0).uniform(size=4000)
    drawn = [(probabilities[1] > level) for level in levels]
    square = shifted(0)[1] > 0
    dice = np.mean([2 * (one & square).sum() / (one.sum() + 64) for one in drawn])
    assert score.evidence["sampled_dice"] == pytest.approx(dice, abs=0.02)


def test_certain_probabilities_give_the_dice_with_their_mask():
    score = estimator_of("probabilities").assess(square_case(probabilities=shifted(2))).slice(1)
    assert score.dice == pytest.approx(6 / 8)
    assert score.evidence["sampled_dice"] == pytest.approx(6 / 8)
    assert score.evidence["contour_entropy"] == 0


def test_a_temperature_moves_probabilities_towards_one_half_and_keeps_its_ends():
    from SegQualityQCLib.estimators.uncertainty.probabilities import tempered

    values = np.array([0, 0.1, 0.5, 0.9, 1], np.float32)
    assert tempered(values, 1.0) is values
    assert tempered(values, 2.0) == pytest.approx([0, 0.25, 0.5, 0.75, 1])


@pytest.mark.parametrize("method", METHODS)
def test_without_calibration_there_is_no_interval_and_no_predicted_dice(case, method, repository):
    report = estimator_of(method).assess(case)
    assert report.measure is not Measure.PREDICTED_DICE
    assert CaseFlag.NOT_CALIBRATED in report.flags
    assert (report.volume.low, report.volume.high) == (None, None)
    assert number_words(report, report.volume.dice).endswith(f"{report.volume.dice:.2f}, not calibrated")
    content = json.loads(report.to_json())
    schema = json.loads((repository / "docs" / "report.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(content, schema)
    del content["measure"]  # then its numbers would be a predicted Dice
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content, schema)
    with pytest.raises(ReportError):
        QualityReport.from_dict(content)
    rows = [row for row in reports_to_csv([report]).splitlines() if ",scored," in row]
    assert rows
    assert all(row.endswith(f"{report.measure} not_calibrated") for row in rows)


@pytest.mark.parametrize("method", METHODS)
def test_a_calibrated_bundle_predicts_dice_with_intervals_and_keeps_the_raw_figure(case, method, tmp_path):
    raw = estimator_of(method).assess(case)
    report = load_estimator(write_calibrated_bundle(tmp_path / "mine", method)).assess(case)
    assert report.is_calibrated
    assert CaseFlag.NOT_CALIBRATED not in report.flags
    line = MonotoneMap((0.2, 1.0), (0.1, 0.95))
    for before, after in zip(raw.slices, report.slices, strict=True):
        if before.dice is not None:
            assert after.evidence[raw.measure.value] == before.dice
            assert after.dice == line(before.dice)
            assert after.low < after.dice < after.high


@pytest.mark.parametrize("change", ["maps", "targets"])
def test_a_bundle_with_half_of_a_calibration_is_refused(tmp_path, change):
    folder = write_calibrated_bundle(tmp_path / "mine", "agreement")
    path = folder / "configs" / "metadata.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    if change == "maps":
        del content["quality"]["family"]["maps"]
    else:
        content["quality"]["targets"] = []
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(BundleError, match=r"no map to Dice|names no target"):
        load_estimator(folder)


@pytest.mark.parametrize(
    "maps",
    [
        {"slice": {"values": [0, 1], "dice": [1, 0]}},
        {"slice": {"values": [0, 0], "dice": [0, 1]}},
        {"slice": {"values": [0], "dice": [1.5]}},
        {"slice": {"values": [0, float("nan")], "dice": [0, 1]}},
    ],
)
def test_a_map_that_is_not_monotone_is_refused(tmp_path, maps):
    folder = write_calibrated_bundle(tmp_path / "mine", "agreement")
    path = folder / "configs" / "metadata.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["quality"]["family"]["maps"] |= maps
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(BundleError, match="is not usable"):
        load_estimator(folder)


@pytest.mark.parametrize("method", METHODS)
def test_an_edited_slice_is_scored_again_by_the_estimator_that_the_report_names(case, method):
    report = estimator_of(method).assess(case)
    estimator = EstimatorCache().for_report(report.model)
    assert estimator.rescore(case, report, [4]).slices == report.slices


@pytest.mark.parametrize("method", METHODS)
def test_slices_below_the_threshold_gain_from_correction_also_without_interval(case, method):
    report = estimator_of(method).assess(case)
    worst = next(score for score in map(report.slice, report.order) if score.dice is not None)
    assert expected_gain(report, worst, threshold=1.0) == pytest.approx((1 - worst.dice) * worst.area_mm2)
    assert expected_gain(report, worst, threshold=0.0) == 0


def test_the_map_of_disagreement_is_the_share_of_samples_that_differ(case):
    image = estimator_of("agreement").maps(square_case([shifted(0), shifted(2)]), None)[MapKind.DISAGREEMENT]
    assert sitk.GetArrayFromImage(image)[1, 8] == pytest.approx([0] * 6 + [0.5] * 2 + [0] * 6 + [0.5] * 2 + [0] * 4)


def test_the_map_of_entropy_is_one_bit_where_the_probability_is_one_half():
    image = estimator_of("probabilities").maps(square_case(probabilities=shifted(0) / 2), None)[MapKind.ENTROPY]
    assert sitk.GetArrayFromImage(image) == pytest.approx(shifted(0))


def test_a_network_needs_a_model_on_disk():
    with pytest.raises(InputError, match="The method direct needs a model"):
        built_in_bundle("direct")


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=40))
def test_a_fitted_map_never_descends_stays_within_0_and_1_and_survives_its_file(pairs):
    values, dice = zip(*pairs, strict=True)
    fitted = MonotoneMap.fit(values, dice)
    assert MonotoneMap.from_dict(json.loads(json.dumps(fitted.to_dict()))) == fitted
    mapped = [fitted(value) for value in sorted(values)]
    assert mapped == sorted(mapped)
    assert np.mean([fitted(value) for value in values]) == pytest.approx(np.mean(dice), abs=1e-6)


def test_the_fitted_map_is_that_of_isotonic_regression():
    fitted = MonotoneMap.fit([0.1, 0.2, 0.3, 0.4, 0.5], [0.1, 0.5, 0.3, 0.4, 0.9])
    assert [fitted(value) for value in (0.1, 0.2, 0.3, 0.4, 0.5)] == pytest.approx([0.1, 0.4, 0.4, 0.4, 0.9])
