"""A cohort loses nothing and does nothing twice, whatever dies on the way."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import dask
import pytest
from cohort_cases import rows, some_cases
from distributed import Client, LocalCluster

from SegQualityQCLib.cohort.manifest import CohortCase
from SegQualityQCLib.cohort.results import CohortFolder
from SegQualityQCLib.cohort.running import connected, run_cohort
from SegQualityQCLib.demo import MYOCARDIUM
from SegQualityQCLib.errors import InputError, ReportError

HOSTILE = "<script>alert('x')</script>"


def without_seconds(path: Path) -> list[dict[str, str]]:
    return [{key: cell for key, cell in row.items() if key != "seconds"} for row in rows(path)]


def test_bad_cases_become_lines_of_errors_and_stop_nothing(files, cluster, tmp_path):
    truncated = tmp_path / "truncated.nii.gz"
    truncated.write_bytes((files / "image.nii.gz").read_bytes()[:-20000])
    vanishing = shutil.copy(files / "labels.nii.gz", tmp_path / "vanishing.nii.gz")
    good = some_cases(files, 3)
    bad = [
        CohortCase("truncated", truncated, files / "labels.nii.gz", MYOCARDIUM),
        CohortCase("vanishing", files / "image.nii.gz", vanishing, MYOCARDIUM),
        CohortCase("no such label", files / "image.nii.gz", files / "labels.nii.gz", 99),
        CohortCase("no such model", files / "image.nii.gz", files / "labels.nii.gz", MYOCARDIUM, model="none"),
        CohortCase(HOSTILE, tmp_path / "nothing.nii.gz", files / "labels.nii.gz"),
    ]
    end = run_cohort(
        [*bad, *good],
        tmp_path / "out",
        scheduler=cluster.scheduler_address,
        on_progress=lambda progress: vanishing.unlink(missing_ok=True),
    )
    assert (end.done, end.failed) == (8, 5)
    errors = {row["case"]: row["reason"] for row in rows(tmp_path / "out" / "errors.csv")}
    assert list(errors) == [case.name for case in bad]
    assert "last part is missing" in errors["truncated"]
    assert "does not exist" in errors["vanishing"]
    assert "no label 99" in errors["no such label"]
    assert "no model none" in errors["no such model"]
    assert [row["case"] for row in rows(tmp_path / "out" / "cases.csv")] == [case.name for case in good]


def test_the_cases_of_a_killed_worker_are_done_by_another(files, cluster, tmp_path):
    with Client(cluster, set_as_default=False) as client:
        victim = next(iter(client.run(os.getpid).values()))
    killed = []

    def kill_once(progress) -> None:
        if progress.done == 3 and not killed:
            os.kill(victim, signal.SIGKILL)
            killed.append(victim)

    out = tmp_path / "out"
    end = run_cohort(some_cases(files, 16), out, scheduler=cluster.scheduler_address, on_progress=kill_once)
    assert killed
    assert (end.done, end.failed) == (16, 0)
    assert rows(out / "errors.csv") == []
    assert sorted(row["case"] for row in rows(out / "cases.csv")) == sorted(f"case {n}" for n in range(16))


def test_a_killed_worker_comes_back_however_long_it_takes_to_start():
    with dask.config.set({"distributed.deploy.lost-worker-timeout": "10ms"}), connected(1, None, 1) as client:
        (victim,) = client.run(os.getpid).values()
        os.kill(victim, signal.SIGKILL)
        assert client.submit(os.getpid, pure=False).result(timeout=120) != victim


POISON = """
import os, signal
from SegQualityQCLib.cohort import scoring

def score_case(case, options):
    if case.name == "poison":
        os.kill(os.getpid(), signal.SIGKILL)
    return scoring.sound(case, options)

if not hasattr(scoring, "sound"):  # Dask runs this more than once
    scoring.sound, scoring.score_case = scoring.score_case, score_case
