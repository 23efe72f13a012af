"""The worklist in the panel: the worst case is opened with its scores, corrected, saved as a new version, decided."""

import csv
import shutil
import sqlite3
from contextlib import closing
from functools import partial

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from slicer_harness.application import open_panel, process_events, start
from slicer_harness.editing import edit_slice

from SegQualityQCLib.case.case import Case
from SegQualityQCLib.cohort.case_result import CaseResult, request_of
from SegQualityQCLib.cohort.manifest import find_cases
from SegQualityQCLib.cohort.results import CohortFolder
from SegQualityQCLib.demo import demo_images
from SegQualityQCLib.estimators.loading import load_estimator
from SegQualityQCLib.review.worklist import ReviewStatus, Worklist
from SegQualityQCLib.scene.images import add_segmentation, add_volume
from SegQualityQCLib.scene.navigation import shown_slice


@pytest.fixture(scope="module")
def cohort_files(tmp_path_factory):
    """Two cases on disk: the demo heart, and the same one with all slices shifted far off."""
    folder = tmp_path_factory.mktemp("cohort")
    image, labels = demo_images()
    labels = labels > 0
    pixels = np.roll(sitk.GetArrayFromImage(labels), 12, axis=1)
    bad = sitk.GetImageFromArray(pixels)
    bad.CopyInformation(labels)
    sitk.WriteImage(image, str(folder / "image.nii.gz"))
    sitk.WriteImage(labels, str(folder / "better.nii.gz"))
    sitk.WriteImage(bad, str(folder / "worse.nii.gz"))
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["case", "image", "segmentation"])
        writer.writerow(["better", "image.nii.gz", "better.nii.gz"])
        writer.writerow(["worse", "image.nii.gz", "worse.nii.gz"])
    reports = {
        name: load_estimator().assess(Case.from_images(image, mask, segment="label 1"))
        for name, mask in (("better", labels), ("worse", bad))
    }
    return folder, reports


@pytest.fixture
def cohort(cohort_files, tmp_path):
    source, reports = cohort_files
    for file in source.iterdir():
        shutil.copy(file, tmp_path)
    cases = find_cases(tmp_path / "manifest.csv")
    results = CohortFolder(tmp_path / "results")
    results.create(cases)
    for case in cases:
        results.write(CaseResult(case.name, request_of(case, None), (reports[case.name],), None, 0.1), [])
    return tmp_path


@pytest.fixture
def panel():
    widget = open_panel(start())
    widget.ui.reviewerEdit.setText("Dr A")
    yield widget.panel
    widget.cleanup()


def opened(panel, folder):
    panel.ui.worklistPath.setText(str(folder))
    panel.ui.openWorklistButton.click()
    assert panel.ui.statusLabel.text() == ""
    return panel


def settle(panel):
    process_events(lambda: not panel.steps.running)


def test_next_opens_the_worst_case_with_its_stored_scores(panel, cohort):
    opened(panel, cohort / "results").ui.nextCaseButton.click()
    assert panel.worklist.case.name == "worse"
    assert panel.ui.resultsTable.rowCount() == 10
    assert panel.ui.summaryLabel.text().startswith("label 1: Dice 0.")
    composite = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
    assert composite.GetBackgroundVolumeID() == panel.parameters.volume.GetID()


def test_next_passes_over_cases_that_were_left_undecided_until_no_other_is_left(panel, cohort):
    opened(panel, cohort / "results")
    seen = []
    for _ in range(4):
        panel.ui.nextCaseButton.click()
        seen.append(panel.worklist.case.name)
    assert seen == ["worse", "better", "worse", "better"]


def test_scores_of_a_segmentation_that_was_replaced_since_are_not_shown(panel, cohort, cohort_files):
    _, cohort_reports = cohort_files
    shutil.copy(cohort / "better.nii.gz", cohort / "worse.nii.gz")
    opened(panel, cohort / "results").ui.nextCaseButton.click()
    settle(panel)
    assert panel.worklist.case.name == "worse"
    (report,) = panel.results.reports.values()
    assert report.volume.dice == pytest.approx(cohort_reports["better"].volume.dice, abs=1e-6)


def test_edits_after_the_decision_are_asked_for_and_saved(panel, cohort):
    opened(panel, cohort / "results").ui.nextCaseButton.click()
    panel.ui.acceptCaseButton.click()
    assert Worklist.open(cohort / "results", "Dr B").case("worse").status is ReviewStatus.ACCEPTED
    node = panel.parameters.segmentation
    edit_slice(node, node.GetSegmentation().GetNthSegmentID(0), 6, lambda pixels: pixels * 0)
    slicer.answers = [True]
    panel.ui.nextCaseButton.click()
    assert slicer.answers == []
    assert (cohort / "worse.v2.seg.nrrd").is_file()
    case = Worklist.open(cohort / "results", "Dr B").case("worse")
    assert (case.status, case.saved.name) == (ReviewStatus.CORRECTED, "worse.v2.seg.nrrd")
    assert panel.worklist.case.name == "better"


