"""The documentation builds, and its links, commands, options, pictures and examples exist in the repository."""

from __future__ import annotations

import ast
import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

import SegQualityQCLib
from SegQualityQCLib.cli.main import app
from training.study import configuration
from training.study.run import attacked_runs
from training.study.study_file import read_study

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")),
)
PAGES_WITH_FILES = tuple(page for page in PAGES if page != "docs/reference.md")
PAGES_WITH_COMMANDS = (
    "README.md",
    "docs/bundle-format.md",
    "docs/cohort.md",
    "docs/command-line.md",
    "docs/schemas.md",
    "docs/train-a-model.md",
    "docs/tutorial-annotators.md",
)
LINK = re.compile(r"\]\(([^)#:\s]*)(?:#([^)\s]+))?\)")
COMMAND = re.compile(r"segquality ([a-z]+)")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


def text_of(page: str) -> str:
    """The content of a page, by its path in the repository."""
    return (ROOT / page).read_text(encoding="utf-8")


def options_of(command: str) -> set[str]:
    """The long options of a subcommand of ``segquality``, as the program defines them."""
    parameters = get_command(app).commands[command].params
    return {option for parameter in parameters for option in parameter.opts if option.startswith("--")}


def anchors_of(page: str) -> set[str]:
    """The anchors that GitHub and MkDocs make from the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text_of(page), flags=re.M | re.S), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_the_documentation_builds_without_a_warning(tmp_path):
    """Strict: an unknown page, a broken anchor or a module that cannot be found is an error."""
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    run = subprocess.run(build, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "site" / "reference" / "index.html").is_file()


@pytest.mark.parametrize("page", PAGES_WITH_FILES)
def test_files_that_a_page_names_are_there(page):
    """Links, and files of training and Testing in backticks."""
    named = {name for name, _ in LINK.findall(text_of(page)) if name}
    named |= set(re.findall(r"`((?:training|Testing)/[\w./-]+)`", text_of(page)))
    assert named
    assert {
        name for name in named if not ((ROOT / page).parent / name).exists() and not (ROOT / name).exists()
    } == set()


def test_anchors_that_pages_link_to_are_there():
    """Those within MkDocs' pages are checked by its build too, but README and CONTRIBUTING are not among these."""
    linked = [(page, name or Path(page).name, anchor) for page in PAGES for name, anchor in LINK.findall(text_of(page))]
    linked = [(page, name, anchor) for page, name, anchor in linked if anchor and "reference.md" not in name]
    assert "README.md" in {page for page, _, _ in linked}
    targets = [(page, (Path(page).parent / name).as_posix(), anchor) for page, name, anchor in linked]
    assert [link for link in targets if link[2] not in anchors_of(link[1])] == []


@pytest.mark.parametrize("page", PAGES)
def test_commands_that_a_page_names_are_there(page):
    """A page of ``PAGES_WITH_COMMANDS`` in which none is found fails too."""
    named = set(COMMAND.findall(text_of(page)))
    assert named or page not in PAGES_WITH_COMMANDS
    assert named <= set(get_command(app).commands)


@pytest.mark.parametrize(("page", "until"), [("docs/tutorial-annotators.md", "## 3."), ("docs/cohort.md", "## Review")])
def test_the_options_of_cohort_that_a_page_names_are_there(page, until):
    """The part of the page before the review names options of ``segquality cohort`` alone."""
    scoring, found, _ = text_of(page).partition(until)
    named = set(OPTION.findall(scoring))
    assert found
    assert named
    assert named <= options_of("cohort")


def test_the_table_of_options_is_that_of_assess():
    """Each option has one row, and no row names another."""
    rows = re.findall(r"^\| `(--[a-z-]+)", text_of("docs/command-line.md"), re.MULTILINE)
    assert sorted(rows) == sorted(options_of("assess") - {"--help"})


def shortcuts() -> set[str]:
    """The key sequences in the module and its widgets."""
    files = [ROOT / "SegQualityQC" / "SegQualityQC.py", *(ROOT / "SegQualityQCLib" / "widgets").glob("*.py")]
    return {key for file in files for key in re.findall(r'"(Ctrl\+[\w+]+)": ', file.read_text(encoding="utf-8"))}


def test_each_shortcut_of_the_panel_stands_in_a_tooltip_and_in_the_tutorial():
    """The tutorial lists these shortcuts, and no others."""
    panel = (ROOT / "Resources" / "UI" / "SegQualityQC.ui").read_text(encoding="utf-8")
    listed = set(re.findall(r"Ctrl\+[\w+]+", text_of("docs/tutorial-clinicians.md")))
    assert len(listed) == 6
    assert listed == shortcuts()
    assert {key for key in listed if key not in panel} == set()


