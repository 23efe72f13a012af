"""The words of a report's codes: each code has some, and they stand in one file."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from SegQualityQCLib.case.grids import CROPPED
from SegQualityQCLib.demo import demo_case
from SegQualityQCLib.estimators.loading import load_estimator
from SegQualityQCLib.report.codes import CaseFlag, Measure, SliceFlag, Status
from SegQualityQCLib.report.report import QualityReport, SliceScore
from SegQualityQCLib.report.wording import WORDS, long_words, note, remark, short_words
from SegQualityQCLib.review.decisions import Decision, ReviewStatus

CODES = [*Measure, *Status, *SliceFlag, *CaseFlag]
FEWEST_WORDS = 3  # shorter ones, such as "empty", are ordinary words of any file

# The layers below the report, and who writes and shows codes, name a code by its enum; these may not import it.
BELOW_THE_REPORT = ("case/", "reading/")
NAME_CODES = ("report", "estimators", "review", "cohort", "cli", "scene", "widgets")


@pytest.fixture(scope="module")
def report() -> QualityReport:
    return load_estimator(None, "cpu").assess(demo_case())


def test_every_code_has_words_and_no_words_are_left_over():
    assert set(WORDS) == set(CODES)
    assert len(CODES) == len({code.value for code in CODES}), "one table of words serves all of them"


@pytest.mark.parametrize("code", CODES)
def test_words_are_words(code):
    for words in (short_words(code), long_words(code)):
        assert words.strip() == words != ""
        assert "_" not in words
        assert not words.endswith(".")
    assert len(short_words(code)) <= 30, "it fits a badge or a column"


@pytest.mark.parametrize("code", [*Decision, *ReviewStatus])
def test_a_decision_is_its_own_word(code):
    assert re.fullmatch(r"[a-z ]+", code.value)


def test_the_decisions_of_a_case_are_those_of_a_slice():
    assert [status.value for status in ReviewStatus if status.is_decided] == [decision.value for decision in Decision]


def literals(path: Path) -> Iterator[str]:
    """The texts of a file of Python that are not docstrings, or the whole of another file."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield text
        return
    tree = ast.parse(text)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def sources(library: Path) -> list[Path]:
    return [path for path in library.rglob("*") if path.suffix in (".py", ".jinja", ".js", ".css")]


def fixed_parts(words: str) -> list[str]:
    """What of words stands between their places."""
    return [part.strip(" :") for part in re.split(r"\{[^}]*\}", words.lower())]


def test_the_words_of_a_code_stand_nowhere_else(repository):
    library = repository / "SegQualityQCLib"
    phrases = {part for words in WORDS.values() for text in (words.short, words.long) for part in fixed_parts(text)}
    phrases = {phrase for phrase in phrases if len(phrase.split()) >= FEWEST_WORDS}
    assert len(phrases) > len(CODES) / 2
    found = {
        (path.relative_to(library).as_posix(), phrase)
        for path in sources(library)
        for text in literals(path)
        for phrase in phrases
        if phrase in " ".join(text.lower().split())
    }
    assert found == {("report/wording.py", phrase) for phrase in phrases}


def test_codes_are_named_by_their_enums(repository):
    library = repository / "SegQualityQCLib"
    telling = {code.value for code in CODES if "_" in code.value}  # others are ordinary words, such as "image"
    written = {
        (path.relative_to(library).as_posix(), text)
        for folder in NAME_CODES
        for path in (library / folder).rglob("*.py")
        for text in literals(path)
        if text in telling
    }
    assert written == {("report/codes.py", code) for code in telling}


def test_the_layers_below_the_report_write_codes_that_it_knows(repository):
    assert CROPPED == CaseFlag.CROPPED_TO_IMAGE
    library = repository / "SegQualityQCLib"
    written = {
        text
        for folder in BELOW_THE_REPORT
        for path in (library / folder).rglob("*.py")
        for text in literals(path)
        if text in set(CaseFlag)
    }
    assert written == {
        CaseFlag.CROPPED_TO_IMAGE,
        CaseFlag.SEGMENT_LEFT_OUT,
        CaseFlag.SAMPLE_LEFT_OUT,
        CaseFlag.SAMPLES_RESAMPLED,
        CaseFlag.PROBABILITIES_RESAMPLED,
        CaseFlag.FRACTIONAL,
        CaseFlag.MOVED_AGAINST_IMAGE,
        CaseFlag.QFORM_USED,
        CaseFlag.SFORM_USED,
        CaseFlag.DOUBTFUL_SPACING,
    }


def test_the_documented_codes_are_those_of_the_enums(repository):
    text = (repository / "docs" / "schemas.md").read_text(encoding="utf-8")
    for head, codes in (
        ("measure", Measure),
        ("status", Status),
        ("flag of a slice", SliceFlag),
        ("flag of a case", CaseFlag),
    ):
        table = text.split(f"| {head} |")[1].split("\n\n")[0]
        assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == [code.value for code in codes]
    schema = json.loads((repository / "docs" / "report.schema.json").read_text(encoding="utf-8"))
    documented = schema["properties"]["slices"]["items"]["properties"]["status"]["enum"]
    assert documented == [status.value for status in Status]


def test_a_flag_of_a_newer_version_is_read_and_shown_as_it_is(report):
    content = report.to_dict()
    content["flags"] = ["of_tomorrow{"]
    content["slices"][0]["flags"].append("new_here")
    read = QualityReport.from_dict(content)
    assert read.flags == ("of_tomorrow{",)
    assert read.to_dict() == content
    assert short_words(read.flags[0]) == note(read.flags[0], read) == "of_tomorrow{"
    assert remark(read.slices[0]).endswith("new_here")


def test_a_remark_says_status_and_flags_of_a_slice():
    small = SliceScore(0, Status.UNFAMILIAR, None, None, None, 2.0, (SliceFlag.TOO_SMALL,))
    assert remark(small) == "; ".join(WORDS[code].long for code in (Status.UNFAMILIAR, SliceFlag.TOO_SMALL))
    assert remark(SliceScore(0, Status.SCORED, 0.8, 0.7, 0.9, 2.0)) == ""


def test_a_note_names_segment_and_model_whatever_these_are_called(report):
    strange = replace(report, case=replace(report.case, segment="{model} {0}"))
    assert note(CaseFlag.MODEL_UNMATCHED, strange).startswith("'{model} {0}' is not known")
    assert report.model.name in note(CaseFlag.MODEL_UNMATCHED, strange)


@pytest.mark.parametrize("code", [*CODES, *Decision, *ReviewStatus])
def test_a_code_is_written_as_its_value(code):
    assert f"{code}" == str(code) == code.value
    assert json.loads(json.dumps([code])) == [code.value]
    assert code.value in {code}, "a set of codes finds a text from a file"