def test_edits_after_the_decision_do_not_undo_what_somebody_decided_since(panel, cohort):
    opened(panel, cohort / "results").ui.nextCaseButton.click()
    panel.ui.acceptCaseButton.click()
    node = panel.parameters.segmentation
    edit_slice(node, node.GetSegmentation().GetNthSegmentID(0), 6, lambda pixels: pixels * 0)
    other = Worklist.open(cohort / "results", "Dr B")
    other.open_case("worse")
    other.decide("worse", ReviewStatus.FLAGGED, "wrong patient")
    slicer.answers = [True]
    panel.ui.nextCaseButton.click()
    case = other.case("worse")
    assert (case.status, case.reviewer, case.comment) == (ReviewStatus.FLAGGED, "Dr B", "wrong patient")
    assert (cohort / "worse.v2.seg.nrrd").is_file()
    assert panel.worklist.case.name == "better"


def test_a_case_that_was_taken_over_is_saved_and_left(panel, cohort):
    opened(panel, cohort / "results").ui.nextCaseButton.click()
    Worklist.open(cohort / "results", "Dr B").open_case("worse", take_over=True)
    node = panel.parameters.segmentation
    edit_slice(node, node.GetSegmentation().GetNthSegmentID(0), 6, lambda pixels: pixels * 0)
    panel.ui.saveCaseButton.click()
    assert "worse.v2.seg.nrrd" in panel.ui.statusLabel.text()
    assert "Dr B" in panel.ui.statusLabel.text()
    panel.ui.nextCaseButton.click()
    assert panel.worklist.case.name == "better"
    assert Worklist.open(cohort / "results", "Dr C").case("worse").reviewer == "Dr B"


def test_a_segment_is_chosen_by_its_label_also_where_it_has_a_name(panel, cohort):
    _, labels = demo_images()
    for key, value in {"ID": "S2", "Name": "wall", "LabelValue": 2, "Layer": 0}.items():
        labels.SetMetaData(f"Segment0_{key}", str(value))
    for key, value in {"ID": "S7", "Name": "other", "LabelValue": 7, "Layer": 0}.items():
        labels.SetMetaData(f"Segment1_{key}", str(value))
    sitk.WriteImage(labels, str(cohort / "named.seg.nrrd"))
    (cohort / "m.csv").write_text("case,image,segmentation,label\na,image.nii.gz,named.seg.nrrd,2\n")
    opened(panel, cohort / "m.csv").ui.nextCaseButton.click()
    settle(panel)
    assert [report.case.segment for report in panel.results.reports.values()] == ["wall"]


@pytest.fixture
def timers(monkeypatch):
    """What the panel left to do later: (milliseconds, action)."""
    left = []
    monkeypatch.setattr("qt.QTimer.singleShot", lambda ms, action: left.append((ms, action)))
    return left


def last_sign_of_life(worklist_file):
    with closing(sqlite3.connect(worklist_file)) as db:
        return db.execute("SELECT max(seen) FROM sessions").fetchone()[0]


def test_a_sign_of_life_that_fails_is_followed_by_the_next(panel, cohort, timers, monkeypatch):
    monkeypatch.setattr(Worklist, "open", partial(Worklist.open, patience_s=0.1))
    opened(panel, cohort / "results")
    file = Worklist.open(cohort / "results", "Dr B", read_only=True).path
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        _, action = timers.pop()
        action()
        other.execute("ROLLBACK")
    before = last_sign_of_life(file)
    ((pause, action),) = timers
    assert pause == 60_000
    action()
    assert last_sign_of_life(file) > before


def test_a_manifest_without_scores_is_assessed_when_a_case_is_opened(panel, cohort):
    opened(panel, cohort / "manifest.csv").ui.nextCaseButton.click()
    settle(panel)
    assert slicer.errors == []
    assert panel.worklist.case.name == "better"
    assert panel.ui.resultsTable.rowCount() == 10
    assert panel.table.selected == panel.table.rows[0]
    red = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    assert shown_slice(red, panel.parameters.volume, "k") == panel.table.rows[0][1]


