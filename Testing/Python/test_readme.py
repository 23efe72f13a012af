"""What README says is true: its commands, its Python lines, its options and its figures."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def sample(repository, tmp_path_factory):
    """A folder where the commands that README shows on the sample were given."""
    folder = tmp_path_factory.mktemp("reader")
    readme = (repository / "README.md").read_text(encoding="utf-8")
    (section,) = re.findall(r"^## The command\n(.*?)^## ", readme, re.MULTILINE | re.DOTALL)
    for line in re.findall(r"^    (segquality .+)$", section, re.MULTILINE):
        program = [sys.executable, "-c", "from SegQualityQCLib.cli.main import app; app()", *shlex.split(line)[1:]]
        run = subprocess.run(program, cwd=folder, capture_output=True, encoding="utf-8", check=False)
        assert run.returncode == 0, f"{line}: {run.stderr}"
    return folder


def test_the_commands_of_readme_work_as_written(sample):
    assert (sample / "sample" / "image.nii.gz").is_file()


def test_the_python_lines_of_readme_work_as_written(repository, sample):
    readme = (repository / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    assert len(code.splitlines()) <= 10
    run = subprocess.run([sys.executable, "-c", code], cwd=sample, capture_output=True, encoding="utf-8", check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("LV myocardium VolumeScore")


def test_the_figures_of_readme_are_those_of_the_results(repository):
    check = [sys.executable, str(repository / "docs" / "update_readme.py"), "--check"]
    run = subprocess.run(check, capture_output=True, encoding="utf-8", check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_readme_names_every_option_of_assess(repository):
    run = subprocess.run(
        [sys.executable, "-c", "from SegQualityQCLib.cli.main import app; app()", "assess", "--help"],
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    options = set(re.findall(r"--[a-z-]+", run.stdout)) - {"--help"}
    readme = (repository / "README.md").read_text(encoding="utf-8")
    assert options and not {option for option in options if option not in readme}
