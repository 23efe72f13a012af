"""Manifests: CSV files and folders become cases, and mistakes get a sentence that names the place."""

from __future__ import annotations

import json

import pytest

from SegQualityQCLib.cohort.manifest import files_in_folder, find_cases
from SegQualityQCLib.cohort.results import CohortFolder
from SegQualityQCLib.errors import InputError


def manifest(folder, text: str, name: str = "cohort.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_paths_are_relative_to_the_manifest_and_further_columns_are_carried(tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    path = manifest(tmp_path, "case,image,segmentation,label,site\nA,in/a.nii.gz,out/a.nii.gz,2,Oslo\n\nB,b,c,,\n")
    first, second = find_cases(path)
    assert (first.name, first.label, first.extra) == ("A", 2, {"site": "Oslo"})
    assert (first.image, first.segmentation) == (tmp_path / "in/a.nii.gz", tmp_path / "out/a.nii.gz")
    assert (second.label, second.segment, second.model) == (None, None, None)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_spreadsheets_may_separate_as_they_like_and_begin_with_a_mark(tmp_path, separator):
    lines = ["case,image,segmentation,segment", 'Å "1",a,b,LV myocardium']
    text = "\ufeff" + "\r\n".join(line.replace(",", separator) for line in lines).replace('Å "1"', '"Å ""1"""')
    (case,) = find_cases(manifest(tmp_path, text))
    assert (case.name, case.segment) == ('Å "1"', "LV myocardium")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "is empty"),
        ("case,image\nA,a\n", "lacks the column segmentation"),
        ("name,pictures\nA,a\n", "lacks the columns case, image, segmentation"),
        ("case,image,segmentation\n", "names no case"),
        ("case,image,segmentation\nA,a,b\nB,c,d\nA,e,f\n", "on the lines 2 and 4"),
        ("case,image,segmentation\nA,,b\n", "Line 2 of cohort.csv has no image"),
        ("case,image,segmentation\nA,a\n", "Line 2 of cohort.csv has no segmentation"),
        ("case,image,segmentation\nA,a,b,c\n", "has 4 cells"),
        ("case,image,segmentation,label\nA,a,b,two\n", "must be an integer"),
        ("case,image,segmentation,label,segment\nA,a,b,2,LV\n", "a label and a segment"),
        ("case,image,segmentation,image\nA,a,b,c\n", "has the column image twice"),
        ('case,image,segmentation,remark\nA,a,b,fine\nB,a,b,"urgent\nC,a,b,fine\n', "Line 3 of cohort.csv is no CSV"),
    ],
)
def test_a_mistake_in_a_manifest_is_named_with_its_place(tmp_path, text, named):
    with pytest.raises(InputError, match=named):
        find_cases(manifest(tmp_path, text))


