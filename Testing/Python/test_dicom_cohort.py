"""Cohorts of DICOM: a folder per case, whose series and SEG or RTSTRUCT are found by their identifiers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_files import enhanced, rtstruct_of, seg_of, series_of, write, write_series
from test_dicom_contours import in_space, square
from test_dicom_seg import turned

from SegQualityQCLib.cohort.case_result import request_of
from SegQualityQCLib.cohort.manifest import CohortCase, find_cases, read_manifest
from SegQualityQCLib.cohort.results import CohortFolder
from SegQualityQCLib.cohort.scoring import ScoringOptions, score_case
from SegQualityQCLib.demo import demo_images, demo_reference
from SegQualityQCLib.errors import InputError
from SegQualityQCLib.reading.cases import read_cases

IMAGE = turned((10, 20, 30), (4, 10, 10))
MASK = np.zeros((4, 10, 10), bool)
MASK[1:3, 2:6, 2:6] = True


def write_study(folder: Path) -> Path:
    """A series and a SEG in one folder, in folders of their own, with a second series, an RTSTRUCT, two SEG, none."""
    write_series(IMAGE, folder / "flat")
    write(seg_of(IMAGE, [MASK]), folder / "flat" / "drawn.dcm")
    write_series(IMAGE, folder / "nested" / "scan")
    write_series(turned((0, 0, 0), (4, 10, 10)), folder / "nested" / "another", series="9")
    (folder / "nested" / "seg").mkdir()
    write(seg_of(IMAGE, [MASK]), folder / "nested" / "seg" / "1.dcm")
    write_series(IMAGE, folder / "contours" / "scan")
    contours = [in_space(square(2, 5), IMAGE, k) for k in (1, 2)]
    write(rtstruct_of({"wall": contours}), folder / "contours" / "rt")
    write_series(IMAGE, folder / "two" / "scan")
    for name in ("a", "b"):
        write(seg_of(IMAGE, [MASK]), folder / "two" / f"{name}.dcm")
    write_series(IMAGE, folder / "undrawn")
    (folder / "empty").mkdir()
    return folder


def test_a_folder_per_case_is_found_by_the_identifiers(tmp_path):
    cases = {case.name: case for case in find_cases(write_study(tmp_path))}
    assert sorted(cases) == ["contours", "flat", "nested", "two a", "two b", "undrawn"]
    assert cases["nested"].image == tmp_path / "nested" / "scan"
    for name in set(cases) - {"undrawn"}:
        (case,) = read_cases(cases[name].image, cases[name].segmentation)
        assert (sitk.GetArrayFromImage(case.mask) == MASK).all()
        assert (sitk.GetArrayFromImage(case.image) == sitk.GetArrayFromImage(IMAGE)).all()
    with pytest.raises(InputError, match="no DICOM SEG or RTSTRUCT here does not exist"):
        read_cases(cases["undrawn"].image, cases["undrawn"].segmentation)


def test_a_case_whose_series_is_not_there_gets_a_reason_and_a_damaged_one_does_not_stop_the_others(tmp_path):
    for series in ("8", "9"):
        write_series(IMAGE, tmp_path / "lost" / series, series=series, frame_of_reference=series)
    write(seg_of(IMAGE, [MASK], source=series_of(IMAGE)), tmp_path / "lost" / "seg.dcm")
    write_series(IMAGE, tmp_path / "sound")
    path = write(seg_of(IMAGE, [MASK]), tmp_path / "sound" / "seg.dcm")
    for name in ("scan", "more"):
        write_series(IMAGE, tmp_path / "damaged" / name)
    (tmp_path / "damaged" / "seg.dcm").write_bytes(path.read_bytes()[:900])
    cases = {case.name: case for case in find_cases(tmp_path)}
    assert sorted(cases) == ["damaged", "lost", "sound"]
    for name in ("damaged", "lost"):
        with pytest.raises(InputError):
            read_cases(cases[name].image, cases[name].segmentation)
    assert len(read_cases(cases["sound"].image, cases["sound"].segmentation)) == 1


def test_a_worker_scores_a_dicom_case_and_the_frame_of_the_manifest(tmp_path):
    image = sitk.Cast(demo_images()[0], sitk.sitkInt16)
    mask = sitk.GetArrayFromImage(demo_reference()) == 2
    frames = [(phase, k) for phase in range(2) for k in range(image.GetSize()[2])]
    write(enhanced([image, image // 2], frames), tmp_path / "cine.dcm")
    write(seg_of(image, [mask], names=["LV myocardium"]), tmp_path / "seg.dcm")
    (tmp_path / "manifest.csv").write_text("case,image,segmentation,frame\nA,cine.dcm,seg.dcm,2\nB,cine.dcm,seg.dcm,\n")
    chosen, unchosen = read_manifest(tmp_path / "manifest.csv")
    scored = score_case(chosen, ScoringOptions("acdc-lv-myocardium-direct", "cpu")).result
    assert scored.error is None
    assert scored.reports[0].volume.dice > 0.5
    assert "choose one with --frame N (in a manifest: the column frame)" in (
        score_case(unchosen, ScoringOptions("acdc-lv-myocardium-direct", "cpu")).result.error or ""
    )


def test_a_frame_is_kept_with_the_cohort_and_asked_for_again(tmp_path):
    cases = [CohortCase("a", tmp_path / "i", tmp_path / "s", frame=3), CohortCase("b", tmp_path / "i", tmp_path / "s")]
    store = CohortFolder(tmp_path / "results")
    store.create(cases)
    assert [case.frame for case in store.cases()] == [3, None]
    assert request_of(cases[0], None)["frame"] == 3
    assert "frame" not in request_of(cases[1], None)


@pytest.mark.parametrize("frame", ["0", "-1", "1.5", "last"])
def test_a_frame_that_is_no_number_names_its_line(tmp_path, frame):
    path = tmp_path / "manifest.csv"
    path.write_text(f"case,image,segmentation,frame\na,i,s,{frame}\n")
    with pytest.raises(InputError, match=r"Line 2 of manifest\.csv has the frame"):
        read_manifest(path)
