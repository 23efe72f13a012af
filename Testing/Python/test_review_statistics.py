"""The decisions of a review, exported and compared with the scores."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from command_line import segquality
from worklist_files import cohort

from SegQualityQCLib.demo import demo_case
from SegQualityQCLib.estimators.loading import load_estimator
from SegQualityQCLib.report.report import QualityReport
from SegQualityQCLib.review.decisions import Decision
from SegQualityQCLib.review.statistics import decisions_csv, review_statistics
from SegQualityQCLib.review.worklist import Worklist


@pytest.fixture(scope="module")
def report() -> QualityReport:
    return load_estimator(None, "cpu").assess(demo_case())


def reviewed(tmp_path: Path, report: QualityReport) -> Path:
    """Five cases decided, one left; the scores rank all but one rightly."""
    dices = {"a": 0.2, "b": 0.5, "c": 0.6, "d": 0.75, "e": 0.9, "f": 0.95, "=g": None}
    out = cohort(tmp_path, report, dices)
    worklist = Worklist.open(out, "=Ada")
    decisions = {
        "a": Decision.CORRECTED,
        "b": Decision.CORRECTED,
        "c": Decision.ACCEPTED,
        "d": Decision.CORRECTED,
        "e": Decision.ACCEPTED,
        "=g": Decision.FLAGGED,
    }
    for name, decision in decisions.items():
        worklist.open_case(name)
        worklist.decide(name, decision, f"comment on {name}")
    return out


def test_the_decisions_are_compared_with_the_scores(tmp_path, report):
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
    assert rows["a"]["decided"].endswith("+00:00")
    assert rows["a"]["comment"] == "comment on a"
    assert rows["'=g"]["dice"] == ""
    assert rows["f"]["decided"] == ""


def test_the_commands_print_progress_decisions_and_statistics(tmp_path, report):
    out = reviewed(tmp_path, report)
    status = segquality("worklist", "status", out)
    assert status.returncode == 0, status.stderr
    assert "5 of 7" not in status.stdout
    assert "6 of 7 cases decided; the worst one left is f" in status.stdout
    export = segquality("worklist", "export", out)
    assert export.stdout == decisions_csv(Worklist.open(out, "").cases())
    segquality("worklist", "export", out / "worklist.sqlite", "--csv", tmp_path / "d.csv")
    assert (tmp_path / "d.csv").read_text(encoding="utf-8") == export.stdout
    review = segquality("review", out)
    assert "5 reviewed cases with a score" in review.stdout
    assert "agrees with 60% of the decisions" in review.stdout
    assert "(opened for nothing): 1 of 2" in review.stdout
    refused = segquality("worklist", "status", tmp_path)
    assert refused.returncode == 2
    assert len(refused.stderr.strip().splitlines()) == 1