def test_a_case_without_scores_is_brought_into_view_before_it_is_assessed(panel, cohort):
    image = sitk.ReadImage(str(cohort / "image.nii.gz"))
    image.SetOrigin((400, -300, 900))
    labels = sitk.ReadImage(str(cohort / "better.nii.gz"))
    labels.SetOrigin((400, -300, 900))
    sitk.WriteImage(image, str(cohort / "far.nii.gz"))
    sitk.WriteImage(labels, str(cohort / "far-labels.nii.gz"))
    (cohort / "far.csv").write_text("case,image,segmentation\nfar,far.nii.gz,far-labels.nii.gz\n")
    opened(panel, cohort / "far.csv").ui.nextCaseButton.click()
    bounds = [0.0] * 6
    panel.parameters.volume.GetRASBounds(bounds)
    for name in ("Red", "Green", "Yellow"):
        to_ras = slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode().GetSliceToRAS()
        for row in range(3):
            assert bounds[2 * row] <= to_ras.GetElement(row, 3) <= bounds[2 * row + 1]


def test_a_corrected_case_is_saved_beside_the_original_and_decided(panel, cohort):
    opened(panel, cohort / "results").ui.nextCaseButton.click()
    original = (cohort / "worse.nii.gz").read_bytes()
    segmentation = panel.parameters.segmentation
    key = segmentation.GetSegmentation().GetNthSegmentID(0)
    edit_slice(segmentation, key, 6, lambda pixels: np.roll(pixels, -12, axis=0))
    panel.ui.commentEdit.setText("shifted")
    panel.ui.acceptCaseButton.click()
    assert (cohort / "worse.nii.gz").read_bytes() == original
    assert (cohort / "worse.v2.seg.nrrd").is_file()
    case = Worklist.open(cohort / "results", "Dr B").case("worse")
    assert (case.status, case.reviewer, case.comment) == (ReviewStatus.CORRECTED, "Dr A", "shifted")
    assert "1 of 2 cases decided" in panel.ui.worklistLabel.text()
    panel.ui.nextCaseButton.click()
    assert panel.worklist.case.name == "better"
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 2  # the image and its overlay


def test_a_decision_on_another_segmentation_is_none_on_the_open_case(panel, cohort):
    opened(panel, cohort / "results").ui.nextCaseButton.click()
    image, labels = demo_images()
    volume = add_volume(slicer.mrmlScene, image, "other image")
    other = add_segmentation(slicer.mrmlScene, labels, volume, "other", ["LV myocardium"])
    panel.parameters.segmentation = other
    panel.ui.assessButton.click()
    settle(panel)
    panel.ui.acceptCaseButton.click()
    assert panel.results.reviews.case.decision == "accepted"
    assert Worklist.open(cohort / "results", "Dr B").case("worse").status is ReviewStatus.IN_PROGRESS
    assert panel.worklist.case.name == "worse"


def test_unsaved_corrections_are_asked_for_before_the_next_case(panel, cohort):
    opened(panel, cohort / "results").ui.nextCaseButton.click()
    segmentation = panel.parameters.segmentation
    key = segmentation.GetSegmentation().GetNthSegmentID(0)
    edit_slice(segmentation, key, 6, lambda pixels: pixels * 0)
    slicer.answers = [True]
    panel.ui.nextCaseButton.click()
    assert slicer.answers == []
    assert (cohort / "worse.v2.seg.nrrd").is_file()


def test_a_segment_that_was_removed_is_asked_for_before_the_next_case(panel, cohort):
    mask = sitk.ReadImage(str(cohort / "worse.nii.gz"))
    layers = sitk.Compose(sitk.Image(mask), mask)
    for n, name in enumerate(("needed", "superfluous")):
        for field, value in {"ID": name, "Name": name, "LabelValue": "1", "Layer": str(n)}.items():
            layers.SetMetaData(f"Segment{n}_{field}", value)
    sitk.WriteImage(layers, str(cohort / "two.seg.nrrd"))
    (cohort / "two.csv").write_text("case,image,segmentation\ntwo,image.nii.gz,two.seg.nrrd\n")
    opened(panel, cohort / "two.csv").ui.nextCaseButton.click()
    settle(panel)
    segmentation = panel.parameters.segmentation.GetSegmentation()
    assert (segmentation.GetNumberOfSegments(), segmentation.GetNumberOfLayers()) == (2, 2)
    segmentation.RemoveSegment(segmentation.GetNthSegmentID(0))
    slicer.answers = [True]
    panel.ui.nextCaseButton.click()
    assert slicer.answers == []
    assert (cohort / "two.v2.seg.nrrd").is_file()


def test_two_windows_never_get_the_same_case(panel, cohort):
    other = Worklist.open(cohort / "results", "Dr B")
    assert other.next().name == "worse"
    opened(panel, cohort / "results").ui.nextCaseButton.click()
    assert panel.worklist.case.name == "better"
    panel.ui.worklistTable.setCurrentCell(0, 0)
    slicer.answers = [False]
    panel.ui.openCaseButton.click()
    assert other.case("worse").reviewer == "Dr B"


