"""The command segquality, run as a user runs it."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import SimpleITK as sitk
from command_line import segquality

from SegQualityQCLib.bundles.catalogue import find_bundle
from SegQualityQCLib.cli.cohort import pace
from SegQualityQCLib.cohort.running import Progress
from SegQualityQCLib.demo import demo_images


def written(folder: Path, name: str, image: sitk.Image) -> Path:
    sitk.WriteImage(image, str(folder / name))
    return folder / name


def test_assess_prints_the_worst_slice_first_and_a_line_for_the_volume(files):
    run = segquality("assess", files / "image.nii.gz", files / "labels.nii.gz", "--label", 2)
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    dices = [float(cells[2]) for line in lines if len(cells := line.split("│")) > 4 and _is_number(cells[2])]
    assert len(dices) >= 3
    assert dices == sorted(dices)
    assert any(line.startswith("Volume: predicted Dice") for line in lines)


def _is_number(text: str) -> bool:
    return text.strip().replace(".", "", 1).isdigit()


def test_assess_writes_json_after_the_schema_and_csv(files, tmp_path, repository):
    out, table = tmp_path / "r.json", tmp_path / "r.csv"
    run = segquality(
        "assess",
        files / "image.nii.gz",
        files / "labels.nii.gz",
        "--label",
        2,
        "--json",
        out,
        "--csv",
        table,
        "--quiet",
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    content = json.loads(out.read_text(encoding="utf-8"))
    jsonschema.validate(content, json.loads((repository / "docs" / "report.schema.json").read_text(encoding="utf-8")))
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    assert [int(row["index"]) for row in rows] == [entry["index"] for entry in content["slices"]]


def test_without_a_choice_every_label_is_scored_under_its_own_name(tmp_path):
    image, labels = demo_images()
    array = sitk.GetArrayFromImage(labels)
    array[(array == 2) & (np.indices(array.shape)[2] % 2 == 0)] = 7
    both = sitk.GetImageFromArray(array)
    both.CopyInformation(labels)
    out = tmp_path / "r.json"
    run = segquality(
        "assess", written(tmp_path, "i.nrrd", image), written(tmp_path, "s.nrrd", both), "--json", out, "--quiet"
    )
    assert run.returncode == 0, run.stderr
    names = {report["case"]["segment"] for report in json.loads(out.read_text(encoding="utf-8"))}
    assert {"label 2", "label 7"} <= names


def test_a_model_that_was_named_is_believed_for_one_label_and_not_for_another_name(files, tmp_path):
    inputs = ("assess", files / "image.nii.gz", files / "labels.nii.gz", "--label", 2)
    assert "name the model with --model." in " ".join(segquality(*inputs).stdout.split())
    out = tmp_path / "r.json"
    named = segquality(*inputs, "--model", "acdc-lv-myocardium-direct", "--json", out)
    assert named.returncode == 0, named.stderr
    assert "Note: 'label 2'" not in named.stdout
    assert "model_unmatched" not in json.loads(out.read_text(encoding="utf-8"))["flags"]
    assert segquality("demo", "--save", tmp_path, "--quiet").returncode == 0
    other = segquality("assess", *sorted(tmp_path.glob("*.n*"))[:2], "--model", "acdc-rv-cavity")
    said = " ".join(other.stdout.split())
    assert "is not known to be what the model acdc-rv-cavity was trained on: trust the scores only if it is." in said


def test_fail_below_ends_with_3_only_where_it_is_undercut(files):
    arguments = ("assess", files / "image.nii.gz", files / "labels.nii.gz", "--label", 2, "--quiet", "--fail-below")
    assert segquality(*arguments, 0.01).returncode == 0
    assert segquality(*arguments, 0.999).returncode == 3


def bad_inputs(folder: Path) -> dict[str, list[object]]:
    """Command lines that must be answered with one sentence."""
    image, labels = demo_images()
    good_image, good_labels = written(folder, "i.nrrd", image), written(folder, "s.nrrd", labels)
    far = sitk.Image(labels)
    far.SetOrigin([1e4, 1e4, 1e4])
    broken = folder / "broken.nii.gz"
    broken.write_bytes(good_image.read_bytes()[:1000])
    nan = sitk.GetArrayFromImage(sitk.Cast(image, sitk.sitkFloat32))
    nan[0, 0, 0] = np.nan
    rgb = sitk.Compose([sitk.Cast(image, sitk.sitkUInt8)] * 3)
    four = sitk.JoinSeries([image, image])
    probability = sitk.Cast(labels, sitk.sitkFloat32) * 0.25
    half = sitk.Cast(labels, sitk.sitkFloat32) * 1.3
    model = shutil.copytree(find_bundle("acdc-lv-myocardium"), folder / "model")
    (model / "models" / "reg_net.pt").write_bytes(b"0")
    return {
        "missing image": [folder / "no.nrrd", good_labels],
        "missing segmentation": [good_image, folder / "no.nrrd"],
        "unreadable image": [broken, good_labels],
        "no overlap": [good_image, written(folder, "far.nrrd", far), "--label", 2],
        "no such label": [good_image, good_labels, "--label", 99],
        "no such segment": [good_image, good_labels, "--segment", "spleen"],
        "empty segmentation": [good_image, written(folder, "empty.nrrd", labels * 0)],
        "zero image": [written(folder, "zero.nrrd", image * 0), good_labels, "--label", 2],
        "NaN image": [written(folder, "nan.nrrd", sitk.GetImageFromArray(nan)), good_labels, "--label", 2],
        "NaN image, NIfTI": [written(folder, "nan.nii.gz", sitk.GetImageFromArray(nan)), good_labels, "--label", 2],
        "colour image": [written(folder, "rgb.nrrd", rgb), good_labels, "--label", 2],
        "4-D image": [written(folder, "four.nrrd", four), good_labels, "--label", 2],
        "probability map": [good_image, written(folder, "p.nrrd", probability)],
        "labels that are no integers": [good_image, written(folder, "half.nrrd", half)],
        "swapped": [good_labels, good_image],
        "8-bit probability map": [good_image, written(folder, "p8.nrrd", sitk.RescaleIntensity(image, 0, 255))],
        "probability map that overshoots": [good_image, written(folder, "p2.nrrd", half * 0.8 - 0.01)],
        "damaged model": [good_image, good_labels, "--label", 2, "--model", model],
        "unknown model": [good_image, good_labels, "--label", 2, "--model", "none"],
        "unknown axis": [good_image, good_labels, "--label", 2, "--axis", "x"],
        "unknown device": [good_image, good_labels, "--label", 2, "--device", "abacus"],
        "folder that is not there": [good_image, good_labels, "--label", 2, "--json", folder / "no" / "r.json"],
    }


def test_bad_input_gets_one_sentence_and_exit_2_and_writes_nothing(tmp_path):
    for what, arguments in bad_inputs(tmp_path).items():
        out = tmp_path / "out.csv"
        run = segquality("assess", *arguments, "--csv", out)
        assert run.returncode == 2, (what, run.stdout, run.stderr)
        assert run.stderr.startswith("Error: "), (what, run.stderr)
        assert len(run.stderr.strip().splitlines()) == 1, (what, run.stderr)
        assert run.stdout == "", what
        assert not out.exists(), what


def test_demo_needs_neither_data_nor_network(tmp_path):
    run = segquality("demo", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert "Volume: predicted Dice" in run.stdout
    assert "gap" in run.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_demo_that_cannot_be_scored_saves_nothing(tmp_path):
    run = segquality("demo", "--save", tmp_path / "saved", "--model", "nope")
    assert run.returncode == 2
    assert "nope" in run.stderr
    assert list(tmp_path.iterdir()) == []


def test_models_are_listed_and_verified(tmp_path):
    listed = segquality("models")
    assert listed.returncode == 0
    assert "acdc-lv-myocardium" in listed.stdout
    assert "(default)" in listed.stdout
    verified = segquality("models", "verify")
    assert verified.returncode == 0
    assert "acdc-lv-myocardium: ok" in verified.stdout
    model = shutil.copytree(find_bundle("acdc-lv-myocardium"), tmp_path / "model")
    (model / "models" / "reg_net.pt").unlink()
    above = segquality("models", "verify", tmp_path)
    assert above.returncode == 2
    assert f"does not hold a model (configs/metadata.json): give that of one model; below it are: {model}" in (
        above.stderr
    )
    mistyped = segquality("models", "verify", tmp_path / "modle")
    assert mistyped.returncode == 2
    assert "modle does not exist" in mistyped.stderr
    refused = segquality("models", "verify", model)
    assert refused.returncode == 2
    assert "reg_net.pt" in refused.stderr


def test_a_slow_cohort_tells_seconds_a_case():
    assert pace(Progress(1, 20, 0, 0.04, 475.0)) == "25 s/case, 7 min 55 s left"
    assert pace(Progress(1, 20, 1, 0.5, 38.0)) == "2.0 s/case, 0 min 38 s left, 1 failed"
    assert pace(Progress(9, 20, 0, 4.0, 2.75)) == "4.0 cases/s, 0 min 03 s left"


def test_models_are_listed_without_a_cut_word_in_80_columns():
    listed = segquality("models", columns=80).stdout.split()
    for word in ("acdc-lv-myocardium-direct", "ventricular", "myocardium", "(default)"):
        assert word in listed


def test_importing_the_library_imports_nothing_that_is_slow_to_import():
    slow = "{'torch', 'onnxruntime', 'SimpleITK', 'numpy', 'slicer', 'vtk', 'qt'}"
    code = f"import sys, SegQualityQCLib; print(sorted({slow} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert run.stdout.strip() == "[]"


def test_the_public_names_are_there_when_they_are_asked_for():
    import SegQualityQCLib

    assert set(SegQualityQCLib.__all__) <= set(dir(SegQualityQCLib))
    assert all(getattr(SegQualityQCLib, name).__name__ == name for name in SegQualityQCLib.__all__)
    with pytest.raises(AttributeError, match="no attribute 'assess'"):
        SegQualityQCLib.assess  # noqa: B018 - asking is the test


def test_the_core_can_be_imported_without_torch():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import SegQualityQCLib.case.case, SegQualityQCLib.case.field_of_view, SegQualityQCLib.report.report\n"
        "import SegQualityQCLib.bundles.bundle, SegQualityQCLib.estimators.base, SegQualityQCLib.demo\n"
        "import SegQualityQCLib.reading.cases, SegQualityQCLib.report.calibration"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_nothing_that_was_given_is_overwritten(files, tmp_path):
    for name in ("image.nii.gz", "labels.nii.gz"):
        shutil.copy(files / name, tmp_path)
    inputs, before = (tmp_path / "image.nii.gz", tmp_path / "labels.nii.gz"), (tmp_path / "labels.nii.gz").read_bytes()
    onto_itself = segquality("assess", *inputs, "--label", 2, "--json", inputs[1])
    assert (onto_itself.returncode, "is that of the segmentation" in onto_itself.stderr) == (2, True)
    both = segquality("assess", *inputs, "--label", 2, "--json", tmp_path / "r", "--csv", tmp_path / "r")
    assert (both.returncode, "is that of the --json" in both.stderr) == (2, True)
    demo = segquality("demo", "--save", tmp_path)
    assert (demo.returncode, "exists already" in demo.stderr) == (2, True)
    assert inputs[1].read_bytes() == before
    assert not (tmp_path / "r").exists()


def test_what_could_not_be_scored_is_said_and_undercuts_every_limit(tmp_path):
    image, labels = demo_images()
    pixels = sitk.GetArrayFromImage(image)
    pixels[3:7] = np.random.default_rng(0).normal(pixels.mean(), pixels.std(), pixels[3:7].shape)
    noisy = sitk.GetImageFromArray(pixels)
    noisy.CopyInformation(image)
    inputs = written(tmp_path, "image.nii.gz", noisy), written(tmp_path, "labels.nii.gz", labels)
    run = segquality("assess", *inputs, "--label", 2, "--fail-below", 0)
    assert "drawn slices not scored" in run.stdout
    assert "Note: not all drawn slices could be scored" in run.stdout
    assert run.returncode == 3


def test_a_segment_outside_the_image_undercuts_every_limit(tmp_path):
    image, labels = demo_images()
    pixels = sitk.GetArrayFromImage(labels)
    pixels = np.concatenate([pixels, np.full((1, *pixels.shape[1:]), 9, pixels.dtype)])
    longer = sitk.GetImageFromArray(pixels)  # a slice more than the image has
    longer.SetSpacing(labels.GetSpacing())
    longer.SetOrigin(labels.GetOrigin())
    longer.SetDirection(labels.GetDirection())
    inputs = written(tmp_path, "image.nii.gz", image), written(tmp_path, "labels.nii.gz", longer)
    run = segquality("assess", *inputs, "--fail-below", 0)
    assert run.returncode == 3
    assert "Note: other segments of this file lie wholly outside" in run.stdout


@pytest.mark.parametrize("encoding", ["cp1251", "cp932", "ascii"])
def test_a_terminal_that_lacks_a_letter_stops_no_command(files, encoding):
    environment = {**os.environ, "PYTHONUTF8": "0", "PYTHONIOENCODING": encoding}
    command = [str(Path(sys.executable).with_name("segquality")), "assess", *map(str, files.iterdir()), "--label", "2"]
    run = subprocess.run([*command, "--fail-below", "1"], capture_output=True, env=environment, check=False)
    assert (run.returncode, run.stderr) == (3, b"")