def test_a_manifest_that_is_missing_or_no_text_is_said(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        find_cases(tmp_path / "no.csv")
    (tmp_path / "x.csv").write_bytes(b"case,image\xff\xfe")
    with pytest.raises(InputError, match="UTF-8"):
        find_cases(tmp_path / "x.csv")


def test_the_header_may_begin_with_capitals(tmp_path):
    (case,) = find_cases(manifest(tmp_path, "Case;IMAGE;Segmentation;Label;Site\nA;a;b;2;Oslo\n"))
    assert (case.name, case.label, case.extra) == ("A", 2, {"Site": "Oslo"})
    (case,) = find_cases(manifest(tmp_path, "case,image,segmentation,Model\nA,a,b,Aera\n"))
    assert (case.model, case.extra) == (None, {"Model": "Aera"}), "a column of one's own, such as the scanner's model"


def touched(folder, *names: str):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_the_layout_of_nnunet_is_understood(tmp_path):
    touched(
        tmp_path, "imagesTs/p2_0000.nii.gz", "imagesTs/p2_0001.nii.gz", "imagesTs/p1_0000.nii.gz", "imagesTr/x_0000.nii"
    )
    touched(tmp_path, "imagesTr/x_0000.nii", "labelsTs/p1.nii.gz", "labelsTs/p2.nii.gz", "predictions/p1.nii.gz")
    assert [case.name for case in find_cases(tmp_path)] == ["p1", "p2"]
    assert find_cases(tmp_path)[1].image == tmp_path / "imagesTs/p2_0000.nii.gz"
    cases = find_cases(tmp_path, segmentations="predictions")
    assert cases[0].segmentation == tmp_path / "predictions/p1.nii.gz"


def test_images_and_labels_of_nnunet_are_of_one_set(tmp_path):
    touched(tmp_path, "imagesTr/p1_0000.nii.gz", "labelsTr/p1.nii.gz", "imagesTs/p9_0000.nii.gz", "auto/p9.nii.gz")
    (case,) = find_cases(tmp_path)
    assert (case.image, case.segmentation) == (tmp_path / "imagesTr/p1_0000.nii.gz", tmp_path / "labelsTr/p1.nii.gz")
    assert find_cases(tmp_path, segmentations="labelsTr") == (case,) == find_cases(tmp_path, images="imagesTr")
    assert [case.name for case in find_cases(tmp_path, segmentations="auto")] == ["p9"]


@pytest.mark.parametrize(
    "labels",
    [
        {"background": 0, "RV": 1, "MYO": 2, "whole heart": [1, 2, 3], "LVC": 3},
        {"0": "background", "1": "RV", "2": "MYO", "3": "LVC"},
    ],
)
def test_the_dataset_of_nnunet_says_what_the_labels_are(tmp_path, labels):
    touched(tmp_path, "imagesTr/p_0000.nii.gz", "labelsTr/p.nii.gz", "predictions/p.nii.gz")
    assert find_cases(tmp_path)[0].structures == {}
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels}), encoding="utf-8")
    known = {"0": "background", "1": "RV", "2": "MYO", "3": "LVC"}
    (case,) = find_cases(tmp_path, label=3)
    assert (case.structures, case.label) == (known, 3)
    CohortFolder(tmp_path / "out").create([case])
    assert CohortFolder(tmp_path / "out").cases() == (case,)
    (tmp_path / "predictions" / "dataset.json").write_text('{"labels": {"myocardium": 1}}', encoding="utf-8")
    assert find_cases(tmp_path, segmentations="predictions")[0].structures == {"1": "myocardium"}
    assert find_cases(tmp_path, "imagesTr", "labelsTr/{case}.nii.gz")[0].structures == known
    (tmp_path / "dataset.json").write_text('{"labels": {', encoding="utf-8")
    with pytest.raises(InputError, match=r"dataset\.json, which names the labels, cannot be read"):
        find_cases(tmp_path)


def test_files_of_several_endings_are_cases_and_what_is_not_used_is_listed(tmp_path):
    touched(
        tmp_path, "imagesTs/a_0000.nii.gz", "imagesTs/b_0000.nii.gz", "imagesTs/c_0000.nrrd", "imagesTs/b_0001.nii.gz"
    )
    touched(
        tmp_path, "labelsTs/a.nii.gz", "labelsTs/b.nii.gz", "labelsTs/c.mha", "labelsTs/b.nrrd", "labelsTs/notes.txt"
    )
    touched(tmp_path, "imagesTs/d.nii.gz", "imagesTs/.hidden", "labelsTs/a.v2.seg.nrrd")
    (tmp_path / "labelsTs" / "e.mhd").write_text("ElementDataFile = e.raw\n", encoding="utf-8")
    touched(tmp_path, "labelsTs/e.raw")
    found = files_in_folder(tmp_path)
    assert [case.name for case in found.cases] == ["a", "b", "c", "e"]
    assert found.cases[2].image == tmp_path / "imagesTs/c_0000.nrrd"
    assert found.cases[2].segmentation == tmp_path / "labelsTs/c.mha"
    assert found.cases[3].image == tmp_path / "imagesTs/e_0000.nii.gz", "missing, as most are called"
    assert {path.name: reason.split(":")[0] for path, reason in found.unused.items()} == {
        "b_0001.nii.gz": "a further channel",
        "d.nii.gz": "its name does not end in _0000 and a known ending",
        "b.nrrd": "the case b has another file, b.nii.gz",
        "notes.txt": "not an image or a segmentation of a known ending",
        "a.v2.seg.nrrd": "a version that a reviewer saved",
    }


