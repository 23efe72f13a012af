"""NIfTI headers whose axes are rounded or that give two positions; masks moved against their image; lost spacing."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from SegQualityQCLib.case.case import Case
from SegQualityQCLib.demo import demo_case, demo_images
from SegQualityQCLib.errors import InputError
from SegQualityQCLib.estimators.loading import load_estimator
from SegQualityQCLib.reading.cases import read_cases
from SegQualityQCLib.reading.images import read_image
from SegQualityQCLib.report.codes import CaseFlag
from SegQualityQCLib.report.wording import note

MOVE_MM = 7.5


@pytest.fixture
def heart(tmp_path) -> tuple[Path, Path]:
    """Image and labels as unpacked NIfTI, whose headers a test may change."""
    for image, name in zip(demo_images(), ("i.nii", "l.nii"), strict=True):
        sitk.WriteImage(image, str(tmp_path / name))
    return tmp_path / "i.nii", tmp_path / "l.nii"


def sform_of(path: Path) -> np.ndarray:
    return np.array(struct.unpack_from("<12f", path.read_bytes(), 280)).reshape(3, 4)


def set_forms(path: Path, codes: tuple[int, int], sform: np.ndarray, qform_x_mm: float = 0.0) -> None:
    content = bytearray(path.read_bytes())
    struct.pack_into("<2h", content, 252, *codes)
    struct.pack_into("<12f", content, 280, *sform.ravel())
    (offset,) = struct.unpack_from("<f", content, 268)
    struct.pack_into("<f", content, 268, offset + qform_x_mm)
    path.write_bytes(bytes(content))


def skewed(sform: np.ndarray, cosine: float) -> np.ndarray:
    result = sform.copy()
    result[1, 0] += cosine * np.linalg.norm(sform[:, 0])
    return result


def test_axes_that_are_off_right_angles_by_rounding_are_read(heart):
    before = read_image(heart[0])
    set_forms(heart[0], (0, 1), skewed(sform_of(heart[0]), 2e-4))
    with pytest.raises(RuntimeError, match="orthonormal"):
        sitk.ReadImage(str(heart[0]))
    image = read_image(heart[0])
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(before))
    assert image.GetOrigin() == pytest.approx(before.GetOrigin(), abs=1e-3)
    assert image.GetSpacing() == pytest.approx(before.GetSpacing(), abs=1e-4)
    axes = np.array(image.GetDirection()).reshape(3, 3)
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-6)
    (case,) = read_cases(heart[0], heart[1])
    assert CaseFlag.MOVED_AGAINST_IMAGE not in case.flags


def test_axes_that_are_far_off_right_angles_are_refused(heart):
    set_forms(heart[0], (0, 1), skewed(sform_of(heart[0]), 0.02))
    with pytest.raises(InputError, match="off right angles"):
        read_image(heart[0])


@pytest.mark.parametrize(
    ("image_codes", "labels_codes", "flag"),
    [
        ((1, 2), (1, 2), CaseFlag.QFORM_USED),
        ((1, 2), (0, 2), CaseFlag.SFORM_USED),
        ((0, 2), (1, 2), CaseFlag.SFORM_USED),
        ((1, 2), (1, 0), CaseFlag.QFORM_USED),
        ((0, 2), (0, 2), None),
    ],
)
def test_a_mask_is_tried_under_both_forms_before_it_is_called_displaced(heart, image_codes, labels_codes, flag):
    expected = sitk.GetArrayFromImage(demo_case().mask)
    for path, codes in zip(heart, (image_codes, labels_codes), strict=True):
        set_forms(path, codes, sform_of(path), MOVE_MM)
    (case,) = read_cases(*heart)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(case.mask), expected)
    assert case.flags == ((flag,) if flag else ())


def test_forms_that_agree_are_not_spoken_of(heart):
    for path in heart:
        set_forms(path, (1, 2), sform_of(path))
    assert read_cases(*heart)[0].flags == ()


def labels_moved(mm: tuple[float, float, float]) -> Case:
    image, labels = demo_images()
    labels.SetOrigin([a + b for a, b in zip(labels.GetOrigin(), mm, strict=True)])
    return Case.from_images(image, labels)


def test_a_mask_that_was_moved_by_more_than_half_a_pixel_is_flagged_with_the_distance():
    pixel = demo_images()[0].GetSpacing()[0]
    assert labels_moved((0.4 * pixel, 0, 0)).flags == ()
    case = labels_moved((3 * pixel, 4 * pixel, 0))
    assert case.flags == (CaseFlag.MOVED_AGAINST_IMAGE,)
    assert case.offset_mm == pytest.approx(5 * pixel)
    report = load_estimator(None, "cpu").assess(case)
    assert report.provenance.parameters["offset_mm"] == pytest.approx(5 * pixel, abs=0.01)
    assert f"{5 * pixel:.1f} mm off" in note(CaseFlag.MOVED_AGAINST_IMAGE, report)


def test_a_coarser_mask_is_flagged_and_a_finer_one_or_a_part_is_not():
    image, labels = demo_images()
    for factor, flags in ((2.0, (CaseFlag.MOVED_AGAINST_IMAGE,)), (0.5, ())):
        spacing = [labels.GetSpacing()[0] * factor, labels.GetSpacing()[1] * factor, labels.GetSpacing()[2]]
        size = [int(labels.GetSize()[0] / factor), int(labels.GetSize()[1] / factor), labels.GetSize()[2]]
        grid = sitk.Resample(
            labels, size, sitk.Transform(), sitk.sitkNearestNeighbor, labels.GetOrigin(), spacing, labels.GetDirection()
        )
        assert Case.from_images(image, grid).flags == flags
    assert Case.from_images(image, labels[20:-20, 30:-10, :]).flags == ()


def test_a_spacing_that_was_lost_or_is_in_metres_is_flagged():
    image, labels = demo_images()
    for spacing, flags in (
        ((1, 1, 1), (CaseFlag.DOUBTFUL_SPACING,)),
        ([s / 1000 for s in image.GetSpacing()], (CaseFlag.DOUBTFUL_SPACING,)),
        ((1, 1, 8), ()),
    ):
        for one in (image, labels):
            one.SetSpacing(spacing)
            one.SetOrigin((0, 0, 0))
            one.SetDirection((1, 0, 0, 0, 1, 0, 0, 0, 1))
        assert Case.from_images(image, labels).flags == flags