def test_no_shortcut_of_the_panel_is_a_letter_that_altgr_types():
    """AltGr is Ctrl and Alt together on many keyboards."""
    assert shortcuts()
    assert {key for key in shortcuts() if "Alt" in key} == set()


def test_the_study_of_the_tutorial_is_one_that_training_reads(tmp_path):
    """The study alone, with the sections for attacks and hardening appended, and with those of several hospitals."""
    blocks = re.findall(r"^```yaml\n(.*?)^```", text_of("docs/train-a-model.md"), re.MULTILINE | re.DOTALL)
    study, attacks, hospitals = blocks
    (tmp_path / "liver.yaml").write_text(study, encoding="utf-8")
    read = read_study(tmp_path / "liver.yaml")
    assert read.structure("liver").label == 1
    assert read.attack_study is None
    (tmp_path / "attacked.yaml").write_text(study + attacks, encoding="utf-8")
    read = read_study(tmp_path / "attacked.yaml")
    bundled = read_study(ROOT / "training" / "configs" / "acdc-cpu.yaml")  # the page says that the settings are its own
    assert read.attack_study == bundled.attack_study
    assert read.hardening["direct"] == dataclasses.replace(bundled.hardening["direct"], bundled=False, seed=None)
    assert len(attacked_runs(read, read.structure("liver"))) == 3
    several = yaml.safe_load(study) | yaml.safe_load(hospitals)
    (tmp_path / "several.yaml").write_text(yaml.safe_dump(several), encoding="utf-8")
    read = read_study(tmp_path / "several.yaml")
    heart = read_study(ROOT / "training" / "configs" / "heart-cpu.yaml")
    assert read.unseen_hospitals == heart.unseen_hospitals
    assert read.candidate_nets.hospitals == heart.candidate_nets.hospitals
    assert read.candidate_nets.unseen_architecture == heart.candidate_nets.unseen_architecture
    assert read.sampling.made == heart.sampling.made


def test_the_reference_explains_every_setting_of_a_study():
    """Each field of a settings class stands under Attributes in its docstring."""
    kinds = [kind for kind in vars(configuration).values() if dataclasses.is_dataclass(kind)]
    assert configuration.Study in kinds
    for kind in kinds:
        unexplained = {entry.name for entry in dataclasses.fields(kind)} - named_in(kind.__doc__)
        assert unexplained == set(), kind.__name__


def named_in(docstring: str) -> set[str]:
    """The attributes that a docstring explains, one or several a line."""
    heads = re.findall(r"^ {8}(\w+(?:, \w+)*): ", docstring, re.MULTILINE)
    return {name for head in heads for name in head.split(", ")}


def test_examples_import_only_public_names():
    """Blocks of Python in README and docs use what the package offers at its top; training is not installed with it."""
    blocks = {page: re.findall(r"^```python\n(.*?)^```", text_of(page), re.M | re.S) for page in PAGES}
    assert blocks["README.md"]
    assert len(blocks["docs/reference.md"]) == 3
    for page, code in ((page, code) for page, found in blocks.items() for code in found):
        for module, names in imports_of_the_library(code):
            assert module == "SegQualityQCLib", f"{page}: {module}"
            assert names <= set(SegQualityQCLib.__all__), f"{page}: {names}"


def imports_of_the_library(code: str) -> list[tuple[str, set[str]]]:
    """The modules of the library that a block imports, each with the names it takes from them."""
    found: list[tuple[str, set[str]]] = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom):
            found.append((node.module or "", {alias.name for alias in node.names}))
        elif isinstance(node, ast.Import):
            found += [(alias.name, set()) for alias in node.names]
    return [(module, names) for module, names in found if module.split(".")[0] == "SegQualityQCLib"]


def test_every_picture_of_a_page_is_there_and_small():
    """No page shows a picture that is missing, and no picture is made that no page shows."""
    shown = {
        ((ROOT / page).parent / name).resolve()
        for page in PAGES
        for name in re.findall(r"\]\(([^)]+\.png)\)", text_of(page))
    }
    made = {path.resolve() for path in (ROOT / "docs" / "images").glob("*.png")}
    assert shown == made
    assert max(path.stat().st_size for path in made) < 250_000


def test_panel_and_figure_of_the_method_can_be_made_again(tmp_path):
    """Slicer's views need another environment, and are left out here."""
    script = [sys.executable, str(ROOT / "docs" / "make_pictures.py"), "--into", str(tmp_path)]
    run = subprocess.run(script, capture_output=True, encoding="utf-8", check=False)
    assert run.returncode == 0, run.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"panel.png", "method.png"}
    assert min(path.stat().st_size for path in tmp_path.iterdir()) > 20_000
