"""Corrected segmentations are saved as new versions: nothing is overwritten, and a failed save leaves nothing."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from worklist_files import manifest

from SegQualityQCLib.errors import WorklistError
from SegQualityQCLib.review.worklist import Worklist
from SegQualityQCLib.storage.saved_versions import publish_version


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


def test_work_on_a_case_that_was_taken_over_is_saved_but_counts_for_nothing(tmp_path):
    path = manifest(tmp_path, 1)
    (tmp_path / "auto").mkdir()
    ada, bob = Worklist.open(path, "Ada"), Worklist.open(path, "Bob")
    ada.next()
    bob.open_case("case 0", take_over=True)
    saved = ada.save("case 0", lambda path: path.write_text("Ada's") and None)
    assert saved.read_text() == "Ada's"
    assert bob.case("case 0").saved is None
