"""The files of `segquality assess` are whole or absent, whatever happens while they are written."""

from __future__ import annotations

import csv
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from SegQualityQCLib.demo import MYOCARDIUM
from SegQualityQCLib.errors import ReportError
from SegQualityQCLib.report.csv_table import CSV_COLUMNS
from SegQualityQCLib.report.report import QualityReport
from SegQualityQCLib.storage.atomic_files import write_text_atomically

KILLS = pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.slow)])
SLICES = 10

# What the command does after it has scored, again and again, so that a kill at a random moment meets it writing.
WRITE_FOR_EVER = """
import json, sys
from pathlib import Path
from SegQualityQCLib.report.csv_table import reports_to_csv
from SegQualityQCLib.report.report import QualityReport
from SegQualityQCLib.storage.atomic_files import write_text_atomically
report, out = QualityReport.read_json(sys.argv[1]), Path(sys.argv[2])
print("ready", flush=True)
while True:
    write_text_atomically(out / "r.json", report.to_json())
    write_text_atomically(out / "r.csv", reports_to_csv([report]))
"""


def assess(files: Path, out: Path) -> list[str]:
    command = [str(Path(sys.executable).with_name("segquality")), "assess"]
    arguments = [files / "image.nii.gz", files / "labels.nii.gz", "--label", MYOCARDIUM, "--quiet"]
    return [*command, *map(str, [*arguments, "--json", out / "r.json", "--csv", out / "r.csv"])]


def is_whole_or_absent(out: Path) -> int:
    """How many of the files are there; each is whole."""
    there = 0
    if (out / "r.json").exists():
        assert len(QualityReport.read_json(out / "r.json").slices) == SLICES
        there += 1
    if (out / "r.csv").exists():
        with (out / "r.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        assert rows[0] == list(CSV_COLUMNS)
        assert len(rows) == SLICES + 1
        assert {len(row) for row in rows} == {len(CSV_COLUMNS)}
        there += 1
    others = [path.name for path in out.iterdir() if path.name not in ("r.json", "r.csv")]
    assert all(name.startswith(".") and name.endswith(".partial") for name in others), others
    return there


@pytest.fixture(scope="module")
def written(files, tmp_path_factory):
    """A folder with what an undisturbed run writes, and how long it takes in seconds."""
    out = tmp_path_factory.mktemp("whole")
    begun = time.perf_counter()
    subprocess.run(assess(files, out), check=True)
    assert is_whole_or_absent(out) == 2
    return out, time.perf_counter() - begun


@KILLS
def test_killed_while_writing_every_file_is_whole_or_absent(written, tmp_path, kills):
    draw = random.Random(0)
    command = [sys.executable, "-c", WRITE_FOR_EVER, str(written[0] / "r.json"), str(tmp_path)]
    for _ in range(kills):
        with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as run:
            assert run.stdout.readline() == "ready\n"
            time.sleep(draw.uniform(0, 0.1))
            run.kill()
        assert run.returncode == -signal.SIGKILL
        is_whole_or_absent(tmp_path)


@KILLS
def test_the_command_killed_at_any_moment_leaves_whole_files_or_none(files, written, tmp_path, kills):
    draw, seconds = random.Random(1), written[1]
    for number in range(kills):
        out = tmp_path / str(number)
        out.mkdir()
        with subprocess.Popen(assess(files, out), stderr=subprocess.DEVNULL) as run:
            time.sleep(draw.uniform(0, 1.1 * seconds))
            run.kill()
        there = is_whole_or_absent(out)
        assert there == 2 or run.returncode == -signal.SIGKILL


def run_to_its_error(command: list[str]) -> str:
    run = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert run.returncode == 2, run.stderr
    assert len(run.stderr.strip().splitlines()) == 1, run.stderr
    return run.stderr


def test_a_full_disk_is_said_and_an_earlier_report_stays_whole(written, mounted):
    small = mounted("size=64k")
    content = (written[0] / "r.json").read_text(encoding="utf-8")
    write_text_atomically(small / "r.json", content)
    with pytest.raises(ReportError, match="No space left"):
        write_text_atomically(small / "r.json", content + " " * 2**17)
    assert is_whole_or_absent(small) == 1
    assert [path.name for path in small.iterdir()] == ["r.json"]


def test_a_disk_that_writes_nothing_more_is_said_before_the_work(files, mounted):
    locked = mounted("size=64k", "ro")
    assert "not writable" in run_to_its_error(assess(files, locked))
    assert list(locked.iterdir()) == []


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="nothing is read-only to the superuser")
def test_a_read_only_folder_is_said_before_the_work(files, tmp_path):
    tmp_path.chmod(0o500)
    assert "not writable" in run_to_its_error(assess(files, tmp_path))


def test_a_folder_that_is_not_there_is_said_before_the_work(files, tmp_path):
    assert "does not exist" in run_to_its_error(assess(files, tmp_path / "nowhere"))
    assert list(tmp_path.iterdir()) == []
