"""Worklists: two annotators never share a case, nothing is overwritten, and a crash loses nothing."""

from __future__ import annotations

import csv
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from cohort_cases import some_cases, write_demo
from command_line import segquality

from SegQualityQCLib.cohort.manifest import CohortCase
from SegQualityQCLib.cohort.results import CaseResult, CohortFolder
from SegQualityQCLib.demo import demo_case
from SegQualityQCLib.errors import InputError, WorklistError
from SegQualityQCLib.estimators.loading import load_estimator
from SegQualityQCLib.report.report import QualityReport
from SegQualityQCLib.review import sessions as worklist_sessions
from SegQualityQCLib.review.database import is_local
from SegQualityQCLib.review.statistics import decisions_csv, review_statistics
from SegQualityQCLib.review.worklist import ReviewStatus, Worklist
from SegQualityQCLib.storage.saved_versions import publish_version

ACCEPTED, CORRECTED, FLAGGED = ReviewStatus.ACCEPTED, ReviewStatus.CORRECTED, ReviewStatus.FLAGGED


@pytest.fixture(scope="module")
def report() -> QualityReport:
    return load_estimator(None, "cpu").assess(demo_case())


def manifest(folder: Path, count: int) -> Path:
    lines = [f"case {n},image.nii.gz,auto/{n}.nii.gz" for n in range(count)]
    path = folder / "cohort.csv"
    path.write_text("\n".join(["case,image,segmentation", *lines]), encoding="utf-8")
    return path


def cohort(folder: Path, report: QualityReport, dices: dict[str, float | None]) -> Path:
    """A cohort's result folder with these volume scores; None could not be scored."""
    store = CohortFolder(folder / "out")
    store.create([CohortCase(name, folder / "i.nii.gz", folder / f"{name}.nii.gz") for name in dices])
    for name, dice in dices.items():
        content = report.to_dict()
        if dice is not None:
            content["volume"] = {"dice": dice, "low": dice, "high": dice}
        reports = () if dice is None else (QualityReport.from_dict(content),)
        store.write(CaseResult(name, {}, reports, "It is damaged." if dice is None else None, 1.0), [])
    return folder / "out"


def test_the_worst_case_comes_first_and_what_nobody_vouches_for_before_it(tmp_path, report):
    out = cohort(tmp_path, report, {"good": 0.9, "poor": 0.3, "broken": None, "fair": 0.7})
    worklist = Worklist.open(out, "Ada")
    assert [case.name for case in worklist.cases()] == ["broken", "poor", "fair", "good"]
    first, second = worklist.next(), worklist.next()
    assert (first.name, first.reason, first.dice) == ("broken", "It is damaged.", None)
    assert (second.name, second.worst_slice, second.status) == ("poor", report.order[0], ReviewStatus.IN_PROGRESS)
    assert CohortFolder(out).read("poor").reports[0].volume.dice == 0.3 and second.result.is_file()


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


def test_decisions_stay_when_new_results_come(tmp_path, report):
    out = cohort(tmp_path, report, {"a": 0.5, "b": 0.6})
    worklist = Worklist.open(out, "Ada")
    worklist.next()
    worklist.decide("a", FLAGGED, "odd")
    cohort(tmp_path, report, {"a": 0.8, "b": 0.6, "c": 0.1})
    again = Worklist.open(out, "Bob")
    assert [(c.name, c.status.value, c.dice) for c in again.cases()] == [
        ("c", "to do", 0.1),
        ("b", "to do", 0.6),
        ("a", "flagged", 0.8),
    ]
    assert (again.case("a").reviewer, again.case("a").comment) == ("Ada", "odd")


def take_all(path: Path, name: str, taken) -> None:
    worklist = Worklist.open(path, name)
    while (case := worklist.next()) is not None:
        worklist.decide(case.name, ACCEPTED)
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
        ada.decide("case 0", ACCEPTED)
    ada.release("case 0")
    assert bob.case("case 0").status is ReviewStatus.IN_PROGRESS
    assert bob.decide("case 0", CORRECTED).reviewer == "Bob"


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
    monkeypatch.setattr(worklist_sessions, "SILENCE_S", -1.0)
    assert bob.next().name == "case 0"


def test_a_released_case_is_as_it_was_and_a_decided_one_can_be_opened_again(tmp_path):
    worklist = Worklist.open(manifest(tmp_path, 1), "Ada")
    worklist.next()
    worklist.release("case 0")
    assert worklist.case("case 0").status is ReviewStatus.TODO
    worklist.next()
    worklist.decide("case 0", ACCEPTED, "fine")
    worklist.open_case("case 0")
    worklist.release("case 0")
    assert (worklist.case("case 0").status, worklist.case("case 0").comment) == (ACCEPTED, "fine")
    with pytest.raises(WorklistError, match="no decision"):
        worklist.decide("case 0", ReviewStatus.TODO)


