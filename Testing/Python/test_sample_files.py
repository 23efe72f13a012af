"""Other segmentations of an image from files, and the method that is taken for them."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import SimpleITK as sitk
from heart_files import write_seg_nrrd
from typer.testing import CliRunner

from SegQualityQCLib import read_cases
from SegQualityQCLib.cli.main import app
from SegQualityQCLib.demo import MYOCARDIUM, demo_images, demo_reference
from SegQualityQCLib.errors import InputError
from SegQualityQCLib.reading import samples as reading
from SegQualityQCLib.reading.patterns import listed_files
from SegQualityQCLib.report.report import QualityReport


def shifted(labels: sitk.Image, pixels: int) -> sitk.Image:
    moved = sitk.GetImageFromArray(np.roll(sitk.GetArrayFromImage(labels), pixels, axis=2))
    moved.CopyInformation(labels)
    return moved


@pytest.fixture
def folder(files, tmp_path):
    """The demo heart with three samples of it, folds/0.nii.gz to folds/2.nii.gz."""
    for name in ("image.nii.gz", "labels.nii.gz"):
        shutil.copy(files / name, tmp_path / name)
    (tmp_path / "folds").mkdir()
    for number in range(3):
        sitk.WriteImage(shifted(demo_images()[1], number + 1), str(tmp_path / "folds" / f"{number}.nii.gz"))
    return tmp_path


def read(folder, samples, **further):
    return read_cases(folder / "image.nii.gz", folder / "labels.nii.gz", samples=samples, **further)


def folds(folder):
    return listed_files("folds/*.nii.gz", folder)


def test_each_segment_gets_the_samples_of_its_label(folder):
    sitk.WriteImage(demo_reference(), str(folder / "labels.nii.gz"))
    for number in range(3):
        sitk.WriteImage(shifted(demo_reference(), number + 1), str(folder / "folds" / f"{number}.nii.gz"))
    cases = read(folder, folds(folder))
    assert len(cases) == 3
    for case in cases:
        label = int(case.segment.split()[1])
        for number, sample in enumerate(case.samples):
            expected = sitk.GetArrayFromImage(shifted(demo_reference(), number + 1)) == label
            assert (sitk.GetArrayFromImage(sample) == expected).all()


def test_the_candidate_among_the_samples_is_left_out_and_said(folder):
    paths = [*folds(folder), folder / "labels.nii.gz", folder / "folds" / "0.nii.gz"]
    (case,) = read(folder, paths, label=MYOCARDIUM)
    assert len(case.samples) == 3, "a file that is given twice counts once"
    assert "sample_left_out" in case.flags


def test_segments_with_names_are_found_by_name_whatever_their_labels(folder):
    labels = demo_images()[1]
    write_seg_nrrd(folder / "labels.seg.nrrd", labels == MYOCARDIUM, [{"ID": "a", "Name": "wall", "LabelValue": 1}])
    other = sitk.Cast(shifted(labels == MYOCARDIUM, 1) * 5 + shifted(labels == 1, 1), sitk.sitkUInt8)
    names = [{"ID": "a", "Name": "other", "LabelValue": 1}, {"ID": "b", "Name": "wall", "LabelValue": 5}]
    write_seg_nrrd(folder / "sample.seg.nrrd", other, names)
    (case,) = read_cases(folder / "image.nii.gz", folder / "labels.seg.nrrd", samples=[folder / "sample.seg.nrrd"])
    assert (sitk.GetArrayFromImage(case.samples[0]) == (sitk.GetArrayFromImage(other) == 5)).all()


def test_samples_on_another_grid_are_resampled_and_said(folder):
    sample = shifted(demo_images()[1], 1)
    half = sitk.Resample(
        sample,
        [2 * n for n in sample.GetSize()[:2]] + [sample.GetSize()[2]],
        sitk.Transform(),
        sitk.sitkNearestNeighbor,
        [o - s / 4 for o, s in zip(sample.GetOrigin()[:2], sample.GetSpacing()[:2], strict=True)]
        + [sample.GetOrigin()[2]],
        [s / 2 for s in sample.GetSpacing()[:2]] + [sample.GetSpacing()[2]],
        sample.GetDirection(),
    )
    sitk.WriteImage(half, str(folder / "finer.nii.gz"))
    (case,) = read(folder, [folder / "finer.nii.gz"], label=MYOCARDIUM)
    assert "samples_resampled" in case.flags
    assert (sitk.GetArrayFromImage(case.samples[0]) == (sitk.GetArrayFromImage(sample) == MYOCARDIUM)).mean() > 0.999


def test_a_sample_without_the_segment_is_refused_with_the_labels_that_it_has(folder):
    labels = demo_images()[1]
    sitk.WriteImage(sitk.Cast(labels == MYOCARDIUM, sitk.sitkUInt8) * 7, str(folder / "other.nii.gz"))
    with pytest.raises(InputError, match=r"other\.nii\.gz has no label 2: it has label 7"):
        read(folder, [folder / "other.nii.gz"], label=MYOCARDIUM)


def test_samples_that_would_fill_the_memory_are_refused_before_they_are_read(folder, monkeypatch):
    monkeypatch.setattr(reading, "_MOST_BYTES", 10**6)
    with pytest.raises(InputError, match="3 samples of 1 segments take"):
        read(folder, folds(folder), label=MYOCARDIUM)


def test_files_are_listed_by_semicolons_and_wildcards(folder):
    listed = listed_files("labels.nii.gz; folds/[01].nii.gz", folder)
    assert [path.name for path in listed] == ["labels.nii.gz", "0.nii.gz", "1.nii.gz"]
    with pytest.raises(InputError, match="No file fits"):
        listed_files("folds/*.mha", folder)
    with pytest.raises(InputError, match="No file is listed"):
        listed_files(" ; ", folder)


def run(*arguments):
    return CliRunner().invoke(app, [str(one) for one in arguments], env={"COLUMNS": "200"})


def words(done) -> str:
    return " ".join(done.output.split())


def assess(folder, *options):
    return run("assess", folder / "image.nii.gz", folder / "labels.nii.gz", *options)


def test_the_command_takes_a_wildcard_and_calls_the_number_what_it_is(folder):
    target = folder / "report.json"
    done = assess(
        *(
            folder,
            "--label",
            MYOCARDIUM,
            "--samples",
            folder / "folds" / "*.nii.gz",
            "--json",
            target,
            "--method",
            "agreement",
        )
    )
    assert done.exit_code == 0, done.output
    report = QualityReport.read_json(target)
    text = words(done)
    assert f"Volume: agreement {report.volume.dice:.2f}, not calibrated" in text
    assert "Method: agreement, since it was asked for." in text
    assert "predicted Dice" not in text
    assert "interval" not in text.replace("To get one with an interval, calibrate", "")
    assert json.loads(target.read_text(encoding="utf-8"))["measure"] == "agreement"


def test_auto_takes_the_agreement_where_no_model_knows_the_structure_and_says_why(folder):
    done = assess(folder, "--label", MYOCARDIUM, "--samples", folder / "folds" / "*.nii.gz")
    assert "Method: agreement, since no model knows 'label 2', and there are 3 samples." in " ".join(
        done.output.split()
    )


def test_auto_takes_the_networks_where_a_model_knows_the_structure(folder):
    labels = demo_images()[1]
    names = [{"ID": "a", "Name": "LV myocardium", "LabelValue": 1}]
    write_seg_nrrd(folder / "labels.seg.nrrd", labels == MYOCARDIUM, names)
    samples = []
    for number in (1, 2):
        write_seg_nrrd(folder / f"{number}.seg.nrrd", shifted(labels == MYOCARDIUM, number), names)
        samples += ["--samples", folder / f"{number}.seg.nrrd"]
    done = run("assess", folder / "image.nii.gz", folder / "labels.seg.nrrd", *samples)
    text = words(done)
    assert "Volume: predicted Dice" in text
    assert "Method: networks, since the model acdc-lv-myocardium" in text


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--method", "agreement"], "The method agreement needs samples"),
        (["--method", "probabilities"], "The method probabilities needs probabilities"),
        (["--samples", "folds/0.nii.gz"], "needs at least 2 samples"),
        (["--samples", "folds/*.nii.gz", "--fail-below", "0.5"], "--fail-below needs a predicted Dice"),
        (["--samples", "folds/*.nii.gz", "--json", "folds/0.nii.gz"], "is that of the sample 0.nii.gz"),
        (["--samples", "none/*.nii.gz"], "No file fits"),
        (["--method", "agreement", "--model", "acdc-lv-myocardium"], "is of the method networks, not agreement"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(folder, monkeypatch, options, sentence):
    monkeypatch.chdir(folder)
    done = assess(folder, "--label", MYOCARDIUM, *options)
    assert done.exit_code == 2
    assert sentence in words(done)
