"""The attacks of the study, on the networks of the models that come with the library."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from torch import Generator

from SegQualityQCLib.demo import demo_case
from SegQualityQCLib.errors import InputError
from SegQualityQCLib.estimators.loading import load_estimator
from SegQualityQCLib.estimators.networks.rec_reg import RecRegEstimator

pytest.importorskip("lightning", reason="the training extra is not installed")
pytest.importorskip("torchio", reason="the training extra is not installed")

from training.attacks.corruptions import CORRUPTIONS, STRENGTHS, corrupt
from training.attacks.defences import averaged, smoothed
from training.attacks.gradient_attacks import (
    DIFFERENCE_LIMITS,
    IMAGE_LIMITS,
    direction_of_error,
    fgsm,
    gradient,
    pgd,
    score_of_pipeline,
    score_of_regression,
    smallest_eps,
)
from training.pages.attack_page import write_attack_page
from training.robustness.attack_record import Record
from training.robustness.attack_slices import Slices
from training.robustness.attack_study import measure_outcome, run_attack
from training.study.study_file import read_study

SLICES = [1, 2]  # of the demo heart: well drawn, shifted


CASE = demo_case()


@pytest.fixture(scope="module", params=["acdc-lv-myocardium", "acdc-lv-myocardium-direct"])
def estimator(request):
    return load_estimator(request.param, "cpu")


@pytest.fixture(scope="module")
def slices(estimator) -> Slices:
    seen = estimator.inputs(CASE)
    image, mask = (torch.from_numpy(part[SLICES].astype(np.float32))[:, None] for part in (seen.image, seen.mask))
    return Slices(image, mask, torch.tensor([1.0, 0.3]), np.array(["demo"] * 2))


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def test_the_differentiable_pipeline_predicts_what_the_estimator_predicts(estimator, slices):
    score = score_of_pipeline(estimator, slices.mask)
    predicted = estimator.predict(slices.image[:, 0].numpy(), slices.mask[:, 0].numpy().astype(np.uint8)).dice
    assert torch.sigmoid(score(slices.image)).detach().numpy() == pytest.approx(predicted, abs=1e-5)


@pytest.mark.parametrize("way", [1.0, -1.0])
def test_an_attack_moves_the_prediction_in_its_direction_within_eps_and_the_limits(estimator, slices, way):
    score, direction = score_of_pipeline(estimator, slices.mask), torch.full((2,), way)
    mask = slices.mask.clone()
    clean = score(slices.image)
    by_step = fgsm(score, slices.image, direction, 0.05, IMAGE_LIMITS)
    by_steps = pgd(score, slices.image, direction, 0.05, IMAGE_LIMITS, steps=5, generator=seeded())
    for attacked in (by_step, by_steps.image):
        assert (attacked - slices.image).abs().max() <= 0.05 + 1e-6
        assert attacked.min() >= -1
        assert attacked.max() <= 1
        assert (way * (score(attacked) - clean)).mean() > 0
    assert torch.equal(slices.mask, mask)
    assert score(by_steps.image) == pytest.approx(by_steps.logits, abs=1e-4)


def test_eps_zero_leaves_image_and_prediction_as_they_are(estimator, slices):
    score, direction = score_of_pipeline(estimator, slices.mask), torch.ones(2)
    assert torch.equal(fgsm(score, slices.image, direction, 0.0, IMAGE_LIMITS), slices.image)
    found = pgd(score, slices.image, direction, 0.0, IMAGE_LIMITS, steps=2, generator=seeded())
    assert torch.equal(found.image, slices.image)


def test_pgd_is_at_least_as_strong_as_fgsm_and_its_loss_never_falls(estimator, slices):
    score = score_of_pipeline(estimator, slices.mask)
    direction = direction_of_error(score(slices.image), slices.dice)
    by_step = score(fgsm(score, slices.image, direction, 0.05, IMAGE_LIMITS))
    found = pgd(score, slices.image, direction, 0.05, IMAGE_LIMITS, steps=30, generator=seeded())
    assert (direction * found.logits).mean() >= (direction * by_step).mean()
    assert found.trace.shape == (31, 2)
    assert ((direction * found.trace).diff(dim=0) >= 0).all()


def test_a_longer_run_begins_like_a_shorter_one_with_the_same_seed(estimator, slices):
    score, direction = score_of_pipeline(estimator, slices.mask), torch.ones(2)
    short, long = (
        pgd(score, slices.image, direction, 0.05, IMAGE_LIMITS, steps=steps, generator=seeded(3)) for steps in (2, 4)
    )
    assert torch.equal(short.trace, long.trace[:3])


def test_the_gradient_is_computed_in_float32_under_autocast(estimator, slices):
    score, direction = score_of_pipeline(estimator, slices.mask), torch.ones(2)
    expected, _ = gradient(score, slices.image, direction)
    with torch.autocast("cpu", torch.bfloat16):
        slope, logits = gradient(score, slices.image, direction)
    assert slope.dtype == logits.dtype == torch.float32
    assert torch.equal(slope, expected)


def test_the_difference_image_is_attacked_within_its_own_range(estimator, slices):
    if not isinstance(estimator, RecRegEstimator):
        pytest.skip("this model has no difference image")
    d = estimator.first_channel(slices.image, slices.mask)
    attacked = fgsm(score_of_regression(estimator.reg_net, slices.mask), d, torch.ones(2), 1.5, DIFFERENCE_LIMITS)
    assert attacked.min() >= -2
    assert attacked.max() <= 2
    assert attacked.abs().max() > 1


def test_bisection_finds_an_eps_that_carries_predictions_across_a_threshold_and_a_smaller_one_that_does_not(
    estimator, slices
):
    score = score_of_pipeline(estimator, slices.mask)
    clean = torch.sigmoid(score(slices.image))
    one = slices.part(slice(0, 1))
    score = score_of_pipeline(estimator, one.mask)
    threshold = float(clean[0]) - 0.1
    search = {"largest": 0.3, "rounds": 3, "steps": 6}
    down = -torch.ones(1)
    found = smallest_eps(score, one.image, down, threshold, IMAGE_LIMITS, generator=seeded(), **search)
    assert 0 < found.item() <= 0.3
    flipped = pgd(score, one.image, down, 2 * found, IMAGE_LIMITS, steps=12, generator=seeded())
    assert torch.sigmoid(flipped.logits) < threshold
    already = smallest_eps(score, one.image, down, 0.999, IMAGE_LIMITS, generator=seeded(), **search)
    assert already.item() == 0
    hopeless = {"largest": 1e-6, "rounds": 1, "steps": 1}
    assert smallest_eps(score, one.image, down, 0.01, IMAGE_LIMITS, generator=seeded(), **hopeless).isinf()


def test_the_worst_direction_is_never_better_than_the_direction_of_the_error(estimator, slices):
    def craft(score, image, direction, _):
        return fgsm(score, image, direction, 0.1, IMAGE_LIMITS)

    outcome = run_attack(slices, craft, lambda mask: score_of_pipeline(estimator, mask))
    row = measure_outcome(slices, outcome, estimator.settings.distribution)
    assert row["worst"]["mae"] >= row["along"]["mae"]
    assert 0 <= row["unfamiliar"] <= 1
    assert 0 <= row["bad_made_good"] <= 1


@pytest.mark.parametrize("traced", [{}, {"direct": 5, "rec-reg": 3}], ids=["no long run yet", "runs of two lengths"])
def test_a_page_of_models_that_were_attacked_in_part_is_written(repository, tmp_path, estimator, slices, traced):
    study = read_study(repository / "training" / "configs" / "acdc-smoke.yaml", tmp_path)
    name = f"{estimator.bundle.name}-seed0"
    shutil.copytree(estimator.bundle.folder, study.folder / "evaluation" / name)

    def craft(score, image, direction, _):
        return fgsm(score, image, direction, 0.1, IMAGE_LIMITS)

    outcome = run_attack(slices, craft, lambda mask: score_of_pipeline(estimator, mask))
    rows = [{"eps": eps, **measure_outcome(slices, outcome, None), "unfamiliar": 0.0} for eps in (0.0, 0.1)]
    describes = {"name": name, "weights": {}, "settings": {}, "slices": 2, "patients": 1, "bad": 1, "good": 1}
    record = Record(study.folder / "attacks" / f"{name}.json", describes)
    record.keep({"true": slices.dice, "fgsm-0": outcome.clean, "fgsm-0.1": outcome.worst}, fgsm=rows, pgd=rows[1:])
    length = traced.get(estimator.bundle.header.family)
    if length is not None:
        trace = [step / 10 for step in range(length)]
        record.keep(steps={"eps": 0.1, "slices": 2, "mae": trace, "gain": trace})
    bad = {"eps": 0.1, "patient": ["a"] * 150, "clean": [0.4] * 150, "attacked": [0.7] * 150}
    record.keep(further_bad=bad)
    transfer = {"eps": 0.1, "mae": {name: {name: 0.5}}}
    (study.folder / "attacks" / "transfer.json").write_text(json.dumps(transfer), encoding="utf-8")
    write_attack_page(study, study.structures[0], tmp_path / "page")
    page = (tmp_path / "page" / "attacks.md").read_text(encoding="utf-8")
    assert f"Attacked in part: {name}." in page
    assert "| model | figure | 4 steps |" in page  # the study runs PGD for twice two
    assert f"| {name} | 0.1 | 0 of 150 | 0 of 150 | 0 | 2.0 % | 0.70 |" in page  # 1 - 0.05 ** (1 / 150)
    gain = "0.40" if length == 5 else "-"  # a shorter record has no such step
    assert (f"| {name} | gain of the directed logit | {gain} |" in page) == (length is not None)


def test_a_page_without_any_attacked_model_says_what_to_run_first(repository, tmp_path):
    study = read_study(repository / "training" / "configs" / "acdc-smoke.yaml", tmp_path)
    with pytest.raises(InputError, match=r"attacked yet: run python -m training\.robustness\.attack_study"):
        write_attack_page(study, study.structures[0], tmp_path / "page")


def test_smoothing_takes_out_an_attack_of_single_pixels(estimator, slices):
    checked = torch.ones(144, 144)
    checked[::2, ::2] = checked[1::2, 1::2] = -1
    plain = score_of_pipeline(estimator, slices.mask)
    defended = smoothed(plain, 2.0)
    changed = slices.image + 0.1 * checked
    assert (defended(changed) - defended(slices.image)).abs().max() < 0.1


def test_averaging_over_noise_is_reproducible_with_its_seed_and_follows_the_model(estimator, slices):
    plain = score_of_pipeline(estimator, slices.mask)
    first, second = (averaged(plain, 0.02, 3, seeded(1))(slices.image) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.sigmoid(first) == pytest.approx(torch.sigmoid(plain(slices.image)).detach(), abs=0.3)


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_a_corrupted_ct_has_its_air_and_fat_where_they_were(corruption):
    of_mr = sitk.Cast(CASE.image[60:156, 80:176, 2:6], sitk.sitkFloat32)
    of_mr -= float(sitk.GetArrayViewFromImage(of_mr).min())
    expected = sitk.GetArrayFromImage(corrupt(of_mr, corruption, 1, 5)) - 1000
    assert sitk.GetArrayFromImage(corrupt(of_mr - 1000.0, corruption, 1, 5)) == pytest.approx(expected, abs=0.5)


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_a_corruption_keeps_the_grid_repeats_itself_and_grows_with_its_strength(corruption):
    image = CASE.image[60:156, 80:176, 2:6]
    clean = sitk.GetArrayFromImage(image).astype(float)
    weak, strong, again = (corrupt(image, corruption, strength, 5) for strength in (1, STRENGTHS, STRENGTHS))
    errors = [np.abs(sitk.GetArrayFromImage(changed) - clean).mean() for changed in (weak, strong)]
    assert 0 < errors[0] < errors[1]
    assert np.array_equal(sitk.GetArrayFromImage(strong), sitk.GetArrayFromImage(again))
    assert strong.GetSize() == image.GetSize()
    assert strong.GetOrigin() == image.GetOrigin()
    assert sitk.GetArrayFromImage(strong).min() >= 0


def test_motion_blurs_along_the_rows_and_leaves_the_anatomy_where_it_was_drawn():
    array = np.zeros((3, 96, 96), np.float32)
    array[:, 30:60, 36:70] = 100
    clean = sitk.GetImageFromArray(array)
    moved = sitk.GetArrayFromImage(corrupt(clean, "motion", STRENGTHS, 5))
    for before, after in zip(array, moved, strict=True):
        likeness = np.fft.ifft2(np.fft.fft2(after) * np.conj(np.fft.fft2(before))).real
        assert np.unravel_index(likeness.argmax(), likeness.shape) == (0, 0)
        beyond = np.abs(after)
        assert beyond[:20].mean() + beyond[70:].mean() > 2 * (beyond[30:60, :26].mean() + beyond[30:60, 80:].mean())
