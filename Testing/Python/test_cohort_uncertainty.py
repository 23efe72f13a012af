"""A cohort without a trained model: samples and probabilities from the manifest, tables and page without intervals."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from cohort_cases import rows

from SegQualityQCLib.cohort.case_result import request_of
from SegQualityQCLib.cohort.manifest import CohortCase, read_manifest
from SegQualityQCLib.cohort.page import write_page
from SegQualityQCLib.cohort.results import CohortFolder
from SegQualityQCLib.cohort.scoring import ScoringOptions, score_case
from SegQualityQCLib.demo import MYOCARDIUM, demo_images
from SegQualityQCLib.errors import InputError
from SegQualityQCLib.estimators.methods import Method


@pytest.fixture(scope="module")
def manifest(files):
    labels = demo_images()[1]
    (files / "folds").mkdir()
    for number in (1, 2):
        moved = sitk.GetImageFromArray(np.roll(sitk.GetArrayFromImage(labels), number, axis=2))
        moved.CopyInformation(labels)
        sitk.WriteImage(moved, str(files / "folds" / f"{number}.nii.gz"))
    probability = sitk.Cast(labels == MYOCARDIUM, sitk.sitkFloat32) * 0.8
    sitk.WriteImage(probability, str(files / "p.nii.gz"))
    path = files / "manifest.csv"
    path.write_text(
        "case,image,segmentation,label,samples,probabilities\n"
        f"a,image.nii.gz,labels.nii.gz,{MYOCARDIUM},folds/1.nii.gz; folds/2.nii.gz,\n"
        f"b,image.nii.gz,labels.nii.gz,{MYOCARDIUM},folds/*.nii.gz,p.nii.gz\n"
        f"c,image.nii.gz,labels.nii.gz,{MYOCARDIUM},,p.nii.gz\n"
        f"d,image.nii.gz,labels.nii.gz,{MYOCARDIUM},none/*.nii.gz,\n",
        encoding="utf-8",
    )
    return path


@pytest.fixture(scope="module")
def cases(manifest):
    return read_manifest(manifest)


@pytest.fixture(scope="module")
def store(cases, tmp_path_factory):
    """The cohort, scored in this process."""
    store = CohortFolder(tmp_path_factory.mktemp("out"))
    store.create(cases)
    for case in cases:
        scored = score_case(case, ScoringOptions())
        store.write(scored.result, scored.pictures)
    return store


def test_the_manifest_names_samples_and_probabilities_relative_to_itself(cases, manifest):
    assert [path.name for path in cases[0].samples] == ["1.nii.gz", "2.nii.gz"]
    assert cases[1].samples == (manifest.parent / "folds" / "*.nii.gz",)
    assert cases[2].probabilities == manifest.parent / "p.nii.gz"
    assert cases[2].extra == {}


def test_what_the_manifest_names_comes_back_from_the_folder_and_others_are_written_as_before(store, cases, files):
    assert store.cases() == cases
    plain = CohortCase("plain", files / "image.nii.gz", files / "labels.nii.gz")
    assert not {"samples", "probabilities"} & set(store._described(plain))
    assert not {"samples", "probabilities", "method"} & set(request_of(plain, None))


def test_each_case_is_judged_by_what_it_has(store):
    results = {case.name: result for case, result in store.results()}
    measures = {name: [report.measure.value for report in result.reports] for name, result in results.items()}
    assert measures == {"a": ["agreement"], "b": ["agreement"], "c": ["expected_dice"], "d": []}
    assert "No file fits" in results["d"].error
    assert results["a"].reports[0].volume.dice == pytest.approx(results["b"].reports[0].volume.dice)


def test_the_tables_leave_the_interval_empty_and_say_why(store):
    judged = store.write_tables(0.7)
    assert (judged.segments, judged.uncalibrated, judged.unmatched) == (3, 3, 0)
    for row in rows(store.path / "cases.csv"):
        assert (row["low"], row["high"]) == ("", "")
        assert 0 < float(row["dice"]) < 1
        assert "not_calibrated" in row["flags"]
    assert {row["model"] for row in rows(store.path / "cases.csv")} == {"agreement 1.0", "probabilities 1.0"}


def test_the_page_calls_the_numbers_what_they_are(store):
    write_page(store, 0.7)
    page = (store.path / "index.html").read_text(encoding="utf-8")
    assert "agreement (not calibrated) or expected Dice (not calibrated) of 3" in page
    assert "predicted Dice" not in page
    assert "predicted below" not in page
    assert "90 %:" not in page


def test_the_worklist_takes_cases_without_intervals(store):
    from SegQualityQCLib.cli.worklist import _number
    from SegQualityQCLib.review.worklist import Worklist

    case = Worklist.open(store.path, "Dr. Example").case("a")
    assert case.low is None
    assert _number(case) == f"{case.dice:.2f}, not calibrated"


def test_a_changed_sample_is_another_request(cases, files):
    before = request_of(cases[0], None)
    sample = files / "folds" / "1.nii.gz"
    content = sample.read_bytes()
    sample.write_bytes(content + b"\0")
    assert request_of(cases[0], None) != before
    sample.write_bytes(content)


def test_a_method_that_a_case_cannot_feed_is_its_error(cases):
    error = score_case(cases[0], ScoringOptions(method=Method.PROBABILITIES)).result.error
    assert "The method probabilities needs probabilities" in error
    assert request_of(cases[0], None, "agreement") != request_of(cases[0], None)


def test_a_damaged_list_of_samples_is_refused(store, tmp_path, cases):
    damaged = CohortFolder(tmp_path)
    damaged.create(cases)
    path = tmp_path / "cohort.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"samples": [', '"samples": [7, ', 1), encoding="utf-8")
    with pytest.raises(InputError, match="cannot be read"):
        damaged.cases()
