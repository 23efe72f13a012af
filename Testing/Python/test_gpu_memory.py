"""A GPU without memory left: fewer slices together, then the CPU, the same scores, and it is said."""

from __future__ import annotations

import pytest
import torch

from SegQualityQCLib.cli.assess import print_reports
from SegQualityQCLib.demo import demo_case
from SegQualityQCLib.estimators.loading import load_estimator
from SegQualityQCLib.estimators.networks import network_estimator as network_estimators

FULL = torch.cuda.OutOfMemoryError  # what PyTorch raises


@pytest.fixture(scope="module")
def case():
    return demo_case()


@pytest.fixture(scope="module")
def usual(case):
    return load_estimator("acdc-lv-myocardium", "cpu").assess(case)


def full_above(estimator, slices: int) -> list[int]:
    """Let the device be full where more slices go through the networks together; the batches are noted."""
    sound, batches = estimator._forward, []

    def forward(image, mask):
        batches.append(len(image))
        if len(image) > slices and estimator.device.type != "cpu":
            raise FULL("CUDA out of memory. Tried to allocate 20.00 GiB.")
        return sound(image.to("cpu"), mask.to("cpu"))

    estimator._forward = forward
    return batches


def on_another_device(monkeypatch, slices: int):
    """An estimator on a device that holds so many slices; its tensors stay where this machine can compute."""
    estimator = load_estimator("acdc-lv-myocardium", "cpu")
    monkeypatch.setattr(
        estimator, "_tensor", lambda array: torch.from_numpy(array).float()[:, None].contiguous(), raising=True
    )
    estimator.device = torch.device("cuda")
    return estimator, full_above(estimator, slices)


def dices(report) -> list:
    return [None if score.dice is None else pytest.approx(score.dice, abs=1e-4) for score in report.slices]


def test_fewer_slices_go_through_together_and_the_scores_are_the_same(monkeypatch, case, usual):
    estimator, batches = on_another_device(monkeypatch, 2)
    report = estimator.assess(case)
    assert [score.dice for score in report.slices] == dices(usual)
    assert max(batches) > 2 and batches.count(2) + batches.count(1) >= 3
    assert estimator.device.type == "cuda" and "gpu_memory" in report.flags


def test_where_one_slice_is_too_many_the_networks_go_to_the_cpu_and_stay_there(monkeypatch, case, usual):
    estimator, batches = on_another_device(monkeypatch, 0)
    report = estimator.assess(case)
    assert [score.dice for score in report.slices] == dices(usual)
    assert estimator.device.type == "cpu" and batches.count(1) >= 1
    tried = len(batches)
    assert "gpu_memory" in estimator.assess(case).flags
    assert len(batches) - tried <= 2, "the GPU is not tried again"


def test_networks_that_do_not_fit_on_the_gpu_are_loaded_on_the_cpu(monkeypatch, case):
    sound = network_estimators.DirectEstimator._network

    def network(self, *arguments):
        if self.device.type != "cpu":
            raise FULL("CUDA out of memory.")
        return sound(self, *arguments)

    monkeypatch.setattr(network_estimators.DirectEstimator, "_network", network)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    estimator = load_estimator("acdc-lv-myocardium", "auto")
    assert estimator.device.type == "cpu" and "gpu_memory" in estimator.assess(case).flags


def test_a_report_made_without_trouble_does_not_speak_of_memory(usual):
    assert "gpu_memory" not in usual.flags


def test_the_command_says_it(monkeypatch, case, capsys):
    estimator, _ = on_another_device(monkeypatch, 2)
    print_reports([estimator.assess(case)], 0.7)
    assert "GPU ran out of memory" in capsys.readouterr().out


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device on this machine")
def test_a_real_gpu_whose_memory_is_taken_is_survived(case, usual):
    estimator = load_estimator("acdc-lv-myocardium", "cuda")
    torch.cuda.set_per_process_memory_fraction(0.0)
    try:
        report = estimator.assess(case)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert [score.dice for score in report.slices] == dices(usual)
