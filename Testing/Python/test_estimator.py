"""Assessing real cases with the bundled models."""

from __future__ import annotations

import itertools
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from SegQualityQCLib.bundles.catalogue import find_bundle
from SegQualityQCLib.case.case import Case
from SegQualityQCLib.demo import demo_images, demo_reference
from SegQualityQCLib.errors import BundleError, InputError
from SegQualityQCLib.estimators.base import MapKind
from SegQualityQCLib.estimators.loading import load_estimator
from SegQualityQCLib.estimators.networks.architectures import blurred
from SegQualityQCLib.report.calibration import IntervalTable
from SegQualityQCLib.report.report import SliceScore, Status
from SegQualityQCLib.report.volume_score import volume_score

MYOCARDIUM = 2


@pytest.fixture(scope="module")
def estimator():
    return load_estimator("acdc-lv-myocardium", "cpu")


@pytest.fixture(scope="module")
def images():
    return demo_images()


@pytest.fixture(scope="module")
def case(images):
    return Case.from_images(*images, label=MYOCARDIUM, segment="myocardium")


@pytest.fixture(scope="module")
def report(estimator, case):
    return estimator.assess(case)


def comparable(score: SliceScore) -> tuple:
    return (score.status, score.flags, pytest.approx(score.area_mm2, rel=1e-6), pytest.approx(score.dice, abs=1e-4))


def values(score: SliceScore) -> tuple:
    return (score.status, score.flags, score.area_mm2, score.dice)


def edited(case: Case, change) -> Case:
    """The case after ``change`` was made to the array of its mask."""
    array = sitk.GetArrayFromImage(case.mask)
    change(array)
    mask = sitk.GetImageFromArray(array)
    mask.CopyInformation(case.mask)
    return Case.from_images(case.image, mask, label=1, segment=case.segment)


def test_each_slice_has_one_score_with_its_interval_around_it(report, case):
    assert [score.index for score in report.slices] == list(range(case.n_slices))
    for score in report.slices:
        if score.status is Status.SCORED:
            assert 0 <= score.low <= score.dice <= score.high <= 1
        else:
            assert (score.dice, score.low, score.high) == (None, None, None)


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_the_batch_size_changes_no_score(estimator, case, report, batch_size):
    again = estimator.assess(case, batch_size=batch_size)
    for before, after in zip(report.slices, again.slices, strict=True):
        assert values(after) == comparable(before)


def test_a_torch_without_numpy_gives_the_same_scores(estimator, case, report, monkeypatch):
    """The last torch for Macs with Intel processors was built for NumPy 1 and cannot exchange arrays with NumPy 2."""

    def missing(*_):
        raise RuntimeError("Numpy is not available")

    monkeypatch.setattr(torch, "from_numpy", missing)
    monkeypatch.setattr(torch.Tensor, "numpy", missing)
    monkeypatch.setattr(torch.Tensor, "__array__", missing)
    again = estimator.assess(case)
    assert [score.dice for score in again.slices] == [score.dice for score in report.slices]
    estimator.maps(case, again)


def test_networks_that_cannot_be_tried_out_say_why(monkeypatch):
    def fail(*_):
        raise RuntimeError("Numpy is not available")

    monkeypatch.setattr(torch, "from_dlpack", fail)
    with pytest.raises(BundleError, match=r"window of .* pixels: Numpy is not available"):
        load_estimator("acdc-lv-myocardium", "cpu")


STORAGES = [
    (order, flips)
    for order in itertools.permutations(range(3))
    for flips in ((False, False, False), (True, False, True))
]


@pytest.mark.parametrize(("order", "flips"), STORAGES)
def test_the_way_an_image_is_stored_changes_no_score_of_a_physical_slice(estimator, images, report, order, flips):
    stored = [sitk.Flip(sitk.PermuteAxes(image, order), flips) for image in images]
    case = Case.from_images(*stored, label=MYOCARDIUM, segment="myocardium")
    again = estimator.assess(case)
    assert case.axis == order.index(2)
    slices = again.slices[::-1] if flips[case.axis] else again.slices
    for before, after in zip(report.slices, slices, strict=True):
        assert values(after) == comparable(before)


def test_an_oblique_volume_is_scored_alike(estimator, images, report):
    rotation = sitk.Euler3DTransform((0, 0, 0), 0.2, -0.15, 0.1)
    oblique = []
    for image in images:
        tilted = sitk.Image(image)
        direction = np.array(rotation.GetMatrix()).reshape(3, 3) @ np.array(image.GetDirection()).reshape(3, 3)
        tilted.SetDirection(direction.ravel().tolist())
        oblique.append(tilted)
    again = estimator.assess(Case.from_images(*oblique, label=MYOCARDIUM, segment="myocardium"))
    for before, after in zip(report.slices, again.slices, strict=True):
        assert values(after) == comparable(before)


