"""Slicer's .seg.nrrd: names, codes, layers, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
import slicerio
from heart_files import write_heart, write_seg_nrrd

from SegQualityQCLib.demo import demo_reference
from SegQualityQCLib.errors import InputError
from SegQualityQCLib.reading.cases import read_cases


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The demo heart on disk in several formats."""
    return write_heart(tmp_path_factory.mktemp("files"))


SEGMENTS = [
    {"ID": "Segment_1", "Name": "right ventricle", "LabelValue": 1, "Layer": 0},
    {
        "ID": "Segment_2",
        "Name": "wall",
        "LabelValue": 2,
        "Layer": 0,
        "Tags": "TerminologyEntry:Segmentation category and type~SCT^123037004^Anatomical Structure"
        "~SCT^74281007^Myocardium~^^~Anatomic codes~^^~^^|",
    },
]


def test_a_seg_nrrd_keeps_its_names_and_codes(folder, tmp_path):
    write_seg_nrrd(tmp_path / "s.seg.nrrd", demo_reference(), SEGMENTS)
    cases = read_cases(folder / "image.nrrd", tmp_path / "s.seg.nrrd")
    assert [case.segment for case in cases] == ["right ventricle", "wall"]
    assert [case.terminology_code for case in cases] == [None, "74281007"]
    (case,) = read_cases(folder / "image.nrrd", tmp_path / "s.seg.nrrd", segment="wall")
    assert (sitk.GetArrayFromImage(case.mask) == (sitk.GetArrayFromImage(demo_reference()) == 2)).all()


def test_a_code_of_another_scheme_is_not_taken_for_a_snomed_code(folder, tmp_path):
    segments = [SEGMENTS[0], SEGMENTS[1] | {"Tags": SEGMENTS[1]["Tags"].replace("SCT^74281007", "SRT^T-32600")}]
    write_seg_nrrd(tmp_path / "s.seg.nrrd", demo_reference(), segments)
    assert [case.terminology_code for case in read_cases(folder / "image.nrrd", tmp_path / "s.seg.nrrd")] == [None] * 2


def test_overlapping_segments_are_read_from_their_layers(folder, tmp_path):
    reference = demo_reference()
    heart = sitk.Cast(reference > 0, sitk.sitkUInt8)
    layers = [sitk.GetArrayFromImage(layer).astype(np.uint8).T for layer in (reference == 2, heart)]
    ijk_to_lps = np.diag([*reference.GetSpacing(), 1.0])
    ijk_to_lps[:3, 3] = reference.GetOrigin()
    segments = [
        {"id": "a", "name": "myocardium", "labelValue": 1, "layer": 0},
        {"id": "b", "name": "heart", "labelValue": 1, "layer": 1},
    ]
    content = {"voxels": np.stack(layers), "ijkToLPS": ijk_to_lps, "segments": segments}
    slicerio.write_segmentation(str(tmp_path / "s.seg.nrrd"), content)
    myocardium, whole = read_cases(folder / "image.nrrd", tmp_path / "s.seg.nrrd")
    assert (sitk.GetArrayFromImage(whole.mask) == sitk.GetArrayFromImage(heart)).all()
    assert (sitk.GetArrayFromImage(myocardium.mask) == (sitk.GetArrayFromImage(reference) == 2)).all()


def test_a_cropped_segmentation_is_put_where_it_belongs(folder, tmp_path):
    cropped = demo_reference()[60:190, 60:200, 1:9]
    write_seg_nrrd(tmp_path / "s.seg.nrrd", cropped, SEGMENTS)
    (case,) = read_cases(folder / "image.nrrd", tmp_path / "s.seg.nrrd", segment="wall")
    expected = sitk.GetArrayFromImage(demo_reference()) == 2
    expected[:, :60] = expected[:, 200:] = False
    assert (sitk.GetArrayFromImage(case.mask) == expected).all()
    assert case.flags == ()


