"""What `segquality assess` prints and refuses: standard output, narrow terminals, formats that are not read."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from command_line import segquality
from rich.console import Console

from SegQualityQCLib.cli.report_table import print_report
from SegQualityQCLib.demo import demo_case
from SegQualityQCLib.errors import InputError
from SegQualityQCLib.estimators.loading import load_estimator
from SegQualityQCLib.reading.cases import read_cases
from SegQualityQCLib.reading.images import read_image


def test_the_report_goes_to_standard_output_and_nothing_else(files, tmp_path):
    inputs = (files / "image.nii.gz", files / "labels.nii.gz")
    run = segquality("assess", *inputs, "--json", "-", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["schema"] == 1
    both = segquality("assess", *inputs, "--json", "-", "--csv", "-", cwd=tmp_path)
    assert (both.returncode, both.stdout, "name a file" in both.stderr) == (2, "", True)
    assert list(tmp_path.iterdir()) == []


def test_the_library_is_a_command_too(repository):
    run = subprocess.run(
        [sys.executable, "-m", "SegQualityQCLib", "--version"],
        capture_output=True,
        encoding="utf-8",
        check=False,
        cwd=repository,
    )
    assert (run.returncode, run.stdout.split()[0]) == (0, "segquality"), run.stderr


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
def test_no_number_is_cut_off_in_a_narrow_terminal(columns):
    report = load_estimator(None, "cpu").assess(demo_case())
    console = Console(width=columns, record=True, file=io.StringIO())
    print_report(console, report, 0.7)
    shown = console.export_text()
    assert "…" not in shown
    for score in report.slices:
        if score.dice is not None:
            assert f"{score.dice:.2f}" in shown
            assert f"{score.low:.2f} to {score.high:.2f}" in shown


def test_a_file_of_four_dimensions_is_refused_with_what_it_holds_and_what_to_do(files, tmp_path):
    volume = sitk.ReadImage(str(files / "image.nii.gz"))
    labels = sitk.ReadImage(str(files / "labels.nii.gz"))
    for name, one in (("i.nii", volume), ("l.nii", labels)):
        sitk.WriteImage(sitk.JoinSeries([one] * 4), str(tmp_path / name))
    with pytest.raises(InputError, match="is 4-D, with 4 images such as the phases of a cine"):
        read_cases(tmp_path / "i.nii", files / "labels.nii.gz")
    with pytest.raises(InputError, match=r"x 10 x 4\): save one labelmap"):
        read_cases(files / "image.nii.gz", tmp_path / "l.nii")


def nifti_2(path: Path) -> None:
    header = bytearray(544)
    struct.pack_into("<i8s2h8q", header, 0, 540, b"n+2\0\r\n\x1a\n", 16, 32, 3, 2, 2, 2, 1, 1, 1, 1)
    path.write_bytes(bytes(header) + np.zeros(8, np.float32).tobytes())


@pytest.mark.parametrize(("name", "kind"), [("a.mgz", "FreeSurfer"), ("a.mnc", "MINC"), ("a.nii", "NIfTI-2")])
def test_a_format_that_is_not_read_is_named(tmp_path, name, kind):
    nifti_2(tmp_path / name)
    with pytest.raises(InputError, match=f"is a file of {kind}.*save it as NIfTI-1"):
        read_image(tmp_path / name)
