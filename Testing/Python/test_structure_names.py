"""Names of data sets and programs find the model of their structure; what is ambiguous is said."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations

import pytest

from SegQualityQCLib.case.structure_names import (
    AMBIGUOUS_NAMES,
    LV_CAVITY,
    LV_MYOCARDIUM,
    RV_CAVITY,
    STRUCTURE_NAMES,
)
from SegQualityQCLib.case.terminology import code_of_name, contradict, folded
from SegQualityQCLib.demo import demo_case
from SegQualityQCLib.errors import InputError
from SegQualityQCLib.estimators.loading import EstimatorCache
from SegQualityQCLib.estimators.selection import ModelSelection
from SegQualityQCLib.reading.label_names import read_label_names
from SegQualityQCLib.report.codes import CaseFlag

KNOWN = {
    LV_MYOCARDIUM: (
        "MLV",
        "LVM",
        "LV_myo",
        "LVMyo",
        "LV wall",
        "heart_myocardium",
        "Myokard",
        "LV-Myokard",
        "miocárdio",
    ),
    LV_CAVITY: ("LVC", "LVBP", "LVendo", "LV_endo", "heart_ventricle_left", "Cavité VG", "LV Blood Pool"),
    RV_CAVITY: ("RV", "rv", "RVBP", "RVendo", "heart_ventricle_right", "rechter Ventrikel"),
}
OTHERS = (
    "LA",
    "aorta",
    "RV myocardium",
    "RV wall",
    "LV epicardium",
    "LVepi",
    "whole heart",
    "scar",
    "LVOT",
    "",
    "label 2",
)


@pytest.fixture(scope="module")
def selection() -> ModelSelection:
    return ModelSelection()


@pytest.fixture(scope="module")
def estimators() -> EstimatorCache:
    return EstimatorCache(device="cpu")


@pytest.mark.parametrize(("code", "name"), [(code, name) for code, names in KNOWN.items() for name in names])
def test_a_name_in_use_finds_the_model_of_its_structure(selection, code, name):
    bundle, fits = selection.best(name)
    assert (bundle.target.snomed, fits) == (code, True)


@pytest.mark.parametrize("name", OTHERS)
def test_another_structure_finds_no_model(selection, name):
    assert selection.best(name)[1] is False


def test_no_name_is_that_of_two_structures_or_ambiguous_too():
    names = {code: {folded(name) for name in known} for code, known in STRUCTURE_NAMES.items()}
    names["ambiguous"] = {folded(name) for name in AMBIGUOUS_NAMES}
    for one, other in combinations(names, 2):
        assert names[one] & names[other] == set()
    for code, known in STRUCTURE_NAMES.items():
        assert len(names[code]) == len(known), "a name that folds to another is superfluous"


def test_the_bundles_own_names_never_contradict_the_library(selection):
    for structure in ("LV cavity", "LV myocardium", "RV cavity"):
        target = selection.best(structure)[0].target
        for name in (target.name, *target.aliases):
            assert code_of_name(name) in (target.snomed, None)
            assert code_of_name(name) is not None or folded(name) in {folded(one) for one in AMBIGUOUS_NAMES}


@pytest.mark.parametrize(
    ("name", "code", "flag"),
    [
        ("LV", None, CaseFlag.NAME_AMBIGUOUS),
        ("left ventricle", None, CaseFlag.NAME_AMBIGUOUS),
        ("LV", LV_CAVITY, None),
        ("LV cavity", None, None),
        ("LV cavity", LV_MYOCARDIUM, CaseFlag.NAME_AND_CODE_DIFFER),
        ("LV cavity", LV_CAVITY, None),
        ("LV cavity", "85756007", None),
        ("segment 1", LV_MYOCARDIUM, None),
    ],
)
def test_a_report_says_what_a_name_leaves_open(estimators, name, code, flag):
    case = replace(demo_case(), segment=name, terminology_code=code)
    said = set(estimators.for_case(case).assess(case).flags)
    assert said & {CaseFlag.NAME_AMBIGUOUS, CaseFlag.NAME_AND_CODE_DIFFER} == ({flag} if flag else set())


def test_a_broader_code_contradicts_no_name():
    assert not contradict("80891009", "LV myocardium"), "the heart"


SNAP = '# ITK-SnAP Label Description File\n 0 0 0 0 0 0 0 "Clear Label"\n 2 255 0 0 1 1 1 "LV myo, \\"wall\\""\n'
TABLE = "# Color table file t.ctbl\n0 Background 0 0 0 0\n2 LV_myocardium 221 130 101 255\n"
CSV = "LabelValue,Name,Color_R,Color_G,Color_B,Color_A\n2,LV myocardium,221,130,101,255\n"


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("l.label", SNAP, {0: "Clear Label", 2: 'LV myo, \\"wall\\"'}),
        ("t.ctbl", TABLE, {0: "Background", 2: "LV myocardium"}),
        ("t.csv", CSV, {2: "LV myocardium"}),
        ("dataset.json", json.dumps({"labels": {"RV": 1, "MYO": 2, "all": [1, 2]}}), {1: "RV", 2: "MYO"}),
        ("dataset.json", json.dumps({"labels": {"1": "RV"}}), {1: "RV"}),
    ],
)
def test_label_files_of_other_programs_are_read(tmp_path, name, content, expected):
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert read_label_names(str(tmp_path / name)) == expected


def test_labels_may_be_named_by_a_text():
    assert read_label_names("1=LV cavity, 2 = LV myocardium") == {1: "LV cavity", 2: "LV myocardium"}


@pytest.mark.parametrize("given", ["1", "1=", "x=LV", "1=a,1=b", "no such file.label"])
def test_labels_that_cannot_be_read_are_one_sentence(given):
    with pytest.raises(InputError):
        read_label_names(given)


def test_a_file_that_names_no_label_is_refused(tmp_path):
    for content in ("", "{}", "{", "hello\nworld\n", "LabelValue,Name\nx,y\n", "\0\1"):
        (tmp_path / "f").write_text(content, encoding="utf-8")
        with pytest.raises(InputError):
            read_label_names(str(tmp_path / "f"))
