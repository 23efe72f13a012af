"""What every family of estimators promises: each one of the registry runs the same tests.

The toy family shows what a new one takes; it runs through the command, a cohort and the module's logic as well.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import toy_family
from cohort_cases import some_cases
from compared_scores import alike, edited, values
from typer.testing import CliRunner
from uncertain_cases import equipped, write_calibrated_bundle

from SegQualityQCLib.bundles.bundle import ModelBundle
from SegQualityQCLib.bundles.catalogue import available_bundles
from SegQualityQCLib.bundles.header import BundleHeader
from SegQualityQCLib.case.case import Case
from SegQualityQCLib.cli.main import app
from SegQualityQCLib.demo import demo_images
from SegQualityQCLib.errors import BundleError, InputError
from SegQualityQCLib.estimators.built_in import built_in_bundle
from SegQualityQCLib.estimators.loading import load_estimator
from SegQualityQCLib.estimators.registry import FAMILIES, family_of, settings_of
from SegQualityQCLib.report.codes import Measure
from SegQualityQCLib.report.report import QualityReport, Status

MYOCARDIUM = 2
SEGMENT = "LV myocardium"
FLIPS = ((False, False, False), (True, False, True))
STORAGES = list(zip(itertools.permutations(range(3)), itertools.cycle(FLIPS), strict=False))


NEED_NO_TRAINING = [name for name, family in FAMILIES.items() if family.built_in]
NOT_CALIBRATED = {f"{name}, not calibrated": name for name in NEED_NO_TRAINING}


@pytest.fixture(scope="module", autouse=True)
def toys():
    """Registers the toy families."""
    FAMILIES["toy"], FAMILIES["toy-probabilities"] = toy_family.TOY, toy_family.PROBABILISTIC_TOY
    yield
    del FAMILIES["toy"], FAMILIES["toy-probabilities"]


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """A bundle of each family; those that need no training are tried with and without calibration."""
    found = {}
    for folder in available_bundles():
        bundle = ModelBundle.load(folder)
        if bundle.target_for(None, SEGMENT):
            found.setdefault(bundle.header.family, bundle)
    for family in NEED_NO_TRAINING:
        folder = write_calibrated_bundle(tmp_path_factory.mktemp(family) / "calibrated", family)
        found[family] = ModelBundle.load(folder)
    for family in ("toy", "toy-probabilities"):
        found[family] = ModelBundle.load(toy_family.write_toy_bundle(tmp_path_factory.mktemp(family) / "toy", family))
    return found


@pytest.fixture(scope="module", params=[*FAMILIES, "toy", *NOT_CALIBRATED])
def estimator(request, bundles):
    built_in = NOT_CALIBRATED.get(request.param)
    return load_estimator(built_in_bundle(built_in) if built_in else bundles[request.param], "cpu")


@pytest.fixture(scope="module")
def images():
    return demo_images()


@pytest.fixture(scope="module")
def bare_case(images):
    return Case.from_images(*images, label=MYOCARDIUM, segment=SEGMENT)


@pytest.fixture(scope="module")
def case(bare_case):
    return equipped(bare_case)


@pytest.fixture(scope="module")
def report(estimator, case):
    return estimator.assess(case)


def scored(report: QualityReport) -> list[int]:
    return [score.index for score in report.slices if score.status is Status.SCORED]


def test_each_family_of_the_registry_has_a_bundle_to_be_tried_with(bundles):
    assert set(FAMILIES) == set(bundles)


def test_it_requires_what_the_registry_says_and_is_named_as_its_bundle(estimator):
    bundle = estimator.bundle
    assert estimator.requires == family_of(bundle).requires
    assert (estimator.identity.name, estimator.identity.sha256) == (bundle.name, bundle.sha256)
    assert estimator.targets == bundle.header.targets
    assert bool(estimator.targets) == (estimator.measure is Measure.PREDICTED_DICE)


def test_header_and_settings_read_what_they_write(estimator):
    bundle = estimator.bundle
    if not bundle.header.targets:
        with pytest.raises(ValueError, match="names no target"):  # on disk, a bundle must say what it knows
            BundleHeader.from_metadata(bundle.header.to_metadata())
        assert built_in_bundle(bundle.header.family).sha256 == bundle.sha256
        return
    header = BundleHeader.from_metadata(bundle.header.to_metadata())
    assert header == bundle.header
    settings = settings_of(bundle)
    again = settings.read(settings.to_block(), bundle.header.checksums.keys())
    assert again.to_block() == settings.to_block()


def test_each_slice_has_one_score_and_a_number_only_where_it_is_scored(report, case):
    assert [score.index for score in report.slices] == list(range(case.n_slices))
    assert scored(report)
    for score in report.slices:
        if score.status is Status.SCORED:
            assert 0 <= score.dice <= 1
            assert (score.low is None) == (score.high is None) == (not report.is_calibrated)
            assert not report.is_calibrated or 0 <= score.low <= score.dice <= score.high <= 1
        else:
            assert (score.dice, score.low, score.high) == (None, None, None)
    assert 0 <= report.volume.dice <= 1
    assert not report.is_calibrated or 0 <= report.volume.low <= report.volume.dice <= report.volume.high <= 1
    assert ("not_calibrated" in report.flags) == (not report.is_calibrated)


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_the_batch_size_changes_no_score(estimator, case, report, batch_size):
    again = estimator.assess(case, batch_size=batch_size)
    assert [values(score) for score in again.slices] == [alike(score) for score in report.slices]


def test_a_batch_of_no_slices_is_refused(estimator, case):
    with pytest.raises(InputError, match="batch size 0"):
        estimator.assess(case, batch_size=0)


@pytest.mark.parametrize(("order", "flips"), STORAGES)
def test_the_way_an_image_is_stored_changes_no_score_of_a_physical_slice(estimator, images, report, order, flips):
    stored = [sitk.Flip(sitk.PermuteAxes(image, order), flips) for image in images]
    case = equipped(Case.from_images(*stored, label=MYOCARDIUM, segment=SEGMENT))
    again = estimator.assess(case)
    assert case.axis == order.index(2)
    slices = again.slices[::-1] if flips[case.axis] else again.slices
    assert [values(score) for score in slices] == [alike(score) for score in report.slices]


def test_an_oblique_volume_is_scored_alike(estimator, images, report):
    rotation = np.array(sitk.Euler3DTransform((0, 0, 0), 0.2, -0.15, 0.1).GetMatrix()).reshape(3, 3)
    oblique = [sitk.Image(image) for image in images]
    for image in oblique:
        image.SetDirection((rotation @ np.array(image.GetDirection()).reshape(3, 3)).ravel().tolist())
    again = estimator.assess(equipped(Case.from_images(*oblique, label=MYOCARDIUM, segment=SEGMENT)))
    assert [values(score) for score in again.slices] == [alike(score) for score in report.slices]


def test_an_empty_slice_between_drawn_ones_is_a_gap_and_lowers_the_volume(estimator, case, report):
    middle = scored(report)[len(scored(report)) // 2]
    holed = estimator.assess(edited(case, lambda mask: mask[middle].fill(0)))
    assert holed.slice(middle).status is Status.GAP
    assert "gaps" in holed.flags
    kept = [score for score in holed.slices if score.dice is not None]
    assert holed.volume.dice < sum(s.dice * s.area_mm2 for s in kept) / sum(s.area_mm2 for s in kept)


def test_an_empty_slice_beyond_a_large_end_slice_is_offered_for_a_check(estimator, case, report):
    drawn = [score.index for score in report.slices if score.area_mm2 > 0]
    middle = drawn[len(drawn) // 2]
    cut = estimator.assess(edited(case, lambda mask: mask[: middle + 1].fill(0)))
    assert (cut.slice(middle).status, cut.slice(middle).flags) == (Status.EMPTY, ("check",))


def test_rescoring_an_edited_slice_is_what_scoring_all_of_them_in_the_same_way_gives(estimator, case, report):
    target = scored(report)[0]
    after = edited(case, lambda mask: mask[target, ::2].fill(0))
    rescored = estimator.rescore(after, report, [target])
    everything = estimator.rescore(after, report, range(case.n_slices))
    assert [values(score) for score in rescored.slices] == [alike(score) for score in everything.slices]
    assert rescored.slice(target).area_mm2 < report.slice(target).area_mm2
    for index in scored(report)[1:]:
        assert rescored.slice(index) == report.slice(index)


def test_what_was_prepared_for_a_case_serves_after_an_edit(estimator, case, report):
    prepared = estimator.prepare(case, report.provenance.parameters)
    after = edited(case, lambda mask: mask[scored(report)[0], ::2].fill(0))
    assert (
        estimator.rescore(after, report, scored(report), prepared).slices
        == estimator.rescore(after, report, scored(report)).slices
    )


def test_erasing_a_slice_and_drawing_it_again_restores_the_report(estimator, case, report):
    middle = scored(report)[len(scored(report)) // 2]
    erased = estimator.rescore(edited(case, lambda mask: mask[middle].fill(0)), report, [middle])
    assert erased.slice(middle).status is Status.GAP
    restored = estimator.rescore(case, erased, [middle])
    assert [values(score) for score in restored.slices] == [alike(score) for score in report.slices]
    assert restored.volume.dice == pytest.approx(report.volume.dice, abs=1e-4)


def test_a_report_of_another_model_or_image_is_not_rescored(estimator, case, report):
    other = replace(report, model=replace(report.model, sha256="0" * 64))
    with pytest.raises(InputError, match="assess the case again"):
        estimator.rescore(case, other, [0])
    with pytest.raises(InputError, match="There is no slice 99"):
        estimator.rescore(case, report, [99])


def test_a_segment_that_the_model_does_not_know_is_flagged_and_what_was_known_stays_known(estimator, case, report):
    unknown = replace(case, segment="liver")
    assert "model_unmatched" not in report.flags
    if not estimator.targets:  # it judges any structure
        assert "model_unmatched" not in estimator.assess(unknown).flags
        return
    flagged = estimator.assess(unknown)
    assert "model_unmatched" in flagged.flags
    assert "model_unmatched" in estimator.rescore(unknown, flagged, [2]).flags
    assert "model_unmatched" not in estimator.rescore(unknown, report, [2]).flags


def test_a_report_survives_its_files(report, tmp_path):
    path = tmp_path / "report.json"
    path.write_text(report.to_json(), encoding="utf-8")
    assert QualityReport.read_json(path) == report


def test_steps_count_up_only_the_last_has_the_report_and_a_dropped_one_leaves_nothing(estimator, case, report):
    steps = list(estimator.iter_assess(case, batch_size=2))
    assert [step.done for step in steps] == sorted({step.done for step in steps})
    assert steps[-1].done == steps[-1].total == case.n_slices
    assert [step.report is not None for step in steps] == [False] * (len(steps) - 1) + [True]
    cancelled = estimator.iter_assess(case, batch_size=2)
    next(cancelled)
    cancelled.close()
    again = estimator.assess(case)
    assert [values(score) for score in again.slices] == [alike(score) for score in report.slices]


def test_its_maps_are_those_that_it_names(estimator, case, report):
    maps = estimator.maps(case, report)
    assert set(maps) == estimator.gives
    for image in maps.values():
        assert math.isfinite(float(sitk.GetArrayViewFromImage(image).sum()))


@pytest.mark.parametrize(
    ("family", "need"),
    [("toy-probabilities", "probabilities"), ("probabilities", "probabilities"), ("agreement", "samples")],
)
def test_a_case_that_lacks_what_a_family_requires_is_refused_with_a_sentence(bundles, case, bare_case, family, need):
    demanding = load_estimator(bundles[family])
    with pytest.raises(InputError, match=rf"The model .* needs {need}, which the case .* does not have"):
        demanding.assess(bare_case)
    assert demanding.assess(case).volume.dice is not None


def test_a_block_that_its_family_cannot_use_is_refused(bundles, tmp_path):
    folder = toy_family.write_toy_bundle(tmp_path / "toy")
    metadata = folder / "configs" / "metadata.json"
    metadata.write_text(metadata.read_text(encoding="utf-8").replace('"weight": 0.5', '"weight": 7'), encoding="utf-8")
    with pytest.raises(BundleError, match="its weight is impossible"):
        load_estimator(folder)


@pytest.fixture(scope="module")
def toy_folder(bundles):
    return bundles["toy"].folder


def test_a_new_family_works_through_the_command(toy_folder, files, tmp_path):
    target = tmp_path / "report.json"
    arguments = [files / "image.nii.gz", files / "labels.nii.gz", "--label", MYOCARDIUM, "--model", toy_folder]
    run = CliRunner().invoke(app, ["assess", *map(str, arguments), "--json", str(target)])
    assert run.exit_code == 0, run.output
    report = QualityReport.read_json(target)
    assert report.model.name == "toy"
    assert report.volume.dice is not None


def test_a_new_family_works_through_a_cohort(toy_folder, files, tmp_path):
    from distributed import LocalCluster

    from SegQualityQCLib.cohort.results import CohortFolder
    from SegQualityQCLib.cohort.running import run_cohort
    from SegQualityQCLib.cohort.scoring import ScoringOptions

    # Its workers are threads of this process, which knows the toy family.
    with LocalCluster(n_workers=1, processes=False, dashboard_address=None) as cluster:
        options = ScoringOptions(str(toy_folder), "cpu")
        end = run_cohort(some_cases(files, 2), tmp_path / "out", options=options, scheduler=cluster.scheduler_address)
    assert (end.done, end.failed) == (2, 0)
    assert {r.model.name for _, result in CohortFolder(tmp_path / "out").results() for r in result.reports} == {"toy"}


def test_a_new_family_works_through_the_modules_logic(toy_folder):
    from slicer_harness.application import start

    logic = start().SegQualityQCLogic()
    volume, segmentation = logic.loadDemo()
    ((key, report),) = logic.assess(volume, segmentation, model=str(toy_folder)).items()
    assert report.model.name == "toy"
    assert logic.results(segmentation).reports == {key: report}
    assert logic.segmentModels(segmentation, str(toy_folder)) == [(key, SEGMENT, "toy", True)]
