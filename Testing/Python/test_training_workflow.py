"""The whole study from end to end on a few real patients."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from SegQualityQCLib.bundles.bundle import ModelBundle
from SegQualityQCLib.demo import demo_case
from SegQualityQCLib.errors import InputError

pytest.importorskip("lightning", reason="the training extra is not installed")

from training.data.split import read_split
from training.export.bundling import load_networks
from training.fitting.restore import restore
from training.pages.evaluated_runs import evaluated_runs
from training.pages.training_times import timed_stages
from training.robustness.attack_study import attack_model
from training.study.artifacts import read_json, write_json
from training.study.configuration import Study
from training.study.paths import candidate_files, made_folder, unseen_candidate_files
from training.study.run import Run
from training.study.study_file import read_study

SMOKE = "training/configs/acdc-smoke.yaml"


def snakemake(repository: Path, runs: Path, *more: str, study: str | Path = SMOKE) -> subprocess.CompletedProcess[str]:
    """Run the workflow of a study as a shell would."""
    command = [sys.executable, "-m", "snakemake", "-c2", "-s", "training/Snakefile"]
    command += ["--configfile", str(study), "--directory", str(repository), *more]
    # As a shell would start it: other tests leave variables of Qt and VTK behind.
    kept = {
        key: os.environ[key]
        for key in ("PATH", "HOME", "LANG", "TMPDIR", "ACDC_ROOT", "MNMS_ROOT")
        if key in os.environ
    }
    environment = {**kept, "SEGQUALITY_RUNS": str(runs), "OMP_NUM_THREADS": "1", "PYTHONFAULTHANDLER": "1"}
    return subprocess.run(command, cwd=repository, env=environment, capture_output=True, encoding="utf-8", check=False)


@pytest.fixture(scope="module")
def runs(repository, acdc_root, tmp_path_factory) -> Iterator[Path]:
    """The folder of the runs after the whole workflow of the smoke study."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ACDC_ROOT", str(acdc_root))
        run = snakemake(repository, folder)
        assert run.returncode == 0, run.stderr[-4000:]
        yield folder


@pytest.fixture
def study(repository, runs) -> Study:
    """The smoke study after its workflow."""
    return read_study(repository / SMOKE, runs)


@pytest.fixture
def exported(study) -> Path:
    """The folder with the exported bundles and pages."""
    return study.folder / "export"


