"""The whole study from end to end on a few real patients."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from SegQualityQCLib.bundles.bundle import ModelBundle
from SegQualityQCLib.demo import demo_case
from SegQualityQCLib.errors import InputError
from SegQualityQCLib.estimators.loading import load_estimator

pytest.importorskip("lightning", reason="the training extra is not installed")

from training.fitting.restore import restore
from training.pages.results_page import evaluated_runs, timed_stages
from training.robustness.attack_study import attack_model
from training.study.artifacts import read_json, write_json
from training.study.configuration import Study
from training.study.study_file import read_study

SMOKE = "training/configs/acdc-smoke.yaml"


def snakemake(repository: Path, runs: Path, *more: str, study: str | Path = SMOKE) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "snakemake", "-c2", "-s", "training/Snakefile"]
    command += ["--configfile", str(study), "--directory", str(repository), *more]
    # As a shell would start it: other tests leave variables of Qt and VTK behind.
    kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "TMPDIR", "ACDC_ROOT") if key in os.environ}
    environment = {**kept, "SEGQUALITY_RUNS": str(runs), "OMP_NUM_THREADS": "1", "PYTHONFAULTHANDLER": "1"}
    return subprocess.run(command, cwd=repository, env=environment, capture_output=True, encoding="utf-8", check=False)


def test_the_workflow_trains_calibrates_evaluates_and_exports_a_usable_model(
    repository, acdc_root, tmp_path, monkeypatch
):
    monkeypatch.setenv("ACDC_ROOT", str(acdc_root))
    run = snakemake(repository, tmp_path)
    assert run.returncode == 0, run.stderr[-4000:]
    exported = tmp_path / "acdc-smoke" / "export"
    bundle = ModelBundle.load(exported / "Models" / "acdc-lv-myocardium")
    report = load_estimator(bundle, "cpu").assess(demo_case())
    assert len(report.slices) == 10
    page = (exported / "README.md").read_text(encoding="utf-8")
    assert "## Goals: left ventricular myocardium" in page and "patient" in page
    assert re.search(r"; an epoch of training had \d+ and [1-9]\d* slices, the validation \d+ and [1-9]", page)
    assert re.search(r"\| REC-Net L1, test patients \| - \| - \| 0\.\d{4} \[", page)
    assert re.search(r"## Ablation: .*, epochs of each: 1\n", page)
    assert re.search(r"\| the paper's fully connected layers \| 0\.\d+", page)
    study = read_study(repository / SMOKE, tmp_path)
    cycles = [path.name for path in study.folder.glob("*-lv-myocardium-seed0/cycle*")]
    assert sorted(cycles) == ["cycle0", "cycle0", "cycle1"]  # only the network of the image is trained further
    timed = {path.stem for path in (study.folder / "times").glob("*.tsv")}
    assert set(timed_stages(study, evaluated_runs(study))) == timed
    logged = r"\| direct-lv-myocardium-seed0 \| 3 \| \d+\.\d\d \| \d+\.\d \|"  # the epochs of both its cycles
    assert re.search(logged, page)
    attacks = (exported / "attacks.md").read_text(encoding="utf-8")
    assert "acdc-lv-myocardium-seed0-hardened" in attacks and "slice thickness" in attacks
    assert "acdc-lv-myocardium-seed0-hardened sees images blurred by a Gaussian of 1.5 pixels." in attacks
    hardened = ModelBundle.load(study.folder / "evaluation" / "acdc-lv-myocardium-seed0-hardened")
    assert (hardened.quality["image_smoothing"], bundle.quality["image_smoothing"]) == (1.5, 0)
    assert re.search(r"\| acdc-lv-myocardium-seed0 \| 0\.1 \| \d of [1-9]", attacks)  # bad slices made to look good
    again = snakemake(repository, tmp_path, "--dry-run")
    assert "Nothing to be done" in again.stdout + again.stderr
    the_surrogate_attack_is_measured_again_where_robinsons_net_was_trained_anew(study)
    a_bundles_network_can_take_the_place_of_a_trained_one(repository, tmp_path, bundle.folder)


def the_surrogate_attack_is_measured_again_where_robinsons_net_was_trained_anew(study: Study) -> None:
    path = study.folder / "attacks" / "acdc-lv-myocardium-seed0.json"
    measured = read_json(path)
    rows = [{**row, "along": None} for row in measured["surrogate"]]
    write_json(path, {**measured, "rival": {"models/reg_net.pt": "another"}, "surrogate": rows})
    attack_model(study, study.structures[0], "rec-reg", 0)
    assert read_json(path) == measured


def a_bundles_network_can_take_the_place_of_a_trained_one(repository: Path, runs: Path, bundle: Path) -> None:
    study = read_study(repository / SMOKE, runs)
    folder = study.folder / "rec-reg-lv-myocardium-seed0"
    trained = torch.load(folder / "reg_net.pt", weights_only=True)
    shutil.rmtree(folder)
    restore(study, study.structures[0], "rec-reg", 0, bundle)
    restored = torch.load(folder / "reg_net.pt", weights_only=True)
    assert trained.keys() == restored.keys() and (folder / "trained.pt").is_file()
    for name, values in trained.items():
        assert torch.allclose(values, restored[name], atol=1e-3)  # a bundle of two networks keeps half the digits
    with pytest.raises(InputError, match="is no direct"):
        restore(study, study.structures[0], "direct", 0, bundle)


def test_the_seed_that_a_study_names_is_hardened_and_exported(repository, tmp_path):
    text = (
        (repository / SMOKE).read_text(encoding="utf-8").replace("  rec-reg: {", "  rec-reg: {bundled: true, seed: 1, ")
    )
    study = tmp_path / "study.yaml"
    study.write_text(f"seeds: [0, 1]\n{text}", encoding="utf-8")
    planned = snakemake(repository, tmp_path, "--dry-run", "--printshellcmds", study=study)
    assert planned.returncode == 0, planned.stderr[-4000:]
    stages = re.findall(r"-m (training\.\w+) .*--kind rec-reg --seed (\d)(.*)", planned.stdout)
    assert sorted(seed for stage, seed, _ in stages if stage == "training.fitting.reg_net") == ["0", "1"]
    assert [seed for stage, seed, _ in stages if stage == "training.fitting.harden"] == ["1"]
    assert {seed for stage, seed, _ in stages if stage == "training.robustness.corruption_study"} == {"1"}
    (exported,) = ((seed, rest) for stage, seed, rest in stages if stage == "training.export.export")
    assert exported[0] == "1" and "--variant hardened" in exported[1]
