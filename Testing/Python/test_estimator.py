"""Assessing real cases with the bundled models."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from compared_scores import alike, edited, values

from SegQualityQCLib.bundles.catalogue import find_bundle
from SegQualityQCLib.case.case import Case
from SegQualityQCLib.demo import demo_images, demo_reference
from SegQualityQCLib.errors import BundleError
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
    with pytest.raises(BundleError, match=r"field of view of .* pixels: Numpy is not available"):
        load_estimator("acdc-lv-myocardium", "cpu")


def test_scale_and_offset_of_the_intensities_change_no_score(estimator, images, report):
    image = sitk.Cast(images[0], sitk.sitkFloat64) * 7.5 - 1000
    again = estimator.assess(Case.from_images(image, images[1], label=MYOCARDIUM, segment="myocardium"))
    for before, after in zip(report.slices, again.slices, strict=True):
        assert values(after) == alike(before)


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


@pytest.mark.parametrize("name", ["acdc-lv-myocardium", "acdc-lv-myocardium-direct"])
def test_a_model_with_smoothing_predicts_of_an_image_what_it_would_without_of_the_blurred_one(name, case, tmp_path):
    plain, smoothing = (shutil.copytree(find_bundle(name), tmp_path / part) for part in ("plain", "smoothing"))
    for folder, pixels in ((plain, 0), (smoothing, 2)):
        metadata = folder / "configs" / "metadata.json"
        content = json.loads(metadata.read_text(encoding="utf-8"))
        content["quality"]["image_smoothing"] = pixels
        metadata.write_text(json.dumps(content), encoding="utf-8")
    plain, smoothing = (load_estimator(folder, "cpu") for folder in (plain, smoothing))
    seen = plain.inputs(case)
    image, mask = seen.image[1:3], seen.mask[1:3]
    image_blurred = blurred(torch.from_numpy(image)[:, None], 2.0)[:, 0].numpy()
    expected = plain.predict(image_blurred, mask).dice
    assert smoothing.predict(image, mask).dice == pytest.approx(expected, abs=1e-5)
    assert plain.predict(image, mask).dice != pytest.approx(expected, abs=1e-4)


def test_the_difference_image_lies_where_the_window_lies(estimator, case, report):
    difference = estimator.maps(case, report)[MapKind.DIFFERENCE]
    array = sitk.GetArrayViewFromImage(difference)
    assert array.min() >= 0
    assert array.max() <= 2
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
    assert len(bad) >= 2
    assert len(good) >= 2
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
