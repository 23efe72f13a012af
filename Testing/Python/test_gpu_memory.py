"""A GPU without memory left: fewer slices together, then the CPU, the same scores, and it is said."""

from __future__ import annotations

import pytest
import torch

from SegQualityQCLib.bundles.bundle import ModelBundle
from SegQualityQCLib.bundles.catalogue import find_bundle
from SegQualityQCLib.cli.assess import print_reports
from SegQualityQCLib.demo import demo_case
from SegQualityQCLib.estimators.loading import load_estimator
from SegQualityQCLib.estimators.networks.rec_reg import RecRegEstimator

FULL = torch.cuda.OutOfMemoryError  # what PyTorch raises


class OnASmallGpu(RecRegEstimator):
    """The networks on a device that holds so many slices at a time; tensors of the device "meta" hold nothing."""

    holds = 100

    def first_channel(self, image, mask):
        if self.device.type != "cpu":
            self.batches.append(len(image))
            if len(image) > self.holds:
                raise FULL("CUDA out of memory. Tried to allocate 20.00 GiB.")
            raise AssertionError("nothing can be computed on this device")
        if len(image) > self.holds > 0:
            raise FULL("CUDA out of memory. Tried to allocate 20.00 GiB.")
        return super().first_channel(image, mask)


@pytest.fixture(scope="module")
def case():
    return demo_case()


@pytest.fixture(scope="module")
def usual(case):
    return load_estimator("acdc-lv-myocardium", "cpu").assess(case)


@pytest.fixture
def small_gpu():
    estimator = OnASmallGpu(ModelBundle.load(find_bundle("acdc-lv-myocardium")), "cpu")
    estimator.batches = []
    return estimator


def dices(report) -> list:
    return [None if score.dice is None else pytest.approx(score.dice, abs=1e-4) for score in report.slices]


def test_fewer_slices_go_through_together_and_the_scores_are_the_same(small_gpu, case, usual):
    small_gpu.holds = 2
    report = small_gpu.assess(case)
    assert [score.dice for score in report.slices] == dices(usual)
    assert "gpu_memory" in report.flags


def test_where_one_slice_is_too_many_the_networks_go_to_the_cpu_and_stay_there(small_gpu, case, usual):
    small_gpu.holds, small_gpu.device = 0, torch.device("meta")
    report = small_gpu.assess(case)
    assert [score.dice for score in report.slices] == dices(usual)
    assert small_gpu.device.type == "cpu"
    assert small_gpu.batches[-1] == 1
    tried = len(small_gpu.batches)
    assert "gpu_memory" in small_gpu.assess(case).flags
    assert len(small_gpu.batches) == tried, "the GPU is not tried again"


def test_networks_that_do_not_fit_on_the_gpu_are_loaded_on_the_cpu(monkeypatch, case, usual):
    sound = torch.nn.Module.to

    def to(self, *arguments, **options):
        if any(isinstance(argument, torch.device) and argument.type == "cuda" for argument in arguments):
            raise FULL("CUDA out of memory.")
        return sound(self, *arguments, **options)

    monkeypatch.setattr(torch.nn.Module, "to", to)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    estimator = load_estimator("acdc-lv-myocardium", "auto")
    report = estimator.assess(case)
    assert estimator.device.type == "cpu"
    assert "gpu_memory" in report.flags
    assert [score.dice for score in report.slices] == dices(usual)


def test_a_report_made_without_trouble_does_not_speak_of_memory(usual):
    assert "gpu_memory" not in usual.flags


def test_the_command_says_it(small_gpu, case, capsys):
    small_gpu.holds = 2
    print_reports([small_gpu.assess(case)], 0.7)
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
