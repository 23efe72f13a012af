"""Reports: the order, what they write, and what they refuse to read."""

from __future__ import annotations

import csv
import json
import math

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from SegQualityQCLib.errors import ReportError
from SegQualityQCLib.report.codes import CaseFlag, SliceFlag
from SegQualityQCLib.report.csv_table import reports_to_csv
from SegQualityQCLib.report.report import (
    CaseDescription,
    ModelIdentity,
    Provenance,
    QualityReport,
    SliceScore,
    Status,
    VolumeScore,
    reports_to_json,
)

unit = st.floats(0, 1)


@st.composite
def slice_scores(draw, index: int) -> SliceScore:
    status = draw(st.sampled_from(Status))
    area = 0.0 if status in (Status.EMPTY, Status.GAP) else draw(st.floats(0.1, 1e5))
    flags = tuple(draw(st.lists(st.sampled_from([*SliceFlag, "of_a_newer_version"]), max_size=2)))
    if status is not Status.SCORED:
        return SliceScore(index, status, None, None, None, area, flags)
    low, dice, high = sorted(draw(st.tuples(unit, unit, unit)))
    return SliceScore(index, status, dice, low, high, area, flags)


@st.composite
def reports(draw) -> QualityReport:
    n = draw(st.integers(1, 12))
    scores = tuple(draw(slice_scores(i)) for i in range(n))
    low, dice, high = sorted(draw(st.tuples(unit, unit, unit)))
    return QualityReport(
        model=ModelIdentity(draw(st.text(max_size=9)), "1.0", "0" * 64),
        case=CaseDescription(draw(st.text(max_size=9)), "s", draw(st.text(max_size=9)), "k", (1.0, 1.0, 8.0), n),
        volume=VolumeScore(dice, low, high),
        slices=scores,
        provenance=Provenance("0", "2026-01-01T00:00:00+00:00", {"window": {"size": 144}}),
        flags=(CaseFlag.GAPS,),
    )


def report_of(*scores: SliceScore, segment: str = "myocardium") -> QualityReport:
    return QualityReport(
        model=ModelIdentity("m", "1", "0" * 64),
        case=CaseDescription("image", "segmentation", segment, "k", (1.0, 1.0, 8.0), len(scores)),
        volume=VolumeScore(None, None, None),
        slices=scores,
        provenance=Provenance("0", "2026-01-01T00:00:00+00:00"),
    )


@given(reports())
def test_a_report_survives_json_unchanged(report):
    assert QualityReport.from_json(report.to_json()) == report


@given(reports())
def test_the_order_names_every_slice_once(report):
    assert sorted(report.order) == [score.index for score in report.slices]


def test_the_order_is_gaps_then_unscored_then_lowest_dice_then_empty():
    report = report_of(
        SliceScore(0, Status.EMPTY, None, None, None, 0.0),
        SliceScore(1, Status.SCORED, 0.9, 0.8, 1.0, 10.0),
        SliceScore(2, Status.GAP, None, None, None, 0.0),
        SliceScore(3, Status.SCORED, 0.3, 0.1, 0.5, 10.0),
        SliceScore(4, Status.UNFAMILIAR, None, None, None, 10.0, ("image",)),
        SliceScore(5, Status.EMPTY, None, None, None, 0.0, ("check",)),
        SliceScore(6, Status.OUT_OF_WINDOW, None, None, None, 10.0),
    )
    assert report.order == (2, 6, 4, 3, 1, 5, 0)
    assert [score.index for score in report.below(0.7)] == [3]


@pytest.mark.parametrize(
    "damage",
    [
        lambda c: c.update(schema=2),
        lambda c: c.pop("volume"),
        lambda c: c["slices"][0].update(dice=None),
        lambda c: c["slices"][0].update(dice=1.5),
        lambda c: c["slices"][0].update(low=0.9),
        lambda c: c["slices"][0].update(status="fine"),
        lambda c: c["slices"][0].update(index=True),
        lambda c: c["slices"][0].update(area_mm2="big"),
        lambda c: c["slices"][0].update(area_mm2=math.nan),
        lambda c: c["slices"][0].update(area_mm2=10**400),
        lambda c: c["slices"][0].update(index=-1),
        lambda c: c["slices"][0].update(flags="check"),
        lambda c: c.update(order=[1, 0]),
        lambda c: c["slices"].append(c["slices"][0]),
        lambda c: c["case"].update(axis="z"),
        lambda c: c["case"].update(spacing_mm=[1, 1]),
        lambda c: c["model"].update(sha256=3),
        lambda c: c["provenance"].update(parameters=[]),
    ],
)
def test_a_damaged_report_is_refused_with_one_sentence(damage):
    report = report_of(
        SliceScore(0, Status.SCORED, 0.3, 0.1, 0.5, 10.0), SliceScore(1, Status.SCORED, 0.9, 0.8, 1.0, 10.0)
    )
    content = report.to_dict()
    damage(content)
    with pytest.raises(ReportError) as caught:
        QualityReport.from_dict(content)
    assert "\n" not in str(caught.value)


def test_several_reports_are_written_as_a_list_and_one_as_itself():
    first, second = (report_of(SliceScore(n, Status.GAP, None, None, None, 0.0)) for n in (0, 1))
    assert json.loads(reports_to_json([first])) == first.to_dict()
    assert json.loads(reports_to_json([first, second])) == [first.to_dict(), second.to_dict()]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "1", '{"schema": 1}', "[" * 100000])
def test_text_that_is_no_report_is_refused(text):
    with pytest.raises(ReportError):
        QualityReport.from_json(text)


def test_a_missing_report_file_is_named(tmp_path):
    with pytest.raises(ReportError, match=r"nowhere\.json"):
        QualityReport.read_json(tmp_path / "nowhere.json")


def test_numbers_are_null_where_nothing_was_scored():
    content = json.loads(report_of(SliceScore(0, Status.GAP, None, None, None, 0.0)).to_json())
    assert content["slices"][0]["dice"] is None
    assert content["volume"]["dice"] is None


def test_csv_has_a_row_a_slice_and_empty_cells_where_nothing_was_scored():
    report = report_of(
        SliceScore(0, Status.SCORED, 0.5, 0.25, 0.75, 10.0), SliceScore(1, Status.GAP, None, None, None, 0.0)
    )
    rows = list(csv.DictReader(reports_to_csv([report]).splitlines()))
    assert [row["dice"] for row in rows] == ["0.5000", ""]
    assert [row["status"] for row in rows] == ["scored", "gap"]


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)"])
def test_no_spreadsheet_runs_a_segment_name(name):
    report = report_of(SliceScore(0, Status.GAP, None, None, None, 0.0), segment=name)
    assert next(csv.DictReader(reports_to_csv([report]).splitlines()))["segment"] == "'" + name


def test_the_json_follows_the_documented_schema(repository):
    schema = json.loads((repository / "docs" / "report.schema.json").read_text(encoding="utf-8"))
    report = report_of(
        SliceScore(0, Status.SCORED, 0.5, 0.25, 0.75, 10.0), SliceScore(1, Status.GAP, None, None, None, 0.0)
    )
    jsonschema.validate(json.loads(report.to_json()), schema)
    broken = json.loads(report.to_json())
    broken["slices"][1]["dice"] = math.pi
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, schema)