def test_looking_at_a_decided_case_changes_nothing_of_it(tmp_path):
    path = manifest(tmp_path, 1)
    ada, bob = Worklist.open(path, "Ada"), Worklist.open(path, "Bob")
    ada.next()
    decided = ada.decide("case 0", ACCEPTED, "fine")
    bob.open_case("case 0")
    bob.release("case 0")
    assert ada.case("case 0") == decided


OPEN_DECIDED_AND_DIE = OPEN_AND_DIE.replace("next().name", "open_case('case 0').name")


def test_a_decision_outlives_a_window_that_dies_while_it_looks_at_it(tmp_path):
    path = manifest(tmp_path, 2)
    ada = Worklist.open(path, "Ada")
    ada.next()
    decided = ada.decide("case 0", ACCEPTED, "fine")
    died = subprocess.run([sys.executable, "-c", OPEN_DECIDED_AND_DIE, str(path)], check=False)
    assert died.returncode == -signal.SIGKILL
    assert ada.case("case 0").status is ReviewStatus.IN_PROGRESS
    assert Worklist.open(path, "", read_only=True).case("case 0") == decided
    assert (ada.next().name, ada.next()) == ("case 1", None)
    assert ada.case("case 0") == decided


def test_work_on_a_case_that_was_taken_over_is_saved_but_counts_for_nothing(tmp_path):
    path = manifest(tmp_path, 1)
    (tmp_path / "auto").mkdir()
    ada, bob = Worklist.open(path, "Ada"), Worklist.open(path, "Bob")
    ada.next()
    bob.open_case("case 0", take_over=True)
    saved = ada.save("case 0", lambda path: path.write_text("Ada's") and None)
    assert saved.read_text() == "Ada's"
    assert bob.case("case 0").saved is None


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
    ada.decide("LV", CORRECTED)
    second = bob.next()
    assert (second.name, second.latest, second.saved) == ("RV", saved, None)


def test_a_case_that_left_the_manifest_is_not_handed_out_and_its_decision_stays(tmp_path):
    path = manifest(tmp_path, 3)
    worklist = Worklist.open(path, "Ada")
    worklist.next()
    worklist.decide("case 0", FLAGGED)
    path.write_text("case,image,segmentation\nrenamed,i.nii,auto/1.nii\n", encoding="utf-8")
    again = Worklist.open(path, "Bob")
    assert {case.name for case in again.cases()} == {"case 0", "renamed"}
    assert (again.next().name, again.next()) == ("renamed", None)
    manifest(tmp_path, 3)
    assert Worklist.open(path, "Cid").next().name == "case 1"


def test_reading_makes_and_changes_no_file(tmp_path):
    path = manifest(tmp_path, 2)
    assert len(Worklist.open(path, "", read_only=True).cases()) == 2
    assert [file.name for file in tmp_path.iterdir()] == ["cohort.csv"]
    worklist = Worklist.open(path, "Ada")
    worklist.next()
    worklist.decide("case 0", FLAGGED)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert Worklist.open(path, "", read_only=True).case("case 0").status is FLAGGED
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_reading_waits_for_nobody_and_sees_what_was_written_last(tmp_path):
    path = manifest(tmp_path, 1)
    worklist = Worklist.open(path, "Ada")
    other = sqlite3.connect(worklist.path, isolation_level=None)
    worklist.next()
    worklist.decide("case 0", FLAGGED)  # it lies in the write-ahead log as long as the other one has the file open
    other.execute("BEGIN EXCLUSIVE")
    assert Worklist.open(path, "", read_only=True).case("case 0").status is FLAGGED
    other.execute("ROLLBACK")
    other.close()


def test_a_window_that_was_silent_has_its_decided_case_back_if_nobody_decided_since(tmp_path, monkeypatch):
    path = manifest(tmp_path, 1)
    (tmp_path / "auto").mkdir()
    ada, bob = Worklist.open(path, "Ada"), Worklist.open(path, "Bob")
    ada.next()
    ada.decide("case 0", ACCEPTED)
    ada.open_case("case 0")
    with monkeypatch.context() as patched:
        patched.setattr(worklist_sessions, "SILENCE_S", -1.0)
        assert Worklist.open(path, "Cid").case("case 0").status is ACCEPTED
    saved = ada.save("case 0", lambda path: path.write_text("more") and None)
    assert ada.decide("case 0", CORRECTED).saved == saved
    ada.open_case("case 0")
    bob.open_case("case 0", take_over=True)
    bob.decide("case 0", FLAGGED, "wrong patient")
    with pytest.raises(WorklistError, match="not open in this window any more"):
        ada.decide("case 0", ACCEPTED)
    assert bob.case("case 0").comment == "wrong patient"


