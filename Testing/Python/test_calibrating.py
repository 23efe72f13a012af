"""Calibration of methods without training on cases of the user's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from typer.testing import CliRunner

from SegQualityQCLib import load_estimator, read_cases
from SegQualityQCLib.bundles.bundle import ModelBundle
from SegQualityQCLib.cli.main import app

CASES = 24


def disc(radius: float, centre: float = 16.0) -> np.ndarray:
    k, j, i = np.mgrid[:3, :32, :32]
    return (((j - 16) ** 2 + (i - centre) ** 2) < radius**2) & (k >= 0)


def write(path, array) -> None:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((1.0, 1.0, 5.0))
    sitk.WriteImage(image, str(path))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Cases whose candidate is off by more and more; samples and probabilities lie about the reference."""
    folder = tmp_path_factory.mktemp("mine")
    rng = np.random.default_rng(0)
    lines = ["case,image,segmentation,reference,label,samples,probabilities"]
    for n in range(CASES):
        write(folder / f"{n}_image.nii.gz", rng.normal(size=(3, 32, 32)).astype(np.float32))
        write(folder / f"{n}_seg.nii.gz", disc(8, 16 + 6 * n / CASES + rng.normal(0, 0.3)).astype(np.uint8))
        write(folder / f"{n}_ref.nii.gz", disc(8).astype(np.uint8))
        for sample in range(3):
            write(
                folder / f"{n}_sample{sample}.nii.gz",
                disc(8 + rng.normal(0, 0.5), 16 + rng.normal(0, 1)).astype(np.uint8),
            )
        overconfident = np.where(disc(8, 16 + rng.normal(0, 1)), 0.998, 0.002).astype(np.float32)
        write(folder / f"{n}_p.nii.gz", overconfident)
        lines.append(f"case{n},{n}_image.nii.gz,{n}_seg.nii.gz,{n}_ref.nii.gz,1,{n}_sample*.nii.gz,{n}_p.nii.gz")
    (folder / "manifest.csv").write_text("\n".join(lines), encoding="utf-8")
    return folder


def run(*arguments):
    return CliRunner().invoke(app, [str(one) for one in arguments], env={"COLUMNS": "300"})


def words(done) -> str:
    return " ".join(done.output.split())


@pytest.fixture(scope="module", params=["agreement", "probabilities"])
def calibrated(request, folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "bundle"
    done = run("calibrate", folder / "manifest.csv", "--method", request.param, "--out", out)
    assert done.exit_code == 0, done.output
    assert f"calibrated on {CASES} cases" in words(done)
    return request.param, out


def test_its_bundle_says_what_it_was_fitted_on_and_how_good_it_is(calibrated):
    method, out = calibrated
    bundle = ModelBundle.load(out)
    assert bundle.header.family == method
    assert bundle.header.block["cases"] == [f"case{n}" for n in range(CASES)]
    evaluation = bundle.header.targets[0].evaluation
    assert evaluation.test_set == f"the {CASES} cases of manifest.csv, each predicted without itself"
    assert evaluation.mae < 0.1
    assert evaluation.figures["r"] > 0.8
    assert 0.75 <= evaluation.figures["coverage"] <= 1
    assert "case7" in (out / "docs" / "README.md").read_text(encoding="utf-8")


def test_the_model_predicts_dice_with_an_interval(calibrated, folder):
    _, out = calibrated
    further = {"samples": sorted(folder.glob("12_sample*.nii.gz")), "probabilities": folder / "12_p.nii.gz"}
    (case,) = read_cases(folder / "12_image.nii.gz", folder / "12_seg.nii.gz", **further)
    report = load_estimator(out).assess(case)
    true = sitk.LabelOverlapMeasuresImageFilter()
    true.Execute(case.mask, sitk.ReadImage(str(folder / "12_ref.nii.gz")))
    assert report.is_calibrated
    assert report.flags == ()
    assert report.volume.low <= true.GetDiceCoefficient() <= report.volume.high


def test_the_command_takes_the_model(calibrated, folder):
    method, out = calibrated
    files = [folder / "3_image.nii.gz", folder / "3_seg.nii.gz"]
    further = ["--samples", folder / "3_sample*.nii.gz", "--probabilities", folder / "3_p.nii.gz", "--model", out]
    done = run("assess", *files, *further)
    assert "Volume: predicted Dice" in words(done)
    assert f"Method: {method}, since its model was named." in words(done)


def test_overconfident_probabilities_get_a_temperature_above_one(calibrated):
    method, out = calibrated
    temperature = ModelBundle.load(out).header.block["temperature"]
    assert temperature > 1.2 if method == "probabilities" else temperature == 1


def changed(folder, change) -> Path:
    text = change((folder / "manifest.csv").read_text(encoding="utf-8"))
    (folder / "changed.csv").write_text(text, encoding="utf-8")
    return folder / "changed.csv"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda text: "\n".join(text.splitlines()[:12]),
            "needs at least 20 cases with a reference, and",
        ),
        (lambda text: text.replace("reference", "truth"), "The case case0 of changed.csv has no reference"),
        (lambda text: text.replace("_ref.nii.gz", "_none.nii.gz"), "The first that cannot be used, case0:"),
    ],
)
def test_what_cannot_be_calibrated_is_a_sentence_and_writes_nothing(folder, tmp_path, change, sentence):
    done = run("calibrate", changed(folder, change), "--method", "agreement", "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert sentence in words(done)
    assert not (tmp_path / "out").exists()


def test_a_case_that_cannot_be_used_is_left_out_and_said(folder, tmp_path):
    manifest = changed(folder, lambda text: text.replace("5_ref.nii.gz", "none.nii.gz"))
    done = run("calibrate", manifest, "--method", "agreement", "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "Note: case5 was left out" in words(done)
    assert "case5" not in ModelBundle.load(tmp_path / "out").header.block["cases"]


def test_a_folder_that_is_there_is_not_replaced_and_networks_are_not_calibrated(folder, tmp_path):
    taken = run("calibrate", folder / "manifest.csv", "--method", "agreement", "--out", tmp_path)
    assert (taken.exit_code, "is there already" in words(taken)) == (2, True)
    networks = run("calibrate", folder / "manifest.csv", "--method", "networks", "--out", tmp_path / "out")
    assert (networks.exit_code, "cannot be calibrated here" in words(networks)) == (2, True)
