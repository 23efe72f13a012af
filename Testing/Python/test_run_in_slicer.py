"""The script for a real Slicer, as far as the stand-in carries it: the steps that need no window, and its report."""

from __future__ import annotations

import importlib.util
import json

import pytest
import slicer
from slicer_harness.application import start


@pytest.fixture
def trial(repository, tmp_path):
    module = start()
    slicer.modules.segqualityqc = module
    spec = importlib.util.spec_from_file_location("run_in_slicer", repository / "Testing" / "run_in_slicer.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script.Trial(tmp_path)


def test_the_steps_without_a_window_pass_and_the_report_says_so(trial):
    trial.step("the module loads", trial.load_module)
    trial.step("PyTorch is installed", trial.provide_torch)
    trial.step("the self-test passes", trial.self_test)
    trial.step("the sample is assessed", trial.assess_sample)
    assert [step["says"] for step in trial.steps if not step["passed"]] == []
    assert trial.write()
    report = json.loads((trial.folder / "report.json").read_text(encoding="utf-8"))
    assert report["passed"]
    assert len(report["steps"]) == 4
    assert "volume Dice" in (trial.folder / "report.md").read_text(encoding="utf-8")


def test_a_step_that_fails_is_told_and_the_others_follow(trial):
    trial.step("the impossible", lambda: 1 / 0)
    trial.step("the module loads", trial.load_module)
    assert [step["passed"] for step in trial.steps] == [False, True]
    assert not trial.write()
    assert "ZeroDivisionError" in (trial.folder / "report.md").read_text(encoding="utf-8")
