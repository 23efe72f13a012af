"""Files and folders are written whole or not at all, and links and open streams stay what they are."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from SegQualityQCLib.errors import ReportError
from SegQualityQCLib.storage.atomic_files import (
    check_writable,
    replaced_folder,
    write_atomically,
    write_text_atomically,
)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_by_a_callback(tmp_path):
    numbers = np.arange(1000)
    write_atomically(tmp_path / "numbers.npz", lambda file: np.savez_compressed(file, numbers=numbers))
    with np.load(tmp_path / "numbers.npz") as stored:
        assert (stored["numbers"] == numbers).all()
    assert names_in(tmp_path) == ["numbers.npz"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_callback_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, error):
    (tmp_path / "file").write_text("old", encoding="utf-8")

    def fail(file):
        file.write(b"half")
        raise error

    with pytest.raises(error):
        write_atomically(tmp_path / "file", fail)
    assert (tmp_path / "file").read_text(encoding="utf-8") == "old"
    assert names_in(tmp_path) == ["file"]


def test_text_that_is_not_unicode_leaves_the_old_file_and_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("old", encoding="utf-8")
    with pytest.raises(ReportError, match="cannot be written"):
        write_text_atomically(tmp_path / "file", ["new", "\udcff"])
    assert (tmp_path / "file").read_text(encoding="utf-8") == "old"
    assert names_in(tmp_path) == ["file"]


@pytest.mark.skipif(os.name != "posix", reason="Windows has other rights and links")
def test_a_link_is_written_through_and_stays_a_link(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    target, link = tmp_path / "elsewhere" / "report.csv", tmp_path / "report.csv"
    target.write_text("old", encoding="utf-8")
    link.symlink_to(target)
    check_writable(link)
    write_text_atomically(link, "new")
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8") == "new"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["elsewhere", "report.csv", "report.csv"]


def test_a_redirected_stream_is_written_to_and_not_replaced(tmp_path):
    with (tmp_path / "out.txt").open("w", encoding="utf-8") as file:
        name = f"/dev/fd/{file.fileno()}"
        if not Path(name).exists():
            pytest.skip("this system does not name open files")
        file.write("before, ")
        file.flush()
        check_writable(name)
        write_text_atomically(name, "report")
        file.write(", after")
    assert (tmp_path / "out.txt").read_text(encoding="utf-8") == "before, report, after"


def test_a_folder_is_made_and_replaced_whole(tmp_path):
    folder = tmp_path / "models" / "mine"
    for content in ("first", "second"):
        with replaced_folder(folder) as partial:
            (partial / content).write_text(content, encoding="utf-8")
        assert names_in(folder) == [content]
        assert names_in(folder.parent) == ["mine"]


def test_an_error_while_a_folder_is_filled_leaves_the_old_one(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "old").touch()

    def fill():
        with replaced_folder(folder) as partial:
            (partial / "new").touch()
            raise ValueError("while it is filled")

    with pytest.raises(ValueError, match="while it is filled"):
        fill()
    assert names_in(folder) == ["old"]
    assert names_in(tmp_path) == ["mine"]


@pytest.mark.skipif(os.name != "posix", reason="Windows has other rights and links")
def test_a_link_to_a_folder_stays_a_link(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "mine"
    link.symlink_to(tmp_path / "elsewhere")
    with replaced_folder(link) as partial:
        (partial / "new").touch()
    assert link.is_symlink()
    assert names_in(tmp_path / "elsewhere") == ["new"]
    assert names_in(tmp_path) == ["elsewhere", "mine"]


REPLACE_FOR_EVER = """
import sys
from SegQualityQCLib.storage.atomic_files import replaced_folder
number = int(sys.argv[2])
print("ready", flush=True)
while True:
    with replaced_folder(sys.argv[1]) as partial:
        for name in range(20):
            (partial / str(name)).write_text(str(number))
    number += 1
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.slow)])
def test_killed_while_it_is_replaced_a_folder_is_the_old_one_or_the_new_one(tmp_path, kills):
    folder, draw = tmp_path / "mine", random.Random(0)
    with replaced_folder(folder) as partial:
        for name in range(20):
            (partial / str(name)).write_text("-1", encoding="utf-8")
    for number in range(kills):
        command = [sys.executable, "-c", REPLACE_FOR_EVER, str(folder), str(1_000_000 * number)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as run:
            assert run.stdout.readline() == "ready\n"
            time.sleep(draw.uniform(0, 0.1))
            run.kill()
        assert run.returncode == -signal.SIGKILL
        there = folder if folder.exists() else tmp_path / ".mine.before"
        assert len(names_in(there)) == 20
        assert len({path.read_text(encoding="utf-8") for path in there.iterdir()}) == 1
    with replaced_folder(folder) as partial:
        assert folder.exists(), "an interrupted replacement is put back first"
        (partial / "last").touch()
    assert names_in(tmp_path) == ["mine"]
    assert names_in(folder) == ["last"]
