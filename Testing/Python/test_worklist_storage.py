"""What a worklist stores: decisions outlast new results, older versions and moves; reading changes nothing."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from cohort_cases import some_cases, write_demo
from worklist_files import cohort, manifest

from SegQualityQCLib.cohort.results import CohortFolder
from SegQualityQCLib.demo import demo_case
from SegQualityQCLib.errors import InputError, WorklistError
from SegQualityQCLib.estimators.loading import load_estimator
from SegQualityQCLib.report.report import QualityReport
from SegQualityQCLib.review.database import is_local
from SegQualityQCLib.review.decisions import Decision, ReviewStatus
from SegQualityQCLib.review.worklist import Worklist


@pytest.fixture(scope="module")
def report() -> QualityReport:
    return load_estimator(None, "cpu").assess(demo_case())


def test_decisions_stay_when_new_results_come(tmp_path, report):
    out = cohort(tmp_path, report, {"a": 0.5, "b": 0.6})
    worklist = Worklist.open(out, "Ada")
    worklist.next()
    worklist.decide("a", Decision.FLAGGED, "odd")
    cohort(tmp_path, report, {"a": 0.8, "b": 0.6, "c": 0.1})
    again = Worklist.open(out, "Bob")
    assert [(c.name, c.status.value, c.dice) for c in again.cases()] == [
        ("c", "to do", 0.1),
        ("b", "to do", 0.6),
        ("a", "flagged", 0.8),
    ]
    assert (again.case("a").reviewer, again.case("a").comment) == ("Ada", "odd")


def test_a_case_that_left_the_manifest_is_not_handed_out_and_its_decision_stays(tmp_path):
    path = manifest(tmp_path, 3)
    worklist = Worklist.open(path, "Ada")
    worklist.next()
    worklist.decide("case 0", Decision.FLAGGED)
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
    worklist.decide("case 0", Decision.FLAGGED)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert Worklist.open(path, "", read_only=True).case("case 0").status is ReviewStatus.FLAGGED
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_reading_waits_for_nobody_and_sees_what_was_written_last(tmp_path):
    path = manifest(tmp_path, 1)
    worklist = Worklist.open(path, "Ada")
    other = sqlite3.connect(worklist.path, isolation_level=None)
    worklist.next()
    # It lies in the write-ahead log as long as the other one has the file open.
    worklist.decide("case 0", Decision.FLAGGED)
    other.execute("BEGIN EXCLUSIVE")
    assert Worklist.open(path, "", read_only=True).case("case 0").status is ReviewStatus.FLAGGED
    other.execute("ROLLBACK")
    other.close()


def test_a_worklist_of_an_older_version_keeps_its_decisions(tmp_path):
    path = manifest(tmp_path, 2)
    worklist = Worklist.open(path, "Ada")
    worklist.next()
    decided = worklist.decide("case 0", Decision.ACCEPTED, "fine")
    with sqlite3.connect(worklist.path) as db:
        for column in ("reviewer_before", "opened_before", "gone"):
            db.execute(f"ALTER TABLE cases DROP COLUMN {column}")
        db.execute("PRAGMA user_version = 1")
    db.close()
    assert Worklist.open(path, "", read_only=True).case("case 0") == decided
    again = Worklist.open(path, "Bob")
    assert again.case("case 0") == decided
    assert again.next().name == "case 1"


def test_a_locked_worklist_is_said_and_nothing_is_changed(tmp_path):
    worklist = Worklist.open(manifest(tmp_path, 1), "Ada", patience_s=0.2)
    other = sqlite3.connect(worklist.path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(WorklistError, match="locked by another program"):
        worklist.next()
    other.execute("ROLLBACK")
    other.close()
    assert worklist.next().name == "case 0"


def test_a_damaged_or_missing_worklist_and_an_unknown_case_are_said(tmp_path):
    path = manifest(tmp_path, 1)
    database = tmp_path / "cohort.worklist.sqlite"
    database.write_text("this is no database, but long enough to be read as one" * 50)
    with pytest.raises(WorklistError, match="damaged"):
        Worklist.open(path, "Ada")
    with pytest.raises(WorklistError, match="does not exist"):
        Worklist.open(tmp_path / "no.sqlite", "Ada")
    with pytest.raises(InputError, match="does not hold a cohort"):
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


def test_a_cohort_that_moves_with_its_data_keeps_its_worklist(tmp_path):
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    CohortFolder(before / "out").create(some_cases(write_demo(before), 1))
    worklist = Worklist.open(before / "out", "Ada")
    worklist.next()
    worklist.decide("case 0", Decision.FLAGGED)
    before.rename(after)
    (case,) = Worklist.open(after / "out" / "worklist.sqlite", "Ada").cases()
    assert (case.image, case.status) == (after / "image.nii.gz", ReviewStatus.FLAGGED)