def test_predictions_may_lie_anywhere(tmp_path):
    touched(tmp_path, "data/imagesTs/a_0000.nii.gz", "elsewhere/predictions/a.nii.gz", "elsewhere/masks/a_seg.nrrd")
    for given in (
        str(tmp_path / "elsewhere/predictions"),
        "../elsewhere/predictions",
        str(tmp_path / "elsewhere/predictions/{case}.nii.gz"),
    ):
        (case,) = find_cases(tmp_path / "data", segmentations=given, images="imagesTs")
        assert case.segmentation == tmp_path / "elsewhere/predictions/a.nii.gz"
    (case,) = find_cases(tmp_path / "data", "imagesTs", "../elsewhere/masks/{case}_seg.nrrd")
    assert (case.name, case.segmentation) == ("a", tmp_path / "elsewhere/masks/a_seg.nrrd")


def test_one_label_for_all_is_for_folders(tmp_path):
    with pytest.raises(InputError, match="column label"):
        find_cases(manifest(tmp_path, "case,image,segmentation\nA,a,b\n"), label=2)


def test_a_pattern_says_where_the_name_stands(tmp_path):
    touched(
        tmp_path, "scans/a/a_t1.nrrd", "scans/b/b_t1.nrrd", "scans/c/x_t1.nrrd", "auto/a.seg.nrrd", "auto/d.seg.nrrd"
    )
    cases = find_cases(tmp_path, "scans/{case}/{case}_t1.nrrd", "auto/{case}.seg.nrrd")
    assert [case.name for case in cases] == ["a", "b", "d"], "a case that lacks one of its files is a case all the same"
    assert cases[0].image == tmp_path / "scans/a/a_t1.nrrd"


@pytest.mark.parametrize(
    ("images", "segmentations", "named"),
    [
        (None, None, "not in nnU-Net's layout"),
        ("none", "none", "neither a folder"),
        ("{case}.nrrd", "{case}.seg.nrrd", "does not hold a file like"),
        ("../none/{case}.nrrd", "{case}.seg.nrrd", "does not hold a file like"),
    ],
)
def test_a_folder_in_which_nothing_is_found_is_said(tmp_path, images, segmentations, named):
    with pytest.raises(InputError, match=named):
        find_cases(tmp_path, images, segmentations)


@pytest.mark.parametrize("before", ["sep=;\n", "\n\n", "\ufeffsep=;\r\n"])
def test_what_excel_puts_before_the_header_is_understood(tmp_path, before):
    text = before + "case;image;segmentation\na;i.nii;s.nii\n"
    (tmp_path / "m.csv").write_text(text, encoding="utf-8", newline="")
    assert [case.name for case in find_cases(tmp_path / "m.csv")] == ["a"]


def test_versions_that_reviewers_saved_are_no_cases(tmp_path):
    touched(tmp_path, "imagesTs/p1_0000.nrrd", "imagesTs/p2_0000.nrrd", "labelsTs/p1.nrrd", "labelsTs/p2.nrrd")
    before = find_cases(tmp_path)
    touched(tmp_path, "labelsTs/p1.v2.seg.nrrd", "labelsTs/p1.v3.seg.nrrd")
    assert find_cases(tmp_path) == before
    touched(tmp_path, "auto/a.seg.nrrd", "auto/a.v2.seg.nrrd", "auto/other.v2.seg.nrrd")
    cases = find_cases(tmp_path, "scans/{case}.nrrd", "auto/{case}.seg.nrrd")
    assert [case.name for case in cases] == ["a", "other.v2"], "without an original it is no version"


def test_a_file_name_that_is_no_text_is_named(tmp_path):
    touched(tmp_path, "imagesTs/p1_0000.nrrd", "labelsTs/p1.nrrd")
    try:
        touched(tmp_path, "labelsTs/" + b"M\xfcller.nrrd".decode("utf-8", "surrogateescape"))
    except OSError:
        pytest.skip("this file system has no such names")
    with pytest.raises(InputError, match="rename its files"):
        find_cases(tmp_path)