def test_scale_and_offset_of_the_intensities_change_no_score(estimator, images, report):
    image = sitk.Cast(images[0], sitk.sitkFloat64) * 7.5 - 1000
    again = estimator.assess(Case.from_images(image, images[1], label=MYOCARDIUM, segment="myocardium"))
    for before, after in zip(report.slices, again.slices, strict=True):
        assert values(after) == comparable(before)


def test_steps_count_up_and_only_the_last_has_the_report(estimator, case):
    steps = list(estimator.iter_assess(case, batch_size=2))
    assert [step.done for step in steps] == sorted({step.done for step in steps})
    assert steps[-1].done == steps[-1].total == case.n_slices
    assert [step.report is not None for step in steps] == [False] * (len(steps) - 1) + [True]


def test_an_empty_slice_between_drawn_ones_is_a_gap_and_lowers_the_volume(estimator, case, report):
    drawn = [score.index for score in report.slices if score.status is Status.SCORED]
    middle = drawn[len(drawn) // 2]
    holed = estimator.assess(edited(case, lambda mask: mask[middle].fill(0)))
    assert holed.slice(middle).status is Status.GAP
    assert "gaps" in holed.flags
    kept = [score for score in holed.slices if score.dice is not None]
    mean = sum(s.dice * s.area_mm2 for s in kept) / sum(s.area_mm2 for s in kept)
    assert holed.volume.dice < mean


@pytest.mark.parametrize("table", [IntervalTable((0, 1), (0,), (0,)), IntervalTable((0, 1), (-2,), (2,))])
def test_the_interval_of_a_volume_holds_its_prediction_to_the_last_digit(table):
    rng = np.random.default_rng(0)
    for _ in range(2000):
        scores = [
            SliceScore(n, Status.SCORED, dice, dice * 0.9, dice, area)
            for n, (dice, area) in enumerate(zip(rng.random(4) * rng.random(), rng.random(4), strict=True))
        ]
        if rng.random() < 0.3:
            scores[1] = SliceScore(1, Status.UNFAMILIAR, None, None, None, scores[1].area_mm2)
        volume = volume_score(table, scores)
        assert 0 <= volume.low <= volume.dice <= volume.high <= 1


def test_a_volume_of_one_slice_has_the_interval_of_that_slice():
    scores = [SliceScore(0, Status.EMPTY, None, None, None, 0.0), SliceScore(1, Status.SCORED, 0.5, 0.3, 0.6, 7.0)]
    volume = volume_score(IntervalTable((0, 1), (-0.01,), (0.01,)), scores)
    assert (volume.low, volume.dice, volume.high) == (0.3, 0.5, 0.6)


def test_an_empty_slice_beyond_a_large_end_slice_is_offered_for_a_check(estimator, case, report):
    drawn = [score.index for score in report.slices if score.area_mm2 > 0]
    middle = drawn[len(drawn) // 2]
    cut = estimator.assess(edited(case, lambda mask: mask[: middle + 1].fill(0)))
    assert cut.slice(middle).status is Status.EMPTY
    assert cut.slice(middle).flags == ("check",)
    assert cut.slice(middle).dice is None


def test_a_mask_outside_the_window_is_said_not_cut(estimator, case, report):
    scored = next(score.index for score in report.slices if score.status is Status.SCORED)

    def leak(mask):
        mask[scored, 0, 0] = 1

    leaked = estimator.assess(edited(case, leak))
    assert leaked.slice(scored).status is Status.OUT_OF_WINDOW
    assert leaked.slice(scored).dice is None


def test_an_image_of_noise_is_unfamiliar(estimator, case):
    noise = np.random.default_rng(0).normal(size=case.image.GetSize()[::-1])
    image = sitk.GetImageFromArray(noise)
    image.CopyInformation(case.image)
    report = estimator.assess(Case.from_images(image, case.mask, segment="myocardium"))
    drawn = [score for score in report.slices if score.area_mm2 > 0]
    assert {score.status for score in drawn} == {Status.UNFAMILIAR}
    assert report.volume.dice is None


def test_a_segment_that_the_model_does_not_know_is_flagged(estimator, images, report):
    assert "model_unmatched" not in report.flags
    assert "model_unmatched" in estimator.assess(Case.from_images(*images, label=MYOCARDIUM)).flags


def test_what_was_known_of_a_segment_is_known_when_it_is_scored_again(estimator, images):
    plain = Case.from_images(*images, label=MYOCARDIUM)
    told = replace(plain, structure="myocardium")
    assert "model_unmatched" not in estimator.rescore(plain, estimator.assess(told), [2]).flags
    assert "model_unmatched" in estimator.rescore(plain, estimator.assess(plain), [2]).flags


def test_rescoring_an_edited_slice_gives_what_a_full_assessment_in_the_same_window_gives(estimator, case, report):
    scored = [score.index for score in report.slices if score.status is Status.SCORED]
    target = scored[0]

    def erode(mask):
        mask[target, ::2] = 0

    after = edited(case, erode)
    rescored = estimator.rescore(after, report, [target])
    everything = estimator.rescore(after, report, range(case.n_slices))
    for one, other in zip(rescored.slices, everything.slices, strict=True):
        assert values(one) == comparable(other)
    assert rescored.slice(target).dice != report.slice(target).dice
    for index in scored[1:]:
        assert rescored.slice(index) == report.slice(index)


def test_erasing_a_slice_and_drawing_it_again_restores_the_report(estimator, case, report):
    scored = [score.index for score in report.slices if score.status is Status.SCORED]
    middle = scored[len(scored) // 2]
    erased = estimator.rescore(edited(case, lambda mask: mask[middle].fill(0)), report, [middle])
    assert erased.slice(middle).status is Status.GAP
    restored = estimator.rescore(case, erased, [middle])
    for before, after in zip(report.slices, restored.slices, strict=True):
        assert values(after) == comparable(before)
    assert restored.volume.dice == pytest.approx(report.volume.dice, abs=1e-4)


def test_a_report_of_another_model_cannot_be_rescored(case, report, tmp_path):
    newer = shutil.copytree(find_bundle("acdc-lv-myocardium"), tmp_path / "newer")
    metadata = newer / "configs" / "metadata.json"
    metadata.write_text(metadata.read_text(encoding="utf-8").replace('"version": "', '"version": "9'), encoding="utf-8")
    other = load_estimator(newer, "cpu")
    with pytest.raises(InputError, match="assess the case again"):
        other.rescore(case, report, [0])


@pytest.mark.parametrize("name", ["acdc-lv-myocardium", "acdc-lv-myocardium-direct"])
def test_a_model_with_smoothing_predicts_of_an_image_what_it_would_without_of_the_blurred_one(name, case, tmp_path):
    plain, smoothing = (shutil.copytree(find_bundle(name), tmp_path / part) for part in ("plain", "smoothing"))
    for folder, pixels in ((plain, 0), (smoothing, 2)):
        metadata = folder / "configs" / "metadata.json"
        content = json.loads(metadata.read_text(encoding="utf-8"))
        content["quality"]["image_smoothing"] = pixels
        metadata.write_text(json.dumps(content), encoding="utf-8")
    plain, smoothing = (load_estimator(folder, "cpu") for folder in (plain, smoothing))
    _, seen = plain.windowed(case)
    image, mask = seen.image[1:3], seen.mask[1:3]
    image_blurred = blurred(torch.from_numpy(image)[:, None], 2.0)[:, 0].numpy()
    expected = plain.predict(image_blurred, mask).dice
    assert smoothing.predict(image, mask).dice == pytest.approx(expected, abs=1e-5)
    assert plain.predict(image, mask).dice != pytest.approx(expected, abs=1e-4)


def test_the_difference_image_lies_where_the_window_lies(estimator, case, report):
    difference = estimator.maps(case, report)[MapKind.DIFFERENCE]
    array = sitk.GetArrayViewFromImage(difference)
    assert array.min() >= 0 and array.max() <= 2
    centre = [(n - 1) / 2 for n in difference.GetSize()]
    mask_points = np.argwhere(sitk.GetArrayViewFromImage(case.mask))[:, ::-1].mean(axis=0)
    expected = case.mask.TransformContinuousIndexToPhysicalPoint(mask_points.tolist())
    found = difference.TransformContinuousIndexToPhysicalPoint(centre)
    assert np.allclose(found[:2], expected[:2], atol=1e-6)


def test_the_badly_drawn_slices_of_the_demo_score_lower_than_the_well_drawn_ones(images, report):
    reference = sitk.GetArrayFromImage(demo_reference()) == MYOCARDIUM
    candidate = sitk.GetArrayViewFromImage(images[1]) == MYOCARDIUM
    true = {
        k: 2 * (r & c).sum() / max(r.sum() + c.sum(), 1)
        for k, (r, c) in enumerate(zip(reference, candidate, strict=True))
    }
    scored = [score for score in report.slices if score.status is Status.SCORED]
    bad = [score.dice for score in scored if true[score.index] < 0.6]
    good = [score.dice for score in scored if true[score.index] > 0.9]
    assert len(bad) >= 2 and len(good) >= 2
    assert max(bad) < min(good)


def test_a_real_patient_with_its_reference_scores_higher_than_with_a_shifted_one(estimator, acdc_root):
    folder = sorted((acdc_root / "training").glob("patient*"))[0]
    image = sitk.ReadImage(str(sorted(folder.glob("*_frame??.nii.gz"))[0]))
    reference = sitk.ReadImage(str(sorted(folder.glob("*_gt.nii.gz"))[0]))
    good = estimator.assess(Case.from_images(image, reference, label=MYOCARDIUM, segment="myocardium"))
    shifted = sitk.Resample(
        reference, reference, sitk.TranslationTransform(3, (15.0, 9.0, 0.0)), sitk.sitkNearestNeighbor
    )
    bad = estimator.assess(Case.from_images(image, shifted, label=MYOCARDIUM, segment="myocardium"))
    assert bad.volume.dice < good.volume.dice - 0.2