def test_an_empty_segment_among_several_does_not_stop_the_others(folder, tmp_path):
    segments = [*SEGMENTS, {"ID": "c", "Name": "nothing", "LabelValue": 9, "Layer": 0}]
    write_seg_nrrd(tmp_path / "s.seg.nrrd", demo_reference(), segments)
    assert len(read_cases(folder / "image.nrrd", tmp_path / "s.seg.nrrd")) == 2
    with pytest.raises(InputError, match=r"segment nothing of .* is empty: .*\(right ventricle \(1\), wall \(2\)\)"):
        read_cases(folder / "image.nrrd", tmp_path / "s.seg.nrrd", segment="nothing")


def test_of_two_segments_of_one_name_one_is_chosen_by_its_label(folder, tmp_path):
    write_seg_nrrd(tmp_path / "s.seg.nrrd", demo_reference(), [segment | {"Name": "Same"} for segment in SEGMENTS])
    with pytest.raises(InputError, match=r"several segments are called 'Same': choose one with --label \(Same \(1\), "):
        read_cases(folder / "image.nrrd", tmp_path / "s.seg.nrrd", segment="Same")
    (case,) = read_cases(folder / "image.nrrd", tmp_path / "s.seg.nrrd", label=2)
    assert (sitk.GetArrayFromImage(case.mask) == (sitk.GetArrayFromImage(demo_reference()) == 2)).all()


@pytest.mark.parametrize("content", [b"", b"NRRD0004\n", b"NRRD0004\ntype: uint8\nSegment0_LabelValue:=x\n", b"text"])
def test_a_damaged_seg_nrrd_is_refused(folder, tmp_path, content):
    (tmp_path / "s.seg.nrrd").write_bytes(content)
    with pytest.raises(InputError, match=r"s\.seg\.nrrd"):
        read_cases(folder / "image.nrrd", tmp_path / "s.seg.nrrd")


def test_names_that_are_not_ascii_are_kept(folder, tmp_path):
    names = ["Ventrículo", "心肌", "右心房LV"]
    segments = [{"ID": f"S{n}", "Name": name, "LabelValue": n, "Layer": 0} for n, name in enumerate(names, 1)]
    write_seg_nrrd(tmp_path / "s.seg.nrrd", demo_reference(), segments)
    assert [case.segment for case in read_cases(folder / "image.mha", tmp_path / "s.seg.nrrd")] == names
    (case,) = read_cases(folder / "image.mha", tmp_path / "s.seg.nrrd", segment="心肌")
    assert (sitk.GetArrayFromImage(case.mask) == (sitk.GetArrayFromImage(demo_reference()) == 2)).all()


@pytest.mark.parametrize("numbers", [(1, 2, 3), (0, 2, 11)])
def test_names_belong_to_their_segments_however_these_are_numbered(folder, tmp_path, numbers):
    image = demo_reference()
    for label, number in enumerate(numbers, 1):
        for key, value in {"ID": f"S{label}", "Name": f"name {label}", "LabelValue": label, "Layer": 0}.items():
            image.SetMetaData(f"Segment{number}_{key}", str(value))
    sitk.WriteImage(image, str(tmp_path / "s.seg.nrrd"))
    reference = sitk.GetArrayFromImage(demo_reference())
    for case in read_cases(folder / "image.mha", tmp_path / "s.seg.nrrd"):
        label = int(case.segment.removeprefix("name "))
        assert (sitk.GetArrayFromImage(case.mask) == (reference == label)).all()


def test_a_segment_without_a_name_goes_by_its_identifier(folder, tmp_path):
    write_seg_nrrd(tmp_path / "s.seg.nrrd", demo_reference(), [{"ID": "S2", "Name": "", "LabelValue": 2, "Layer": 0}])
    assert [case.segment for case in read_cases(folder / "image.mha", tmp_path / "s.seg.nrrd")] == ["S2"]
