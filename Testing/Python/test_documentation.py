"""The documentation builds, and what it says of the command is true."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from SegQualityQCLib.cli.main import app
from training.study import configuration
from training.study.paths import attacked_models
from training.study.study_file import read_study


def test_the_documentation_builds_without_a_warning(repository, tmp_path):
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    run = subprocess.run(build, cwd=repository, capture_output=True, encoding="utf-8", check=False)
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "site" / "reference" / "index.html").is_file()


PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md") + tuple(
    f"docs/{name}.md"
    for name in ("index", "architecture", "train-a-model", "tutorial-clinicians", "tutorial-annotators")
)


@pytest.mark.parametrize("page", PAGES)
def test_files_that_a_page_names_are_there(repository, page):
    text = (repository / page).read_text(encoding="utf-8")
    named = re.findall(r"\]\(([^)#:\s]+)\)", text) + re.findall(r"`(training/[\w./-]+|Testing/[\w./-]+)`", text)
    missing = [name for name in named if not ((repository / page).parent / name).exists()]
    assert not [name for name in missing if not (repository / name).exists()]


@pytest.mark.parametrize("page", PAGES)
def test_commands_that_a_page_names_are_there(repository, page):
    text = (repository / page).read_text(encoding="utf-8")
    known = {command.name or command.callback.__name__ for command in app.registered_commands}
    known |= {group.name for group in app.registered_groups}
    assert set(re.findall(r"segquality ([a-z]+)", text)) <= known


def test_the_options_of_cohort_that_the_tutorial_names_are_there(repository):
    help_text = CliRunner().invoke(app, ["cohort", "--help"], env={"COLUMNS": "200"}).stdout
    tutorial = (repository / "docs" / "tutorial-annotators.md").read_text(encoding="utf-8")
    scoring, _, _ = tutorial.partition("## 3.")
    assert not set(re.findall(r"--[a-z]+", scoring)) - set(re.findall(r"--[a-z]+", help_text))


def test_each_shortcut_of_the_panel_stands_in_a_tooltip_and_in_the_tutorial(repository):
    module = (repository / "SegQualityQC" / "SegQualityQC.py").read_text(encoding="utf-8")
    keys = re.findall(r'"(Ctrl\+[\w+]+)": ', module)
    panel = (repository / "Resources" / "UI" / "SegQualityQC.ui").read_text(encoding="utf-8")
    tutorial = (repository / "docs" / "tutorial-clinicians.md").read_text(encoding="utf-8")
    assert keys and not [key for key in keys if key not in panel or key not in tutorial]


def test_no_shortcut_of_the_panel_is_a_letter_that_altgr_types(repository):
    module = (repository / "SegQualityQC" / "SegQualityQC.py").read_text(encoding="utf-8")
    assert "Alt" not in "".join(re.findall(r'"(Ctrl\+[\w+]+)": ', module))


def test_the_study_of_the_tutorial_is_one_that_training_reads(repository, tmp_path):
    page = (repository / "docs" / "train-a-model.md").read_text(encoding="utf-8")
    study, attacks = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "liver.yaml").write_text(study, encoding="utf-8")
    read = read_study(tmp_path / "liver.yaml")
    assert read.structure("liver").label == 1 and read.attack_study is None
    (tmp_path / "attacked.yaml").write_text(study + attacks, encoding="utf-8")
    read = read_study(tmp_path / "attacked.yaml")
    bundled = read_study(repository / "training" / "configs" / "acdc-cpu.yaml")  # whose bounds the page says they are
    assert read.attack_study == bundled.attack_study
    assert read.hardening["direct"] == dataclasses.replace(bundled.hardening["direct"], bundled=False, seed=None)
    assert len(attacked_models(read, read.structure("liver"))) == 3


def test_the_reference_explains_every_setting_of_a_study():
    for kind in vars(configuration).values():
        if dataclasses.is_dataclass(kind):
            unexplained = {entry.name for entry in dataclasses.fields(kind)} - named_in(kind.__doc__)
            assert not unexplained, f"{kind.__name__}: {unexplained}"


def named_in(docstring: str) -> set[str]:
    """The attributes that a docstring explains, one or several a line."""
    heads = re.findall(r"^ {8}(\w+(?:, \w+)*): ", docstring, re.MULTILINE)
    return {name for head in heads for name in head.split(", ")}


def test_every_picture_of_a_page_is_there_and_small(repository):
    shown = set()
    for page in PAGES:
        text = (repository / page).read_text(encoding="utf-8")
        shown |= {((repository / page).parent / name).resolve() for name in re.findall(r"\]\(([^)]+\.png)\)", text)}
    made = set((repository / "docs" / "images").glob("*.png"))
    assert shown == {path.resolve() for path in made}
    assert max(path.stat().st_size for path in made) < 250_000


def test_panel_and_figure_of_the_method_can_be_made_anew(repository, tmp_path):
    script = [sys.executable, str(repository / "docs" / "make_pictures.py"), "--into", str(tmp_path)]
    run = subprocess.run(script, capture_output=True, encoding="utf-8", check=False)
    assert run.returncode == 0, run.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"panel.png", "method.png"}
    assert min(path.stat().st_size for path in tmp_path.iterdir()) > 20_000
