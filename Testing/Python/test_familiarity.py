"""Whether an image looks like the training data: the same however it lies, and honest about unknown patients."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from SegQualityQCLib.bundles.bundle import ModelBundle
from SegQualityQCLib.bundles.catalogue import available_bundles
from SegQualityQCLib.case.case import Case
from SegQualityQCLib.case.field_of_view import field_of_view_around_mask
from SegQualityQCLib.demo import demo_case
from SegQualityQCLib.estimators.distribution_check import (
    DESCRIPTORS,
    ImageDistribution,
    describe,
    distance,
    fit_distribution,
    is_familiar,
)
from SegQualityQCLib.estimators.loading import load_estimator
from SegQualityQCLib.estimators.networks.inputs import extract
from SegQualityQCLib.report.report import Status

MYOCARDIUM = 2
BUNDLES = [ModelBundle.load(path) for path in available_bundles()]


@pytest.fixture(scope="module")
def slices():
    """The drawn slices of the demo heart as the networks see them, shape (n, 144, 144)."""
    case = demo_case()
    seen = extract(case, field_of_view_around_mask(case, size=144, spacing_mm=1.5))
    return seen.image[seen.mask.any(axis=(1, 2))]


@pytest.mark.parametrize(
    "turned",
    [
        lambda images: np.rot90(images, axes=(1, 2)),
        lambda images: images[:, ::-1],
        lambda images: images.transpose(0, 2, 1),
    ],
    ids=["by 90 degrees", "mirrored", "transposed"],
)
def test_a_turned_or_mirrored_slice_is_described_alike(slices, turned):
    assert describe(np.ascontiguousarray(turned(slices))) == pytest.approx(describe(slices), abs=1e-4)


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda bundle: bundle.name)
@pytest.mark.parametrize("axis", [1, 2])
def test_a_picture_that_is_resolved_less_well_one_way_is_unfamiliar(slices, bundle, axis):
    """As a stack of slices 9 mm apart looks from its side."""
    coarse = np.repeat(slices.take(range(0, 144, 6), axis), 6, axis)
    stack = np.stack([np.roll(coarse, step, axis) for step in range(-3, 3)]).mean(axis=0)
    assert is_familiar(ImageDistribution.from_dict(bundle.header.block["familiarity"]), slices).any()
    assert not is_familiar(ImageDistribution.from_dict(bundle.header.block["familiarity"]), stack).any()


def described_patients(rng, patients: int, slices: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Patients that differ from each other more than their own slices do."""
    centres = rng.normal(size=(patients, 1, DESCRIPTORS))
    described = centres + 0.3 * rng.normal(size=(patients, slices, DESCRIPTORS))
    return described.reshape(-1, DESCRIPTORS), np.repeat(np.arange(patients), slices)


def test_slices_of_unknown_patients_are_familiar_as_often_as_asked():
    rng = np.random.default_rng(0)
    statistics = fit_distribution(*described_patients(rng, 80), quantile=0.95)
    unknown, _ = described_patients(rng, 400)
    assert 0.93 <= np.mean(distance(statistics, unknown) <= statistics.threshold) <= 0.97


def test_a_patient_does_not_vouch_for_its_own_slices():
    described, patients = described_patients(np.random.default_rng(0), 20)
    statistics = fit_distribution(described, patients)
    alone = fit_distribution(described, np.arange(len(described)))
    assert statistics.threshold > alone.threshold


def test_one_patient_is_too_few():
    with pytest.raises(ValueError, match="at least two patients"):
        fit_distribution(np.zeros((5, DESCRIPTORS)), np.zeros(5, int))


def test_the_short_axis_of_a_real_patient_is_familiar_and_its_long_axis_is_not(acdc_root):
    folder = acdc_root / "training" / "patient013"  # of the validation part
    image = sitk.ReadImage(str(folder / "patient013_frame01.nii.gz"))
    reference = sitk.ReadImage(str(folder / "patient013_frame01_gt.nii.gz"))
    estimator = load_estimator("acdc-lv-myocardium", "cpu")
    statuses = {}
    for axis in ("k", "j"):
        fine = [*image.GetSpacing()[:2], 1.5] if axis == "j" else image.GetSpacing()
        size = [round(n * s / f) for n, s, f in zip(image.GetSize(), image.GetSpacing(), fine, strict=True)]
        grid = (size, sitk.Transform(), sitk.sitkLinear, image.GetOrigin(), fine, image.GetDirection())
        cut = sitk.Resample(image, *grid)
        mask = sitk.Resample(reference, *grid[:2], sitk.sitkNearestNeighbor, *grid[3:])
        report = estimator.assess(Case.from_images(cut, mask, label=MYOCARDIUM, axis=axis, segment="myocardium"))
        statuses[axis] = [score.status for score in report.slices if score.area_mm2 > 0]
    assert set(statuses["k"]) == {Status.SCORED}
    assert statuses["j"].count(Status.SCORED) <= 0.05 * len(statuses["j"])
