"""What README says is true: its commands, its Python lines and its figures; and it stays short."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys

import pytest

MOST_LINES = 120
FIRST_SCREEN = 40


@pytest.fixture(scope="module")
def readme(repository):
    """The text of README."""
    return (repository / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def sample(repository, readme, tmp_path_factory):
    """A folder where the commands that README shows on the sample were given."""
    folder = tmp_path_factory.mktemp("reader")
    (section,) = re.findall(r"^## Command line\n(.*?)^## ", readme, re.MULTILINE | re.DOTALL)
    commands = re.findall(r"^    (segquality .+)$", section, re.MULTILINE)
    assert [shlex.split(line)[1] for line in commands] == ["demo", "assess"]
    for line in commands:
        program = [sys.executable, "-c", "from SegQualityQCLib.cli.main import app; app()", *shlex.split(line)[1:]]
        run = subprocess.run(program, cwd=folder, capture_output=True, encoding="utf-8", check=False)
        assert run.returncode == 0, f"{line}: {run.stderr}"
    return folder


def output_of(code, folder):
    """What Python code prints when it runs in a folder."""
    run = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, encoding="utf-8", check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_readme_has_at_most_120_lines(readme):
    """What is longer belongs into docs/."""
    assert len(readme.splitlines()) <= MOST_LINES


def test_the_first_screen_shows_what_it_does(readme):
    """A picture, the two commands, and the module in use."""
    first = "\n".join(readme.splitlines()[:FIRST_SCREEN])
    for shown in (
        "docs/images/slices.png",
        "\n    make demo",
        "\n    make test",
        "docs/images/panel.png",
        "**Assess**",
    ):
        assert shown in first, shown


def test_the_commands_of_readme_work_as_written(sample):
    """The fixture runs them."""
    assert (sample / "sample" / "image.nii.gz").is_file()
    assert (sample / "sample" / "segmentation.seg.nrrd").is_file()


def test_the_python_lines_of_readme_work_as_written(readme, sample):
    """One block of at most ten lines."""
    (code,) = re.findall(r"^```python\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    assert len(code.splitlines()) <= 10
    assert output_of(code, sample).startswith("LV myocardium VolumeScore")


def test_the_python_lines_of_the_reference_work_as_written(repository, sample):
    """A copy of a bundled model takes the place of the reader's own."""
    page = (repository / "docs" / "reference.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    shutil.copytree(repository / "Resources" / "Models" / "acdc-lv-cavity", sample / "models" / "liver-ct")
    scored, below, model = output_of("\n".join(blocks), sample).splitlines()
    assert scored.startswith("LV myocardium 0.")
    assert below == "[2, 7, 5]"
    assert model.startswith("acdc-lv-cavity ")


def test_the_figures_of_readme_are_those_of_the_results(repository):
    """And those of docs/accuracy.md."""
    check = [sys.executable, str(repository / "docs" / "update_readme.py"), "--check"]
    run = subprocess.run(check, capture_output=True, encoding="utf-8", check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.splitlines() == [
        "README.md agrees with training/results",
        "docs/accuracy.md agrees with training/results",
    ]
