"""What version 0.1.0 saved still opens, and its numbers are predicted again."""

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from slicer_harness.editing import edit_slice
from slicer_harness.scenes import new_scene

from SegQualityQCLib.case.case import Case
from SegQualityQCLib.cohort.results import CohortFolder
from SegQualityQCLib.demo import demo_case
from SegQualityQCLib.estimators.loading import EstimatorCache, load_estimator
from SegQualityQCLib.review.worklist import ReviewStatus, Worklist
from SegQualityQCLib.scene.originals import restore_slice
from SegQualityQCLib.scene.rescoring import EditedCases, iter_rescore
from SegQualityQCLib.scene.result_nodes import TABLE, existing_node, nodes_of_class
from SegQualityQCLib.scene.stored_results import assessed_volume, read_results

SAVED = Path(__file__).parent / "saved_by_0_1_0"
REPORTS = json.loads((SAVED / "reports.json").read_text(encoding="utf-8"))
STRUCTURES = {1: "RV cavity", 2: "LV myocardium", 3: "LV cavity"}
PATIENTS = sorted({name.split()[0] for name in REPORTS if name.startswith("patient")})


def check_numbers(report, before):
    after = {
        "volume": [report.volume.dice, report.volume.low, report.volume.high],
        "slices": [[s.index, s.dice, s.low, s.high, s.area_mm2] for s in report.slices],
        "order": list(report.order),
    }
    assert after["order"] == before["order"]
    for new, old in zip([after["volume"], *after["slices"]], [before["volume"], *before["slices"]], strict=True):
        assert [value is None for value in new] == [value is None for value in old]
        numbers = [(a, b) for a, b in zip(new, old, strict=True) if a is not None]
        assert [a for a, _ in numbers] == pytest.approx([b for _, b in numbers], abs=1e-6)


@pytest.mark.parametrize("model", [name.split()[1] for name in REPORTS if name.startswith("sample")])
def test_the_sample_has_the_scores_that_it_had(model):
    check_numbers(load_estimator(model, "cpu").assess(demo_case()), REPORTS[f"sample {model}"])


@pytest.fixture(scope="module")
def estimators():
    return EstimatorCache(device="cpu")


@pytest.mark.parametrize("patient", PATIENTS)
def test_real_patients_have_the_scores_that_they_had(acdc_root, estimators, patient):
    folder = acdc_root / "training" / patient
    image_file = min(path for path in folder.glob("*_frame*.nii.gz") if "_gt" not in path.name)
    image = sitk.ReadImage(str(image_file))
    reference = sitk.GetArrayFromImage(sitk.ReadImage(str(image_file).replace(".nii.gz", "_gt.nii.gz")))
    for label, name in STRUCTURES.items():
        moved = np.roll(reference == label, (2, 1), axis=(1, 2))
        moved[len(moved) // 2] = False
        mask = sitk.GetImageFromArray(moved.astype(np.uint8))
        mask.CopyInformation(image)
        case = Case.from_images(image, mask, label=1, segment=name)
        check_numbers(estimators.for_case(case).assess(case), REPORTS[f"{patient} {name}"])


@pytest.fixture
def scene(tmp_path):
    with zipfile.ZipFile(SAVED / "scene.mrb") as archive:
        archive.extractall(tmp_path)
    scene = new_scene()
    scene.SetURL(str(tmp_path / "scene" / "scene.mrml"))
    assert scene.Connect()
    return scene


def test_a_saved_scene_opens_with_its_results_and_goes_on(scene):
    (segmentation,) = (
        node for node in nodes_of_class(scene, "vtkMRMLSegmentationNode") if existing_node(node, TABLE) is not None
    )
    results = read_results(segmentation)
    ((key, report),) = results.reports.items()
    assert [score.index for score in report.slices] == list(range(10))
    assert report.order[0] == 4
    review = results.reviews.of(key, 4)
    assert (review.decision, review.reviewer, review.comment) == ("flagged", "Dr. Example", "a gap")
    volume = assessed_volume(segmentation)
    assert volume.GetName() == "DemoHeart"
    assert list(iter_rescore(segmentation, EstimatorCache(), EditedCases(), threshold=0.7)) == []  # nothing was edited
    edit_slice(segmentation, key, 6, np.zeros_like)
    (*_, last) = iter_rescore(segmentation, EstimatorCache(), EditedCases(), threshold=0.7)
    assert last.reports[key].slice(6).status.value == "gap"
    restore_slice(segmentation, volume, key, "k", 6)
    (*_, last) = iter_rescore(segmentation, EstimatorCache(), EditedCases(), threshold=0.7)
    assert last.reports[key].slice(6).dice == pytest.approx(report.slice(6).dice, abs=1e-5)


@pytest.fixture
def cohort(tmp_path):
    return Path(shutil.copytree(SAVED / "cohort", tmp_path / "cohort"))


def test_a_saved_cohort_is_read_and_its_tables_are_written_as_before(cohort):
    store = CohortFolder(cohort)
    results = {case.name: result for case, result in store.results()}
    assert results["missing"].error.endswith("does not exist: check the path.")
    (report,) = results["heart"].reports
    assert report.gaps == 1
    tables = {name: (cohort / name).read_text(encoding="utf-8") for name in ("cases.csv", "slices.csv", "errors.csv")}
    store.write_tables(0.7)
    assert {name: (cohort / name).read_text(encoding="utf-8") for name in tables} == tables


def test_a_saved_worklist_keeps_its_decisions_and_goes_on(cohort):
    worklist = Worklist.open(cohort, "Dr. Other")
    heart = worklist.case("heart")
    assert (heart.status, heart.reviewer, heart.comment) == (ReviewStatus.CORRECTED, "Dr. Example", "apex redrawn")
    assert heart.dice == pytest.approx(0.6425, abs=1e-4)
    assert heart.worst_slice == 4
    assert worklist.next().name == "missing"