def test_a_worklist_of_an_older_version_keeps_its_decisions(tmp_path):
    path = manifest(tmp_path, 2)
    worklist = Worklist.open(path, "Ada")
    worklist.next()
    decided = worklist.decide("case 0", ACCEPTED, "fine")
    with sqlite3.connect(worklist.path) as db:
        for column in ("reviewer_before", "opened_before", "gone"):
            db.execute(f"ALTER TABLE cases DROP COLUMN {column}")
        db.execute("PRAGMA user_version = 1")
    db.close()
    assert Worklist.open(path, "", read_only=True).case("case 0") == decided
    again = Worklist.open(path, "Bob")
    assert again.case("case 0") == decided
    assert again.next().name == "case 1"


def test_saving_makes_a_new_version_and_never_overwrites(tmp_path):
    (tmp_path / "auto").mkdir()
    (tmp_path / "auto" / "0.nii.gz").write_text("original")
    (tmp_path / "auto" / "0.v2.seg.nrrd").write_text("somebody's")
    worklist = Worklist.open(manifest(tmp_path, 1), "Ada")
    worklist.next()
    saved = worklist.save("case 0", lambda path: path.write_text("mine") and None)
    assert (saved.name, saved.read_text()) == ("0.v3.seg.nrrd", "mine")
    assert worklist.case("case 0").latest == saved
    assert worklist.save("case 0", lambda path: path.write_text("again") and None).name == "0.v4.seg.nrrd"
    contents = {path.name: path.read_text() for path in (tmp_path / "auto").iterdir()}
    assert contents == {
        "0.nii.gz": "original",
        "0.v2.seg.nrrd": "somebody's",
        "0.v3.seg.nrrd": "mine",
        "0.v4.seg.nrrd": "again",
    }


def test_a_save_that_fails_leaves_nothing_behind(tmp_path):
    original = tmp_path / "heart.v2.seg.nrrd"
    original.write_text("second")

    def half(path: Path) -> None:
        path.write_text("ha")
        raise OSError(28, "No space left on device")

    with pytest.raises(WorklistError, match="No space left"):
        publish_version(original, half)
    with pytest.raises(WorklistError, match="was not written"):
        publish_version(original, lambda path: None)
    assert [path.name for path in tmp_path.iterdir()] == ["heart.v2.seg.nrrd"]


