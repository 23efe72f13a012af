"""Taking and deciding cases of a worklist: two annotators never share a case, and a crash loses nothing."""

from __future__ import annotations

import multiprocessing
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from worklist_files import cohort, manifest

from SegQualityQCLib.cohort.case_result import CaseResult
from SegQualityQCLib.cohort.results import CohortFolder
from SegQualityQCLib.demo import demo_case
from SegQualityQCLib.errors import WorklistError
from SegQualityQCLib.estimators.loading import load_estimator
from SegQualityQCLib.report.report import QualityReport
from SegQualityQCLib.review import sessions
from SegQualityQCLib.review.decisions import Decision, ReviewStatus
from SegQualityQCLib.review.worklist import Worklist


@pytest.fixture(scope="module")
def report() -> QualityReport:
    return load_estimator(None, "cpu").assess(demo_case())


def test_cases_without_a_score_come_first_then_the_worst(tmp_path, report):
    out = cohort(tmp_path, report, {"good": 0.9, "poor": 0.3, "broken": None, "fair": 0.7})
    worklist = Worklist.open(out, "Ada")
    assert [case.name for case in worklist.cases()] == ["broken", "poor", "fair", "good"]
    first, second = worklist.next(), worklist.next()
    assert (first.name, first.reason, first.dice) == ("broken", "It is damaged.", None)
    assert (second.name, second.worst_slice, second.status) == ("poor", report.order[0], ReviewStatus.IN_PROGRESS)
    assert CohortFolder(out).read("poor").reports[0].volume.dice == 0.3
    assert second.result.is_file()


def test_a_score_of_a_model_for_something_else_does_not_place_a_case_that_has_another(tmp_path, report):
    out = cohort(tmp_path, report, {"a": 0.9, "b": 0.5})
    store = CohortFolder(out)
    (right,) = store.read("a").reports
    content = right.to_dict() | {"flags": ["model_unmatched"], "volume": {"dice": 0.1, "low": 0.1, "high": 0.1}}
    strange = QualityReport.from_dict(content)
    store.write(CaseResult("a", {}, (strange, right), None, 1.0), [])
    assert [(case.name, case.dice) for case in Worklist.open(out, "Ada").cases()] == [("b", 0.5), ("a", 0.9)]
    store.write(CaseResult("a", {}, (strange,), None, 1.0), [])
    assert [(case.name, case.dice) for case in Worklist.open(out, "Ada").cases()] == [("a", 0.1), ("b", 0.5)]


def test_a_manifest_is_a_worklist_in_its_own_order(tmp_path):
    worklist = Worklist.open(manifest(tmp_path, 3), "Ada")
    assert worklist.path == tmp_path / "cohort.worklist.sqlite"
    case = worklist.next()
    assert (case.name, case.segmentation) == ("case 0", tmp_path / "auto" / "0.nii.gz")


def take_all(path: Path, name: str, taken) -> None:
    worklist = Worklist.open(path, name)
    while (case := worklist.next()) is not None:
        worklist.decide(case.name, Decision.ACCEPTED)
        taken.put((name, case.name))
    taken.put(None)


def test_two_processes_that_hurry_never_get_the_same_case(tmp_path):
    path = manifest(tmp_path, 60)
    context = multiprocessing.get_context("spawn")
    taken = context.Queue()
    workers = [context.Process(target=take_all, args=(path, name, taken)) for name in ("Ada", "Bob", "Cid")]
    for worker in workers:
        worker.start()
    found, ended = [], 0
    while ended < len(workers):
        entry = taken.get(timeout=60)
        ended += entry is None
        found += [entry] if entry else []
    for worker in workers:
        worker.join()
    names = [name for _, name in found]
    assert sorted(names) == sorted(f"case {n}" for n in range(60)), "each once, none lost"
    reviewers = {case.name: case.reviewer for case in Worklist.open(path, "").cases()}
    assert reviewers == {name: reviewer for reviewer, name in found}


def test_a_case_open_elsewhere_is_refused_and_can_be_taken_over(tmp_path):
    path = manifest(tmp_path, 2)
    ada, bob = Worklist.open(path, "Ada"), Worklist.open(path, "Bob")
    ada.next()
    assert bob.next().name == "case 1"
    with pytest.raises(WorklistError, match="open at Ada's"):
        bob.open_case("case 0")
    bob.open_case("case 0", take_over=True)
    with pytest.raises(WorklistError, match="not open in this window any more"):
        ada.decide("case 0", Decision.ACCEPTED)
    ada.release("case 0")
    assert bob.case("case 0").status is ReviewStatus.IN_PROGRESS
    assert bob.decide("case 0", Decision.CORRECTED).reviewer == "Bob"