"""


@pytest.mark.slow  # a worker starts eight times
@pytest.mark.parametrize(("workers", "threads"), [(1, 2), (2, 1)])
def test_a_case_that_kills_every_worker_is_given_up_and_the_others_are_done(files, tmp_path, workers, threads):
    poison = CohortCase("poison", files / "image.nii.gz", files / "labels.nii.gz", MYOCARDIUM)
    cases = [*some_cases(files, 2), poison, *some_cases(files, 8)[2:]]
    kwargs = {"threads_per_worker": threads, "dashboard_address": "127.0.0.1:0", "silence_logs": 50}
    with LocalCluster(preload=[POISON], n_workers=workers, **kwargs) as cluster:
        end = run_cohort(cases, tmp_path / "out", scheduler=cluster.scheduler_address)
    assert (end.done, end.failed) == (9, 1)
    (error,) = rows(tmp_path / "out" / "errors.csv")
    assert error["case"] == "poison"
    assert "killed" in error["reason"]
    assert len(rows(tmp_path / "out" / "cases.csv")) == 8


def command(*arguments: object) -> list[str]:
    return [str(Path(sys.executable).with_name("segquality")), "cohort", *map(str, arguments)]


def write_manifest(cases: list[CohortCase], path: Path) -> Path:
    lines = [f"{case.name},{case.image},{case.segmentation},{case.label},{case.extra['site']}" for case in cases]
    path.write_text("\n".join(["case,image,segmentation,label,site", *lines]), encoding="utf-8")
    return path


def test_a_run_killed_by_signal_9_is_taken_up_and_ends_as_if_nothing_had_happened(files, cluster, tmp_path):
    cases = some_cases(files, 12)
    run_cohort(cases, tmp_path / "whole", scheduler=cluster.scheduler_address)
    manifest = write_manifest(cases, tmp_path / "manifest.csv")
    out = tmp_path / "cut"
    arguments = (manifest, "--out", out, "--workers", 1, "--quiet")
    with subprocess.Popen(command(*arguments), start_new_session=True, stderr=subprocess.DEVNULL) as run:
        while len(list(out.glob("cases/*.json"))) < 3 and run.poll() is None:
            time.sleep(0.02)
        os.killpg(run.pid, signal.SIGKILL)
    done = len(list(out.glob("cases/*.json")))
    assert 3 <= done < len(cases)
    assert not (out / "cases.csv").exists()
    (out / ".cases.csv.cut.partial").write_text("case,segm", encoding="utf-8")  # what a kill while writing leaves
    again = subprocess.run(command(*arguments, "--resume"), capture_output=True, encoding="utf-8", check=False)
    assert (again.returncode, again.stdout) == (0, ""), again.stderr
    for table in ("slices.csv", "cases.csv", "errors.csv"):
        assert without_seconds(out / table) == without_seconds(tmp_path / "whole" / table)
    assert not list(out.rglob(".*.partial"))


def finished_cases(out: Path, tables_of: Path) -> set[str]:
    """The cases that are done; every file is whole or absent."""
    store = CohortFolder(out)
    finished = {case.name for case, _ in store.results()} if store.exists() else set()
    assert len(finished) == len(list((out / "cases").glob("*.json"))), "each result can be read"
    for picture in (out / "pictures").glob("*.json"):
        json.loads(picture.read_text(encoding="utf-8"))
    for table in out.glob("*.csv"):
        assert without_seconds(table) == without_seconds(tables_of / table.name)
    if (out / "index.html").exists():
        assert (out / "index.html").read_text(encoding="utf-8").rstrip().endswith("</html>")
    known = (".running.lock", "cohort.json", "cases", "pictures", "slices.csv", "cases.csv", "errors.csv", "index.html")
    others = [path.name for path in out.glob("*") if path.name not in known]
    assert all(name.startswith(".") and name.endswith(".partial") for name in others), others
    return finished


@pytest.mark.parametrize("kills", [2, pytest.param(50, marks=pytest.mark.slow)])
def test_killed_at_a_random_moment_a_cohort_is_whole_and_resumes_to_the_same_tables(files, tmp_path, kills):
    """Each killed run is resumed; after one that came to its end a new one begins."""
    manifest = write_manifest(some_cases(files, 6), tmp_path / "manifest.csv")

    def run(out: Path) -> list[str]:
        return command(manifest, "--out", out, "--workers", 1, "--quiet", "--resume")

    begun = time.perf_counter()
    subprocess.run(run(tmp_path / "whole"), check=True)
    seconds = time.perf_counter() - begun
    draw, number, before, killed = random.Random(0), 0, set(), 0
    while killed < kills:
        out = tmp_path / str(number)
        with subprocess.Popen(run(out), start_new_session=True, stderr=subprocess.DEVNULL) as process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(draw.uniform(0, 1.1 * seconds))
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        after = finished_cases(out, tmp_path / "whole")
        assert before <= after, "what is done stays done"
        before = after
        killed += process.returncode == -signal.SIGKILL
        if process.returncode == 0:
            number, before = number + 1, set()
    subprocess.run(run(tmp_path / str(number)), check=True)
    for out in (tmp_path / str(n) for n in range(number + 1)):
        assert len(finished_cases(out, tmp_path / "whole")) == 6
        assert {path.name for path in out.iterdir()} == {path.name for path in (tmp_path / "whole").iterdir()}


def test_a_full_disk_is_said_and_what_is_done_stays(files, cluster, mounted):
    small = mounted("size=256k")
    with pytest.raises(ReportError, match="No space left"):
        run_cohort(some_cases(files, 16), small / "out", scheduler=cluster.scheduler_address)
    store = CohortFolder(small / "out")
    kept = [case.name for case, _ in store.results()]
    assert kept
    assert len(kept) == len(list((small / "out" / "cases").glob("*.json"))), "whole files only"


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense", "tcp://127.0.0.1:{deaf}"])
def test_a_scheduler_that_does_not_answer_is_said_within_five_seconds(files, tmp_path, address):
    with socket.create_server(("127.0.0.1", 0)) as deaf:  # it takes the call and says nothing
        before = time.monotonic()
        with pytest.raises(InputError, match="No Dask scheduler"):
            run_cohort(some_cases(files, 1), tmp_path / "out", scheduler=address.format(deaf=deaf.getsockname()[1]))
        assert time.monotonic() - before < 5
    assert not (tmp_path / "out").exists()


def test_bad_input_of_the_command_gets_one_sentence_and_exit_2(tmp_path):
    for arguments in ([tmp_path / "no.csv"], [tmp_path], [tmp_path, "--images", "x"]):
        run = subprocess.run(
            command(*arguments, "--out", tmp_path / "o"), capture_output=True, encoding="utf-8", check=False
        )
        assert run.returncode == 2, run.stderr
        assert len(run.stderr.strip().splitlines()) == 1, run.stderr
        assert not (tmp_path / "o").exists()


def test_a_manifest_where_a_table_would_be_written_is_not_overwritten(files, tmp_path):
    manifest = write_manifest(some_cases(files, 1), tmp_path / "cases.csv")
    before = manifest.read_bytes()
    run = subprocess.run(command(manifest, "--out", tmp_path), capture_output=True, encoding="utf-8", check=False)
    assert run.returncode == 2
    assert "cases.csv of --out is that of the manifest" in run.stderr
    assert manifest.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["cases.csv"]


def test_a_cohort_of_which_no_case_can_be_scored_writes_its_tables_and_ends_with_2(files, tmp_path):
    (tmp_path / "m.csv").write_text(
        f"case,image,segmentation\na,no.nii.gz,{files / 'labels.nii.gz'}\n", encoding="utf-8"
    )
    out = tmp_path / "out"
    run = subprocess.run(command(tmp_path / "m.csv", "--out", out), capture_output=True, encoding="utf-8", check=False)
    assert run.returncode == 2, run.stderr
    assert "1 cannot be scored: see errors.csv" in run.stdout
    assert [row["case"] for row in rows(out / "errors.csv")] == ["a"]
    assert (out / "index.html").is_file()


def test_a_table_that_cannot_be_replaced_costs_neither_the_others_nor_the_page(files, cluster, tmp_path):
    out = tmp_path / "out"
    (out / "cases.csv").mkdir(parents=True)  # as good as one that a spreadsheet has open on Windows
    with pytest.raises(ReportError, match=r"cases\.csv cannot be written"):
        run_cohort(some_cases(files, 1), out, scheduler=cluster.scheduler_address)
    assert len(rows(out / "slices.csv")) > 0
    assert (out / "errors.csv").is_file()
    assert (out / "index.html").is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_ctrl_c_while_the_workers_start_or_work_ends_with_one_sentence(files, tmp_path):
    manifest = write_manifest(some_cases(files, 60), tmp_path / "manifest.csv")
    out = tmp_path / "out"
    with subprocess.Popen(
        command(manifest, "--out", out, "--workers", 1),
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        while not (out / "cohort.json").exists():
            assert process.poll() is None
            time.sleep(0.05)
        time.sleep(2)  # the workers are starting
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        said = process.stderr.read()
    assert process.returncode == 130
    assert len(said.strip().splitlines()) == 1, said


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_asked_to_end_leaves_tables_and_page_of_what_is_done(files, tmp_path, number):
    manifest = write_manifest(some_cases(files, 60), tmp_path / "manifest.csv")
    out = tmp_path / "out"
    with subprocess.Popen(
        command(manifest, "--out", out, "--workers", 1),
        stderr=subprocess.PIPE,
        encoding="utf-8",
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # tests that a shell runs behind ignore SIGINT
    ) as process:
        while not list((out / "cases").glob("*.json")):
            assert process.poll() is None
            time.sleep(0.1)
        process.send_signal(number)
        said = process.stderr.read()
    assert process.returncode == 130
    assert "go on with --resume" in said
    assert 0 < len({row["case"] for row in rows(out / "cases.csv")}) < 60
    assert (out / "index.html").is_file()
