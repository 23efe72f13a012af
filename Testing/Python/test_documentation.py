"""The documentation builds, and what it says of the command is true."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest


def test_the_documentation_builds_without_a_warning(repository, tmp_path):
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    run = subprocess.run(build, cwd=repository, capture_output=True, encoding="utf-8", check=False)
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "site" / "reference" / "index.html").is_file()


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


@pytest.mark.parametrize("page", ["README.md", "docs/train-a-model.md", "docs/architecture.md", "CHANGELOG.md"])
def test_files_that_a_page_names_are_there(repository, page):
    text = (repository / page).read_text(encoding="utf-8")
    named = re.findall(r"\]\(([^)#:]+)\)", text) + re.findall(r"`(training/[\w./-]+|Testing/[\w./-]+)`", text)
    missing = [name for name in named if not ((repository / page).parent / name).exists()]
    assert not [name for name in missing if not (repository / name).exists()]
