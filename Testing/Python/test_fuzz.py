"""Damaged and hostile files are read or refused with a sentence: some new ones, and all that were ever found."""

from __future__ import annotations

from pathlib import Path

import fuzz
import pytest

KEPT = sorted((Path(__file__).parent / "fuzz_inputs").glob("*/*"))
# Each of their inputs takes milliseconds.
SLOW = {"worklist": 60, "pictures": 40, "segments": 100, "nifti": 100, "seg": 40, "rtstruct": 80, "multiframe": 80}


@pytest.mark.parametrize("name", fuzz.TARGETS)
def test_sound_files_are_read_and_damaged_ones_refused_with_a_sentence(name, tmp_path, capsys):
    target = fuzz.TARGETS[name](tmp_path)
    for content in target.sound:
        target.read(content)
    places = fuzz.fuzz(name, target, SLOW.get(name, 300), seed=1, found=None)
    assert places == 0, capsys.readouterr().out


def test_the_sound_pictures_reach_the_page(tmp_path):
    target = fuzz.TARGETS["pictures"](tmp_path)
    target.read(target.sound[0])
    assert "M0 0l4 0 0 4z" in (tmp_path / "pictures" / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", KEPT, ids=[f"{path.parent.name}-{path.name}" for path in KEPT])
def test_what_was_once_found_is_read_or_refused(path, tmp_path):
    target = fuzz.TARGETS[path.parent.name](tmp_path)
    assert fuzz.complaint(target, path.read_bytes()) is None