@pytest.fixture
def results(exported) -> str:
    """The results page."""
    return (exported / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def attacks(exported) -> str:
    """The page of the attack study."""
    return (exported / "attacks.md").read_text(encoding="utf-8")


def test_the_workflow_exports_a_model_that_assesses_a_case(exported):
    report = load_networks(exported / "Models" / "acdc-lv-myocardium").assess(demo_case())
    assert len(report.slices) == 10


def test_a_finished_workflow_has_nothing_left_to_do(repository, runs):
    again = snakemake(repository, runs, "--dry-run")
    assert "Nothing to be done" in again.stdout + again.stderr


def test_the_results_page_has_the_goals_and_the_figures_of_the_rec_net(results):
    assert "## Goals: left ventricular myocardium" in results
    assert "patient" in results
    assert re.search(r"\| REC-Net L1, test patients \| - \| - \| 0\.\d{4} \[", results)


def test_the_results_page_counts_the_slices_of_training_and_validation(results):
    assert re.search(r"; an epoch of training had \d+ and [1-9]\d* slices, the validation \d+ and [1-9]", results)


def test_the_results_page_compares_the_variants(results):
    assert re.search(r"## Ablation: .*, epochs of each: 1\n", results)
    assert re.search(r"\| the paper's fully connected layers \| 0\.\d+", results)


def test_only_the_network_of_the_image_is_trained_in_a_further_cycle(study, results):
    cycles = [path.name for path in study.folder.glob("*-lv-myocardium-seed0/cycle*")]
    assert sorted(cycles) == ["cycle0", "cycle0", "cycle1"]
    logged = r"\| direct-lv-myocardium-seed0 \| 3 \| \d+\.\d\d \| \d+\.\d \|"  # the epochs of both its cycles
    assert re.search(logged, results)


def test_every_stage_behind_the_results_page_is_timed(study):
    timed = {path.stem for path in (study.folder / "times").glob("*.tsv")}
    assert set(timed_stages(study, evaluated_runs(study))) == timed


def test_the_attack_page_has_the_hardened_model_and_the_scanner_faults(attacks):
    assert "acdc-lv-myocardium-seed0-hardened" in attacks
    assert "slice thickness" in attacks
    assert re.search(r"\| acdc-lv-myocardium-seed0 \| 0\.1 \| \d of [1-9]", attacks)  # bad slices made to look good


def test_only_the_hardened_model_sees_blurred_images(study, exported, attacks):
    assert "acdc-lv-myocardium-seed0-hardened sees images blurred by a Gaussian of 1.5 pixels." in attacks
    hardened = ModelBundle.load(study.folder / "evaluation" / "acdc-lv-myocardium-seed0-hardened")
    exported_model = ModelBundle.load(exported / "Models" / "acdc-lv-myocardium")
    assert hardened.header.block["image_smoothing"] == 1.5
    assert exported_model.header.block["image_smoothing"] == 0


def test_the_surrogate_attack_is_measured_again_where_robinsons_net_was_trained_anew(study):
    run = Run(study, study.structures[0], "rec-reg", 0)
    path = run.stage_file("attacks")
    measured = read_json(path)
    rows = [{**row, "along": None} for row in measured["surrogate"]]
    write_json(path, {**measured, "rival": {"models/reg_net.pt": "another"}, "surrogate": rows})
    attack_model(run)
    assert read_json(path) == measured


def test_a_bundles_network_can_replace_a_trained_one(study, exported):
    run, bundle = Run(study, study.structures[0], "rec-reg", 0), exported / "Models" / "acdc-lv-myocardium"
    trained = torch.load(run.weights, weights_only=True)
    shutil.rmtree(run.folder)
    restore(run, bundle)
    restored = torch.load(run.weights, weights_only=True)
    assert trained.keys() == restored.keys()
    assert (run.folder / "trained.pt").is_file()
    for name, values in trained.items():
        assert torch.allclose(values, restored[name], atol=1e-3)  # a bundle of two networks keeps half the digits
    with pytest.raises(InputError, match="is not a direct model"):
        restore(Run(study, study.structures[0], "direct", 0), bundle)


def test_the_seed_that_a_study_names_is_hardened_and_exported(repository, tmp_path):
    text = (
        (repository / SMOKE).read_text(encoding="utf-8").replace("  rec-reg: {", "  rec-reg: {bundled: true, seed: 1, ")
    )
    study = tmp_path / "study.yaml"
    study.write_text(f"seeds: [0, 1]\n{text}", encoding="utf-8")
    planned = snakemake(repository, tmp_path, "--dry-run", "--printshellcmds", study=study)
    assert planned.returncode == 0, planned.stderr[-4000:]
    stages = re.findall(r"-m (training\.[\w.]+) .*--kind rec-reg --seed (\d)(.*)", planned.stdout)
    assert sorted(seed for stage, seed, _ in stages if stage == "training.fitting.reg_net") == ["0", "1"]
    assert [seed for stage, seed, _ in stages if stage == "training.fitting.harden"] == ["1"]
    assert {seed for stage, seed, _ in stages if stage == "training.robustness.corruption_study"} == {"1"}
    (exported,) = ((seed, rest) for stage, seed, rest in stages if stage == "training.export.export")
    assert exported[0] == "1"
    assert "--variant hardened" in exported[1]


@pytest.mark.slow
def test_the_workflow_draws_candidates_of_several_hospitals(repository, acdc_root, mnms_root, tmp_path, monkeypatch):
    monkeypatch.setenv("ACDC_ROOT", str(acdc_root))
    monkeypatch.setenv("MNMS_ROOT", str(mnms_root))
    config = "training/configs/heart-smoke.yaml"
    run = snakemake(repository, tmp_path, "all_candidates", study=config)
    assert run.returncode == 0, run.stderr[-4000:]
    study = read_study(repository / config, tmp_path)
    assert all(path.is_file() for path in (*candidate_files(study), *unseen_candidate_files(study)))
    assert set(read_split(study)) == {"train", "validation", "test", "unseen"}
    assert all(read_json(made_folder(study, study.structures[0]) / "counts.json").values())
