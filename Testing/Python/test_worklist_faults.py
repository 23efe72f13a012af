"""A worklist whose window is killed at a random moment: the database is sound and no decision is lost."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from SegQualityQCLib.review.worklist import ReviewStatus, Worklist

CASES = 5

WORK_FOR_EVER = """
import sys
from SegQualityQCLib.review.worklist import ReviewStatus, Worklist
worklist = Worklist.open(sys.argv[1], "Ada")
number = int(sys.argv[2])
print("ready", flush=True)
while True:
    name = f"case {number % 5}"
    worklist.open_case(name, take_over=True)
    worklist.save(name, lambda path: path.write_text("whole") and None)
    worklist.decide(name, ReviewStatus.FLAGGED, str(number))
    print(number, flush=True)
    number += 1
"""


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.slow)])
def test_killed_at_a_random_moment_nothing_decided_is_lost(tmp_path, kills):
    (tmp_path / "auto").mkdir()
    path = tmp_path / "cohort.csv"
    lines = [f"case {n},image.nii.gz,auto/{n}.nii.gz" for n in range(CASES)]
    path.write_text("\n".join(["case,image,segmentation", *lines]), encoding="utf-8")
    draw, decided = random.Random(0), -1
    for _ in range(kills):
        command = [sys.executable, "-c", WORK_FOR_EVER, str(path), str(decided + 1)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as run:
            assert run.stdout.readline() == "ready\n"
            time.sleep(draw.uniform(0, 0.3))
            run.kill()
            told = run.stdout.read().splitlines()
        assert run.returncode == -signal.SIGKILL
        decided = max([decided, *map(int, told)])
        worklist = Worklist.open(path, "Bob")
        with sqlite3.connect(worklist.path) as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        db.close()
        cases = {case.name: case for case in worklist.cases()}
        assert len(cases) == CASES
        for number in range(max(0, decided - CASES + 1), decided + 1):
            case = cases[f"case {number % CASES}"]
            later = case.comment == str(number + CASES)  # decided, but killed before it was told
            assert case.comment == str(number) or later
            assert case.status is ReviewStatus.FLAGGED or case.name == f"case {(decided + 1) % CASES}"
        versions = [file for file in (tmp_path / "auto").iterdir() if not file.name.startswith(".")]
        assert {file.read_text(encoding="utf-8") for file in versions} <= {"whole"}
        assert all(case.saved is None or case.saved.is_file() for case in cases.values())
    assert decided >= 0, "it was killed at work"