def test_versions_saved_at_once_get_numbers_of_their_own(tmp_path):
    original = tmp_path / "heart.nii.gz"
    original.write_text("original")
    together = threading.Barrier(6)
    saved: list[Path] = []

    def save(number: int) -> None:
        def write(path: Path) -> None:
            path.write_text(str(number))
            together.wait()

        saved.append(publish_version(original, write))

    threads = [threading.Thread(target=save, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(path.name for path in saved) == [f"heart.v{n}.seg.nrrd" for n in range(2, 8)]
    assert sorted(path.read_text() for path in saved) == [str(n) for n in range(6)]


def test_a_locked_worklist_is_said_and_nothing_is_changed(tmp_path):
    worklist = Worklist.open(manifest(tmp_path, 1), "Ada", patience_s=0.2)
    other = sqlite3.connect(worklist.path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(WorklistError, match="locked by another program"):
        worklist.next()
    other.execute("ROLLBACK")
    other.close()
    assert worklist.next().name == "case 0"


def test_a_damaged_or_missing_or_strange_worklist_is_said(tmp_path):
    path = manifest(tmp_path, 1)
    database = tmp_path / "cohort.worklist.sqlite"
    database.write_text("this is no database, but long enough to be read as one" * 50)
    with pytest.raises(WorklistError, match="damaged"):
        Worklist.open(path, "Ada")
    with pytest.raises(WorklistError, match="does not exist"):
        Worklist.open(tmp_path / "no.sqlite", "Ada")
    with pytest.raises(InputError, match="holds no cohort"):
        Worklist.open(tmp_path, "Ada")
    database.unlink()
    with pytest.raises(WorklistError, match="has no case"):
        Worklist.open(path, "Ada").open_case("nobody")


def test_the_write_ahead_log_is_used_on_a_local_disk_until_a_network_was_seen(tmp_path):
    if not is_local(tmp_path):
        pytest.skip("the temporary folder is not known to be on a local disk")
    path = manifest(tmp_path, 1)
    worklist = Worklist.open(path, "Ada")

    def journal() -> str:
        db = sqlite3.connect(worklist.path)
        mode = db.execute("PRAGMA journal_mode").fetchone()[0]
        db.close()
        return mode

    assert journal() == "wal"
    db = sqlite3.connect(worklist.path)
    db.execute("INSERT INTO settings VALUES ('shared', 'opened over a network')")
    db.commit()
    db.close()
    Worklist.open(path, "Bob")
    assert journal() == "delete"
    assert not is_local(Path("/proc")) or os.name != "posix"


def test_the_worklist_needs_nothing_but_the_standard_library():
    code = (
        "import sys; before = set(sys.modules)\n"
        "import SegQualityQCLib.review.worklist, SegQualityQCLib.review.statistics\n"
        "tops = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(tops - set(sys.stdlib_module_names) - {'SegQualityQCLib'}))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert run.stdout.strip() == "[]"


def reviewed(tmp_path: Path, report: QualityReport) -> Path:
    """Five cases decided, one left; the scores rank all but one rightly."""
    dices = {"a": 0.2, "b": 0.5, "c": 0.6, "d": 0.75, "e": 0.9, "f": 0.95, "=g": None}
    out = cohort(tmp_path, report, dices)
    worklist = Worklist.open(out, "=Ada")
    decisions = {"a": CORRECTED, "b": CORRECTED, "c": ACCEPTED, "d": CORRECTED, "e": ACCEPTED, "=g": FLAGGED}
    for name, decision in decisions.items():
        worklist.open_case(name)
        worklist.decide(name, decision, f"comment on {name}")
    return out


def test_the_review_is_held_against_the_scores(tmp_path, report):
    cases = Worklist.open(reviewed(tmp_path, report), "").cases()
    statistics = review_statistics(cases, 0.7)
    assert (statistics.accepted_below, statistics.accepted_above) == (1, 1)
    assert (statistics.corrected_below, statistics.corrected_above) == (2, 1)
    assert statistics.agreement == pytest.approx(3 / 5)
    assert (statistics.flagged, statistics.without_score, statistics.left) == (1, 1, 1)
    assert statistics.ranking == pytest.approx(5 / 6)
    assert statistics.reviewed_up_to == 0.9
    assert (statistics.best.threshold, statistics.best.saved, statistics.best.missed) == (0.751, 1, 0)
    tolerant = review_statistics(cases, 0.7, allowed_miss=0.4).best
    assert (tolerant.threshold, tolerant.saved, tolerant.missed) == (0.501, 2, 1)


def test_decisions_are_exported_with_reviewers_and_times(tmp_path, report):
    cases = Worklist.open(reviewed(tmp_path, report), "").cases()
    rows = {row["case"]: row for row in csv.DictReader(decisions_csv(cases).splitlines())}
    assert (rows["a"]["status"], rows["a"]["reviewer"], rows["a"]["dice"]) == ("corrected", "'=Ada", "0.2000")
    assert rows["a"]["decided"].endswith("+00:00") and rows["a"]["comment"] == "comment on a"
    assert rows["'=g"]["dice"] == "" and rows["f"]["decided"] == ""


def test_the_commands_print_progress_decisions_and_statistics(tmp_path, report):
    out = reviewed(tmp_path, report)
    status = segquality("worklist", "status", out)
    assert status.returncode == 0, status.stderr
    assert "5 of 7" not in status.stdout and "6 of 7 cases decided; the worst one left is f" in status.stdout
    export = segquality("worklist", "export", out)
    assert export.stdout == decisions_csv(Worklist.open(out, "").cases())
    segquality("worklist", "export", out / "worklist.sqlite", "--csv", tmp_path / "d.csv")
    assert (tmp_path / "d.csv").read_text(encoding="utf-8") == export.stdout
    review = segquality("review", out)
    assert "5 reviewed cases with a score" in review.stdout
    assert "agrees with 60% of the decisions" in review.stdout and "(opened for nothing): 1 of 2" in review.stdout
    refused = segquality("worklist", "status", tmp_path)
    assert refused.returncode == 2 and len(refused.stderr.strip().splitlines()) == 1


def test_a_cohort_that_moves_with_its_data_keeps_its_worklist(tmp_path):
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    CohortFolder(before / "out").create(some_cases(write_demo(before), 1))
    worklist = Worklist.open(before / "out", "Ada")
    worklist.next()
    worklist.decide("case 0", FLAGGED)
    before.rename(after)
    (case,) = Worklist.open(after / "out" / "worklist.sqlite", "Ada").cases()
    assert (case.image, case.status) == (after / "image.nii.gz", FLAGGED)