OPEN_AND_DIE = """
import os, sys, signal
from SegQualityQCLib.review.worklist import Worklist
assert Worklist.open(sys.argv[1], "Ada").next().name == "case 0"
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_next_takes_over_what_a_dead_window_left_open(tmp_path):
    path = manifest(tmp_path, 2)
    died = subprocess.run([sys.executable, "-c", OPEN_AND_DIE, str(path)], check=False)
    assert died.returncode == -signal.SIGKILL
    bob = Worklist.open(path, "Bob")
    assert bob.case("case 0").reviewer == "Ada"
    assert (bob.next().name, bob.next().name, bob.next()) == ("case 0", "case 1", None)


def test_a_window_that_is_silent_for_long_is_taken_for_dead(tmp_path, monkeypatch):
    path = manifest(tmp_path, 1)
    ada, bob = Worklist.open(path, "Ada"), Worklist.open(path, "Bob")
    ada.next()
    assert bob.next() is None
    monkeypatch.setattr(sessions, "SILENCE_S", -1.0)
    assert bob.next().name == "case 0"


def test_a_released_case_is_as_it_was_and_a_decided_one_can_be_opened_again(tmp_path):
    worklist = Worklist.open(manifest(tmp_path, 1), "Ada")
    worklist.next()
    worklist.release("case 0")
    assert worklist.case("case 0").status is ReviewStatus.TODO
    worklist.next()
    worklist.decide("case 0", Decision.ACCEPTED, "fine")
    worklist.open_case("case 0")
    worklist.release("case 0")
    assert (worklist.case("case 0").status, worklist.case("case 0").comment) == (ReviewStatus.ACCEPTED, "fine")
    with pytest.raises(WorklistError, match="not a decision"):
        worklist.decide("case 0", ReviewStatus.TODO)


def test_looking_at_a_decided_case_changes_nothing_of_it(tmp_path):
    path = manifest(tmp_path, 1)
    ada, bob = Worklist.open(path, "Ada"), Worklist.open(path, "Bob")
    ada.next()
    decided = ada.decide("case 0", Decision.ACCEPTED, "fine")
    bob.open_case("case 0")
    bob.release("case 0")
    assert ada.case("case 0") == decided


OPEN_DECIDED_AND_DIE = OPEN_AND_DIE.replace("next().name", "open_case('case 0').name")


def test_a_decision_outlives_a_window_that_dies_while_it_looks_at_it(tmp_path):
    path = manifest(tmp_path, 2)
    ada = Worklist.open(path, "Ada")
    ada.next()
    decided = ada.decide("case 0", Decision.ACCEPTED, "fine")
    died = subprocess.run([sys.executable, "-c", OPEN_DECIDED_AND_DIE, str(path)], check=False)
    assert died.returncode == -signal.SIGKILL
    assert ada.case("case 0").status is ReviewStatus.IN_PROGRESS
    assert Worklist.open(path, "", read_only=True).case("case 0") == decided
    assert (ada.next().name, ada.next()) == ("case 1", None)
    assert ada.case("case 0") == decided


def test_cases_that_share_a_file_wait_for_each_other_and_go_on_from_each_others_version(tmp_path):
    (tmp_path / "auto").mkdir()
    path = tmp_path / "cohort.csv"
    path.write_text("case,image,segmentation,label\nLV,i.nii,auto/a.nii,3\nRV,i.nii,auto/a.nii,1\n", encoding="utf-8")
    ada, bob = Worklist.open(path, "Ada"), Worklist.open(path, "Bob")
    assert ada.next().name == "LV"
    assert bob.next() is None
    with pytest.raises(WorklistError, match="open at Ada's, as the case LV"):
        bob.open_case("RV")
    saved = ada.save("LV", lambda path: path.write_text("LV repaired") and None)
    ada.decide("LV", Decision.CORRECTED)
    second = bob.next()
    assert (second.name, second.latest, second.saved) == ("RV", saved, None)


def test_a_window_that_was_silent_has_its_decided_case_back_if_nobody_decided_since(tmp_path, monkeypatch):
    path = manifest(tmp_path, 1)
    (tmp_path / "auto").mkdir()
    ada, bob = Worklist.open(path, "Ada"), Worklist.open(path, "Bob")
    ada.next()
    ada.decide("case 0", Decision.ACCEPTED)
    ada.open_case("case 0")
    with monkeypatch.context() as patched:
        patched.setattr(sessions, "SILENCE_S", -1.0)
        assert Worklist.open(path, "Cid").case("case 0").status is ReviewStatus.ACCEPTED
    saved = ada.save("case 0", lambda path: path.write_text("more") and None)
    assert ada.decide("case 0", Decision.CORRECTED).saved == saved
    ada.open_case("case 0")
    bob.open_case("case 0", take_over=True)
    bob.decide("case 0", Decision.FLAGGED, "wrong patient")
    with pytest.raises(WorklistError, match="not open in this window any more"):
        ada.decide("case 0", Decision.ACCEPTED)
    assert bob.case("case 0").comment == "wrong patient"
