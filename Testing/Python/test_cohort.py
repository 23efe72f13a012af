"""A cohort: many cases scored over processes."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import SimpleITK as sitk
from cohort_cases import rows, some_cases
from command_line import segquality

from SegQualityQCLib.cohort.case_result import request_of
from SegQualityQCLib.cohort.manifest import CohortCase, find_cases
from SegQualityQCLib.cohort.results import CohortFolder
from SegQualityQCLib.cohort.running import run_cohort
from SegQualityQCLib.cohort.scoring import ScoringOptions, score_case
from SegQualityQCLib.demo import MYOCARDIUM, demo_images, demo_reference
from SegQualityQCLib.errors import InputError
from SegQualityQCLib.estimators.loading import load_estimator
from SegQualityQCLib.reading.cases import read_cases


def test_the_tables_hold_what_assessing_each_case_says(files, cluster, tmp_path):
    run_cohort(some_cases(files, 2), tmp_path / "out", scheduler=cluster.scheduler_address, threshold=0.8)
    (case,) = read_cases(files / "image.nii.gz", files / "labels.nii.gz", label=MYOCARDIUM)
    report = load_estimator(None, "cpu").assess(case)
    slices = [row for row in rows(tmp_path / "out" / "slices.csv") if row["case"] == "case 1"]
    assert [int(row["index"]) for row in slices] == [score.index for score in report.slices]
    for row, score in zip(slices, report.slices, strict=True):
        assert row["status"] == score.status.value
        assert (row["dice"] == "") if score.dice is None else abs(float(row["dice"]) - score.dice) < 2e-4
    cases = rows(tmp_path / "out" / "cases.csv")
    assert [row["case"] for row in cases] == ["case 0", "case 1"]
    assert int(cases[0]["below_threshold"]) == len(report.below(0.8))
    assert int(cases[0]["worst_slice"]) == report.order[0]
    assert int(cases[0]["gaps"]) == 1
    assert cases[1]["site"] == "'=1", "no cell is a formula"


def test_resuming_does_what_is_missing_or_failed_or_changed_and_nothing_else(files, cluster, tmp_path):
    image = shutil.copy(files / "image.nii.gz", tmp_path / "image.nii.gz")
    cases = [*some_cases(files, 3), CohortCase("changed", image, files / "labels.nii.gz", MYOCARDIUM)]
    cases.append(CohortCase("late", tmp_path / "late.nii.gz", files / "labels.nii.gz", MYOCARDIUM))
    out, address = tmp_path / "out", cluster.scheduler_address
    assert run_cohort(cases[1:], out, scheduler=address).failed == 1
    store = CohortFolder(out)
    before = {case.name: store.result_path(case.name).stat().st_mtime_ns for case in cases[1:]}
    with pytest.raises(InputError, match="--resume"):
        run_cohort(cases, out, scheduler=address)
    shutil.copy(files / "image.nii.gz", tmp_path / "late.nii.gz")
    os.utime(image, (1, 1))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy2(files / "image.nii.gz", elsewhere)  # of the same size and time
    cases[2] = replace(cases[2], image=elsewhere / "image.nii.gz")
    assert run_cohort(cases, out, scheduler=address, resume=True).failed == 0
    redone = {name for name, time_ns in before.items() if store.result_path(name).stat().st_mtime_ns != time_ns}
    assert redone == {"changed", "late", cases[2].name}
    assert len(rows(out / "cases.csv")) == 5
    assert rows(out / "errors.csv") == []
    store.result_path("late").write_text("{", encoding="utf-8")
    store.write_tables(0.7)
    assert [row["case"] for row in rows(out / "errors.csv")] == ["late"], "no case vanishes without a word"
    run_cohort(cases, out, scheduler=address, resume=True)
    tables = {name: (out / name).read_bytes() for name in ("slices.csv", "cases.csv", "errors.csv")}
    run_cohort(cases, out, scheduler=address, resume=True)
    assert tables == {name: (out / name).read_bytes() for name in tables}, "running twice gives the same files"


def nnunet_folder(folder: Path) -> Path:
    """A heart with ventricles and muscle as plain labels, in nnU-Net's layout."""
    for name, image in (("imagesTr/p_0000.nii.gz", demo_images()[0]), ("labelsTr/p.nii.gz", demo_reference())):
        (folder / name).parent.mkdir(parents=True)
        sitk.WriteImage(image, str(folder / name))
    return folder


def test_labels_that_nnunet_names_are_judged_each_by_its_model(tmp_path):
    folder = nnunet_folder(tmp_path)
    (plain,) = find_cases(folder)
    (folder / "dataset.json").write_text(json.dumps({"labels": {"RV": 1, "MYO": 2, "strange": 3}}), encoding="utf-8")
    (case,) = find_cases(folder)
    assert request_of(plain, None) != request_of(case, None), "other names are another request"
    reports = score_case(case, ScoringOptions(device="cpu")).result.reports
    assert [report.case.segment for report in reports] == ["label 1", "label 2", "label 3"]
    assert reports[0].model.name == "acdc-rv-cavity"
    assert reports[1].model.name.startswith("acdc-lv-myocardium")
    assert ["model_unmatched" in report.flags for report in reports] == [False, False, True]


def test_the_command_says_how_many_segments_no_model_is_known_to_fit(tmp_path):
    folder = nnunet_folder(tmp_path / "data")
    run = segquality("cohort", folder, "--label", 3, "--workers", 1, "--out", tmp_path / "out")
    assert run.returncode == 0, run.stderr
    assert "1 of 1 cases done" in run.stdout
    assert "Note: 1 of 1 segments are not known" in run.stdout
    assert [row["segment"] for row in rows(tmp_path / "out" / "cases.csv")] == ["label 3"]


def test_a_model_named_for_one_label_is_believed_and_for_all_labels_is_not(tmp_path):
    folder = nnunet_folder(tmp_path)
    options = ScoringOptions(model="acdc-lv-myocardium-direct", device="cpu")
    for label, flagged in ((2, [False]), (None, [True, True, True])):
        reports = score_case(find_cases(folder, label=label)[0], options).result.reports
        assert ["model_unmatched" in report.flags for report in reports] == flagged
    for name, flagged in (
        ("RV", True),
        ("MLV", False),
    ):  # the name of something else counts more, an unknown one does not
        (folder / "dataset.json").write_text(json.dumps({"labels": {name: 2}}), encoding="utf-8")
        (report,) = score_case(find_cases(folder, label=2)[0], options).result.reports
        assert ("model_unmatched" in report.flags) == flagged
