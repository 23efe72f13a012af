"""No command replaces an input, a file that an input is made of, or a file of this tool."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import SimpleITK as sitk
from command_line import segquality
from filelock import FileLock

from SegQualityQCLib.cohort.results import LOCK
from SegQualityQCLib.errors import InputError, ReportError
from SegQualityQCLib.reading.input_files import files_of
from SegQualityQCLib.review.worklist import ReviewStatus, Worklist
from SegQualityQCLib.storage.outputs import OutputGuard

DIRECT = ("--model", "acdc-lv-myocardium-direct")


def guard_of(*inputs: Path) -> OutputGuard:
    guard = OutputGuard()
    for path in inputs:
        guard.keep("image", files_of(path))
    return guard


def image_of(folder: Path, name: str) -> Path:
    image = sitk.Image([4, 5, 3], sitk.sitkUInt8)
    image[1, 1, 1] = 7
    sitk.WriteImage(image, str(folder / name))
    return folder / name


@pytest.mark.parametrize(
    ("name", "beside"),
    [
        ("img.mhd", "img.raw"),
        ("img.hdr", "img.img"),
        ("img.img", "img.hdr"),
        ("img.nhdr", "img.raw.gz"),
        ("img.nii.gz", "img.nii.gz"),
    ],
)
def test_each_file_that_an_image_is_made_of_is_kept(tmp_path, name, beside):
    path = image_of(tmp_path, name)
    if not (tmp_path / beside).exists():  # the writer chose another name for the pixels
        (beside,) = (other.name for other in tmp_path.iterdir() if other != path)
    with pytest.raises(InputError, match="is that of the image"):
        guard_of(path).check({"--json": tmp_path / beside})


def test_the_pixels_of_a_compressed_image_are_kept_by_the_command(files, tmp_path):
    image = sitk.ReadImage(str(files / "image.nii.gz"))
    sitk.WriteImage(image, str(tmp_path / "img.mhd"), useCompression=True)
    before = (tmp_path / "img.zraw").read_bytes()
    run = segquality("assess", tmp_path / "img.mhd", files / "labels.nii.gz", "--json", tmp_path / "img.zraw")
    assert (run.returncode, "is that of the image" in run.stderr) == (2, True)
    assert (tmp_path / "img.zraw").read_bytes() == before


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("LIST\na.raw\nb.raw\n", {"a.raw", "b.raw"}),
        ("a.raw\n", {"a.raw"}),
        ("x%02d.raw 0 1 1\n", {"x00.raw", "x01.raw"}),
        ("LOCAL\na.raw", set()),
    ],
)
def test_the_slices_that_a_header_lists_are_kept(tmp_path, header, expected):
    for name in ("a.raw", "b.raw", "x00.raw", "x01.raw"):
        (tmp_path / name).write_text("pixels", encoding="utf-8")
    (tmp_path / "img.mhd").write_text(f"NDims = 3\nElementDataFile = {header}", encoding="utf-8")
    assert {path.name for path in files_of(tmp_path / "img.mhd")} == {"img.mhd", *expected}


def test_each_slice_of_a_series_is_kept_and_a_new_file_beside_them_is_not(tmp_path):
    (tmp_path / "series").mkdir()
    (tmp_path / "series" / "03.dcm").write_text("slice", encoding="utf-8")
    guard = guard_of(tmp_path / "series")
    with pytest.raises(InputError, match="is that of the image"):
        guard.check({"--csv": tmp_path / "series" / "03.dcm"})
    guard.check({"--csv": tmp_path / "series" / "new.csv"})


@pytest.mark.skipif(os.name != "posix", reason="Windows needs rights for links")
@pytest.mark.parametrize("link", [os.link, os.symlink])
def test_a_link_to_an_input_is_the_input(tmp_path, link):
    path = tmp_path / "table.txt"
    path.write_text("text", encoding="utf-8")
    link(path, tmp_path / "other.json")
    with pytest.raises(InputError, match="is that of the image"):
        guard_of(path).check({"--json": tmp_path / "other.json"})


def test_a_file_that_is_not_text_is_never_replaced_and_a_text_is(tmp_path):
    with pytest.raises(InputError, match="is not text"):
        guard_of().check({"--json": image_of(tmp_path, "another.nii")})
    (tmp_path / "old.json").write_text("{}", encoding="utf-8")
    guard_of().check({"--json": tmp_path / "old.json"})
    with pytest.raises(ReportError, match="does not exist"):
        guard_of().check({"--json": tmp_path / "no folder" / "r.json"})


@pytest.fixture
def reviewed(files, tmp_path):
    """A manifest, and its cohort with one decision, as in the folder of failing inputs."""
    for name in ("image.nii.gz", "labels.nii.gz"):
        shutil.copy(files / name, tmp_path)
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("case,image,segmentation\na,image.nii.gz,labels.nii.gz\n", encoding="utf-8")
    run = segquality("cohort", manifest, *DIRECT, "--out", tmp_path / "r", "--workers", 1)
    assert run.returncode == 0, run.stderr
    worklist = Worklist.open(tmp_path / "r", reviewer="Ada")
    worklist.decide(worklist.next().name, ReviewStatus.ACCEPTED, "fine")
    return tmp_path


def everything(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_export_replaces_neither_manifest_nor_cohort_nor_decisions_nor_inputs(reviewed):
    before = everything(reviewed)
    (result,) = (reviewed / "r" / "cases").glob("*.json")
    wrong = ["r/worklist.sqlite", "r/cohort.json", "r/cases.csv", result, "image.nii.gz", "labels.nii.gz"]
    for target in wrong:
        run = segquality("worklist", "export", reviewed / "r", "--csv", reviewed / target)
        assert (run.returncode, "name another one" in run.stderr) == (2, True), (target, run.stderr)
    run = segquality("worklist", "export", reviewed / "manifest.csv", "--csv", reviewed / "manifest.csv")
    assert (run.returncode, "is that of the worklist" in run.stderr) == (2, True), run.stderr
    assert everything(reviewed) == before
    for _ in range(2):  # an earlier export is replaced
        assert segquality("worklist", "export", reviewed / "r", "--csv", reviewed / "r" / "d.csv").returncode == 0
    assert "Ada" in (reviewed / "r" / "d.csv").read_text(encoding="utf-8")


def test_an_assessment_replaces_no_file_of_a_cohort_or_a_model(reviewed, repository):
    inputs = (reviewed / "image.nii.gz", reviewed / "labels.nii.gz")
    model = Path(shutil.copytree(repository / "Resources/Models/acdc-lv-myocardium-direct", reviewed / "model"))
    before = everything(reviewed)
    (result,) = (reviewed / "r" / "cases").glob("*.json")
    for target in (reviewed / "r/cohort.json", result, model / "configs/metadata.json"):
        run = segquality("assess", *inputs, "--label", 2, "--model", model, "--json", target)
        assert (run.returncode, "name another one" in run.stderr) == (2, True), run.stderr
    assert everything(reviewed) == before


def test_a_cohort_asks_before_it_replaces_files_of_others(reviewed):
    out = reviewed / "study"
    out.mkdir()
    (out / "cases.csv").write_text("my,own,table\n", encoding="utf-8")
    arguments = ("cohort", reviewed / "manifest.csv", *DIRECT, "--out", out, "--workers", 1)
    for more in ((), ("--resume",)):
        run = segquality(*arguments, *more)
        assert (run.returncode, "add --overwrite" in run.stderr) == (2, True), run.stderr
        assert [path.name for path in out.iterdir()] == ["cases.csv"]
    assert segquality(*arguments, "--overwrite").returncode == 0
    assert (out / "cases.csv").read_text(encoding="utf-8").startswith("case,segment,dice")


def test_the_second_of_two_runs_leaves_and_says_so(reviewed):
    out = reviewed / "r"
    before = everything(out)
    with FileLock(out / LOCK):
        run = segquality("cohort", reviewed / "manifest.csv", *DIRECT, "--out", out, "--resume")
    assert (run.returncode, "Another run is writing" in run.stderr) == (2, True), run.stderr
    assert len(run.stderr.strip().splitlines()) == 1
    assert everything(out) == before
