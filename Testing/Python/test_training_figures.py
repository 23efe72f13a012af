"""Figures with their intervals, and the pages that tell them: model card and results page."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import fields, replace

import numpy as np
import pytest
from nnunet_study import study_of

from training.data.split import PARTS
from training.evaluation.evaluate import measure
from training.evaluation.scoring import Scores
from training.export.export import model_card, summary
from training.export.provenance import provenance_of
from training.metrics.bootstrap import with_bootstrap
from training.pages.results_page import write_results
from training.study.artifacts import write_json
from training.study.configuration import DataSource
from training.study.run import Run
from training.study.study_file import read_study


def test_the_card_of_a_model_says_whose_data_it_was_trained_on(repository, nnunet, tmp_path):
    study = study_of(repository, tmp_path, nnunet)
    split = {"train": ["heart_0"], "validation": ["heart_1"], "test": ["heart_2"]}
    figures = {"nets": {key: [0.1, 0.05, 0.2] for key in ("mae", "r", "coverage", "width")}}
    card = model_card(Run(study, study.structures[0], "rec-reg", 0), figures, split)
    assert not any(word in card for word in ("ACDC", "cine", "diagnosis", "CC-BY"))
    assert "a data set without a name" in card
    assert "not stated" in card
    dataset = json.loads((nnunet / "dataset.json").read_text(encoding="utf-8"))
    dataset |= {"name": "Hearts", "description": "of volunteers", "licence": "CC0-1.0"}
    (nnunet / "dataset.json").write_text(json.dumps(dataset), encoding="utf-8")
    card = model_card(Run(study, study.structures[0], "rec-reg", 0), figures, split)
    assert all(words in card for words in ("Hearts", "of volunteers", "CC0-1.0"))


def test_the_card_explains_each_figure_and_keeps_the_poor_ones(repository, nnunet, tmp_path):
    study = study_of(repository, tmp_path, nnunet)
    part = {"mae": [0.04, 0.03, 0.05], "r": [0.98] * 3, "coverage": [0.95] * 3, "width": [0.2] * 3, "slices": 40}
    figures = {
        "nets": part,
        "perturbed": part | {"mae": [0.1] * 3, "coverage": [0.8] * 3, "slices": 50},
        "volume": {"mae": [0.02] * 3, "volumes": 6},
        "volume_partly": {"mae": [0.09] * 3, "volumes": 7},
    }
    said = summary(figures)
    assert said["mae"] == 0.07
    assert said["coverage_perturbed"] == 0.8
    assert said["volume_partly_mae"] == 0.09
    run = Run(study, study.structures[0], "direct", 0)
    card = model_card(run, figures, {"train": ["a", "b"], "validation": ["c"], "test": ["d"]})
    for name in said:
        assert re.search(rf"^\| {name} \| [\d.]+ \| \w.+ \|$", card, re.MULTILINE)
    assert "4 patients, of them 2 train, 1 validation, 1 test" in card
    assert "40 slices drawn by U-nets, 50 slices of reference masks made wrong, 6 volumes" in card


def test_the_card_names_the_release_of_acdc_that_a_study_says(repository):
    shipped = read_study(repository / "training" / "configs" / "acdc-cpu.yaml")
    assert "90 of the 100 training patients" in provenance_of(shipped.data).data
    assert "90 of" not in provenance_of(DataSource("acdc", "ACDC_ROOT")).data


def test_a_figure_is_as_sure_as_its_patients_agree():
    patient, places = np.repeat(["a", "b", "c"], 20), np.arange(60)
    alike = np.tile([0.0, 0.1], 30)  # slices differ, patients do not
    assert with_bootstrap(lambda p: float(alike[p].mean()), patient, places) == pytest.approx([0.05] * 3)
    apart = np.repeat([0.0, 0.1, 0.2], 20)
    value, low, high = with_bootstrap(lambda p: float(apart[p].mean()), patient, places)
    assert (value, low, high) == pytest.approx((0.1, 0.0, 0.2))  # one of 27 draws has one patient three times
    value, low, high = with_bootstrap(lambda p: float(apart[p].mean()), patient, places[:40])
    assert (value, low, high) == pytest.approx((0.05, 0.0, 0.1))


def test_figures_of_slices_that_are_all_alike_have_no_correlation(repository):
    columns = {entry.name: np.full(20, 0.5) for entry in fields(Scores)}
    columns |= {"kind": np.full(20, -1), "unfamiliar": np.zeros(20), "volume_kind": np.full(20, -1)}
    figures = measure(Scores(**columns), 20, 0)
    assert "r" not in figures["nets"]
    assert "r_nets" not in summary(figures)


def evaluated(study):
    """What the results page is made from, of a study whose stages all but lack their times."""
    rng = np.random.default_rng(0)
    columns = {entry.name: rng.random(50) for entry in fields(Scores)}
    columns |= {"patient": np.arange(50) % 3, "kind": np.where(np.arange(50) < 25, -1, 0), "unfamiliar": np.zeros(50)}
    columns |= {"volume_share": np.ones(50), "volume_kind": np.full(50, -1)}
    scores = Scores(**columns)
    run = Run(study, study.structures[0], "direct", 0)
    (study.folder / "evaluation").mkdir(parents=True)
    scores.write(run.stage_file("evaluation", ".npz"))
    write_json(run.stage_file("evaluation"), measure(scores, 20, 0))
    write_json(study.folder / "split.json", {part: [part] for part in PARTS})
    (study.folder / "times").mkdir()
    (study.folder / "times" / "prepare.tsv").write_text("s\th:m:s\n1.0\t0:00:01\n", encoding="utf-8")


def test_the_results_page_of_another_organ_has_no_goals_of_the_heart(repository, nnunet, tmp_path):
    study = study_of(repository, tmp_path, nnunet)
    evaluated(study)
    write_results(study, tmp_path / "export")
    page = (tmp_path / "export" / "README.md").read_text(encoding="utf-8")
    assert "## All models, test patients" in page
    assert not any(word in page for word in ("Goals", "goal", "paper |", "demo heart", "no patient's image"))
    write_results(replace(study, data=replace(study.data, layout="acdc")), tmp_path / "export")
    assert "## Goals" in (tmp_path / "export" / "README.md").read_text(encoding="utf-8")


def test_a_hardened_model_of_a_study_that_no_longer_hardens_it_is_not_on_the_results_page(repository, nnunet, tmp_path):
    study = study_of(repository, tmp_path, nnunet)
    evaluated(study)
    folder = study.folder / "evaluation"
    for file in list(folder.glob("*direct-seed0.*")):
        shutil.copyfile(file, folder / f"{file.stem}-hardened{file.suffix}")
    assert "direct" not in study.hardening
    write_results(study, tmp_path / "export")
    assert "hardened" not in (tmp_path / "export" / "README.md").read_text(encoding="utf-8")


def test_the_results_page_names_the_stages_whose_time_is_not_known(repository, nnunet, tmp_path):
    study = study_of(repository, tmp_path, nnunet)
    evaluated(study)
    write_results(study, tmp_path / "export")
    _, _, times = (tmp_path / "export" / "README.md").read_text(encoding="utf-8").partition("## Hardware and time")
    assert "| prepare | 0:00:01 |" in times
    unknown = times.partition("The time of these is not known")[2].partition("\n\n")[0]
    assert "calibrate-direct-lv-myocardium-seed0, evaluate-direct" in unknown
    assert "prepare" not in unknown
    assert "rec-reg" not in unknown