def test_closing_the_scene_puts_the_case_back(panel, cohort):
    opened(panel, cohort / "results").ui.nextCaseButton.click()
    slicer.mrmlScene.Clear(0)
    assert Worklist.open(cohort / "results", "Dr B").case("worse").status is ReviewStatus.TODO


@pytest.mark.parametrize("way", ["closing the scene", "leaving Slicer"])
def test_corrections_are_saved_when_the_case_goes_without_a_question(panel, cohort, way):
    opened(panel, cohort / "results").ui.nextCaseButton.click()
    original = (cohort / "worse.nii.gz").read_bytes()
    node = panel.parameters.segmentation
    edit_slice(node, node.GetSegmentation().GetNthSegmentID(0), 6, lambda pixels: pixels * 0)
    if way == "closing the scene":
        slicer.mrmlScene.Clear(0)
    else:
        slicer.modules.SegQualityQCWidget.cleanup()
    assert "worse.v2.seg.nrrd" in panel.ui.statusLabel.text()
    assert (cohort / "worse.v2.seg.nrrd").is_file()
    assert (cohort / "worse.nii.gz").read_bytes() == original
    case = Worklist.open(cohort / "results", "Dr B").case("worse")
    assert (case.status, case.saved.name) == (ReviewStatus.TODO, "worse.v2.seg.nrrd")


def test_leaving_slicer_puts_the_case_back_and_gives_no_more_sign_of_life(panel, cohort, timers):
    opened(panel, cohort / "results").ui.nextCaseButton.click()
    slicer.modules.SegQualityQCWidget.cleanup()
    other = Worklist.open(cohort / "results", "Dr B")
    assert other.case("worse").status is ReviewStatus.TODO
    assert not list(cohort.glob("*.v2.*"))
    before = last_sign_of_life(other.path)
    for _, action in [timers.pop() for _ in range(len(timers))]:
        action()
    assert last_sign_of_life(other.path) == before
    assert timers == []


def test_after_the_scene_is_closed_the_worklist_goes_on(panel, cohort):
    opened(panel, cohort / "results").ui.nextCaseButton.click()
    slicer.mrmlScene.Clear(0)
    panel.ui.nextCaseButton.click()
    assert panel.worklist.case.name == "worse"


def test_a_vanished_file_is_one_sentence_and_leaves_the_scene_as_it_was(panel, cohort):
    (cohort / "worse.nii.gz").unlink()
    opened(panel, cohort / "results").ui.nextCaseButton.click()
    assert "worse.nii.gz does not exist" in panel.ui.statusLabel.text()
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0
    assert Worklist.open(cohort / "results", "Dr B").case("worse").status is ReviewStatus.TODO


def test_next_passes_over_a_case_that_cannot_be_loaded(panel, cohort):
    (cohort / "worse.nii.gz").unlink()
    opened(panel, cohort / "results").ui.nextCaseButton.click()
    panel.ui.nextCaseButton.click()
    assert panel.worklist.case.name == "better"


def one_slice(image):
    return image[:, :, 6]


def one_of_four_dimensions(image):
    return sitk.JoinSeries(image)


@pytest.mark.parametrize("change", [one_slice, one_of_four_dimensions])
def test_a_case_opens_also_where_its_image_is_not_3d_in_its_file(panel, cohort, change):
    for name in ("image", "worse"):
        sitk.WriteImage(change(sitk.ReadImage(str(cohort / f"{name}.nii.gz"))), str(cohort / f"flat-{name}.nrrd"))
    if change is one_of_four_dimensions:
        shutil.copy(cohort / "worse.nii.gz", cohort / "flat-worse.nii.gz")
    segmentation = "flat-worse.nii.gz" if change is one_of_four_dimensions else "flat-worse.nrrd"
    (cohort / "flat.csv").write_text(f"case,image,segmentation\nflat,flat-image.nrrd,{segmentation}\n")
    opened(panel, cohort / "flat.csv").ui.nextCaseButton.click()
    settle(panel)
    (report,) = panel.results.reports.values()
    assert report.case.slices == (1 if change is one_slice else 10)


def test_a_colour_picture_in_the_place_of_an_image_is_one_sentence(panel, cohort):
    grey = sitk.ReadImage(str(cohort / "image.nii.gz"))
    sitk.WriteImage(sitk.Compose(grey, grey, grey), str(cohort / "image.nii.gz"))
    opened(panel, cohort / "results").ui.nextCaseButton.click()
    assert "several values per pixel" in panel.ui.statusLabel.text()
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0
