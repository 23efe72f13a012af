"""Cases and windows: geometry in physical space, and input that is refused."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from SegQualityQCLib.case.case import Case
from SegQualityQCLib.case.field_of_view import field_of_view_around_mask, field_of_view_grid, reaches_outside
from SegQualityQCLib.demo import demo_images, demo_reference
from SegQualityQCLib.errors import InputError
from SegQualityQCLib.estimators.networks.inputs import extract


def image_of(array, spacing=(1.0, 1.0, 4.0)) -> sitk.Image:
    image = sitk.GetImageFromArray(np.asarray(array))
    image.SetSpacing(spacing[: image.GetDimension()])
    return image


def gradient(shape=(4, 30, 40)) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.int16).reshape(shape)


def square(shape=(4, 30, 40)) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    mask[1:3, 10:20, 10:20] = 1
    return mask


def test_slices_lie_along_the_largest_spacing_unless_asked_otherwise():
    assert Case.from_images(image_of(gradient()), image_of(square())).axis == 2
    sagittal = (5.0, 1.0, 1.0)
    assert Case.from_images(image_of(gradient(), sagittal), image_of(square(), sagittal)).axis == 0
    assert Case.from_images(image_of(gradient()), image_of(square()), axis="j").axis == 1


def test_a_2d_slice_is_a_volume_of_one_slice():
    case = Case.from_images(image_of(gradient()[0]), image_of(square()[1]))
    assert (case.n_slices, case.axis) == (1, 2)
    assert case.pixel_area_mm2 == 1.0


def test_the_area_of_a_pixel_follows_the_slice_axis():
    case = Case.from_images(image_of(gradient(), (0.5, 2.0, 8.0)), image_of(square(), (0.5, 2.0, 8.0)), axis="i")
    assert case.pixel_area_mm2 == 16.0


def test_a_segmentation_on_a_coarser_grid_is_brought_onto_the_images():
    coarse = image_of(square()[:, ::2, ::2], (2.0, 2.0, 4.0))
    case = Case.from_images(image_of(gradient()), coarse)
    assert case.mask.GetSize() == case.image.GetSize()
    assert abs(sitk.GetArrayViewFromImage(case.mask).sum() - square().sum()) <= 80


def test_a_segmentation_partly_outside_the_image_is_flagged():
    moved = image_of(square())
    moved.SetOrigin((25.0, 0.0, 0.0))
    case = Case.from_images(image_of(gradient()), moved)
    assert case.flags == ("cropped_to_image", "moved_against_image")
    assert case.with_mask(moved).flags == ("cropped_to_image", "moved_against_image")
    assert case.with_mask(image_of(square())).flags == ()
    assert case.with_mask(moved * 0).flags == ()


REFUSED = {
    "no physical overlap": ({"origin": (500.0, 0.0, 0.0)}, "overlap"),
    "empty": ({"mask": square() * 0}, "empty"),
    "no such label": ({"label": 5}, "no pixel"),
    "several labels": ({"mask": square() + 2 * np.roll(square(), 11, 2)}, "choose one"),
    "constant image": ({"image": np.full((4, 30, 40), 7, np.int16)}, "constant"),
    "zero image": ({"image": np.zeros((4, 30, 40), np.int16)}, "constant"),
    "NaN image": ({"image": np.where(gradient() == 5, np.nan, gradient())}, "NaN"),
    "NaN in a later slice": ({"image": np.where(gradient() == 2500, np.nan, gradient())}, "NaN"),
    "infinite image": ({"image": np.where(gradient() == 5, np.inf, gradient())}, "infinite"),
    "probability map": ({"mask": square() * 0.5}, "probability"),
    "labels that are not integers": ({"mask": square() * 1.5}, "integers"),
    "NaN labels": ({"mask": np.where(square() > 0, np.nan, 0)}, "NaN"),
    "huge labels": ({"mask": square() * 1e12}, "too large"),
    "colour image": ({"image": np.zeros((4, 30, 40, 3), np.uint8)}, "several values"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_input_that_cannot_be_assessed_is_refused_with_a_sentence(what):
    change, said = REFUSED[what]
    array = change.get("image", gradient())
    image = sitk.GetImageFromArray(array, isVector=array.ndim == 4)
    mask = image_of(change.get("mask", square()), (1.0, 1.0, 1.0))
    mask.SetOrigin(change.get("origin", (0.0, 0.0, 0.0)))
    with pytest.raises(InputError, match=said) as caught:
        Case.from_images(image, mask, label=change.get("label"))
    assert "\n" not in str(caught.value)


def test_a_4d_image_is_refused():
    image = image_of(gradient())
    with pytest.raises(InputError, match="4 dimensions"):
        Case.from_images(sitk.JoinSeries([image, image]), image_of(square()))


def test_a_direction_that_is_nearly_degenerate_is_refused():
    image = image_of(gradient())
    image.SetDirection([1, 0, 0, 1, 1e-5, 0, 0, 0, 1])
    with pytest.raises(InputError, match="direction"):
        Case.from_images(image, image_of(square()))


def window_of(case: Case, size=32, spacing_mm=1.5):
    return field_of_view_around_mask(case, size=size, spacing_mm=spacing_mm)


def test_the_window_is_centred_on_the_mask_and_shows_what_lies_there():
    case = Case.from_images(*demo_images(), label=2)
    window = window_of(case, 144)
    seen = extract(case, window)
    grid = field_of_view_grid(case, window)
    expected = sitk.Resample(case.mask, grid, sitk.Transform(), sitk.sitkNearestNeighbor)
    assert (seen.mask == sitk.GetArrayFromImage(expected)).all()
    assert seen.image.min() == -1
    assert seen.image.max() == 1
    centre = np.argwhere(seen.mask).mean(axis=0)[1:]
    assert np.allclose(centre, 71.5, atol=0.6)


def test_nothing_outside_the_window_matters():
    image, labels = demo_images()
    case = Case.from_images(image, labels, label=2)
    window = window_of(case, 100)
    array = sitk.GetArrayFromImage(image)
    array[:, :20], array[:, :, :10] = 30000, -30000
    changed = sitk.GetImageFromArray(array)
    changed.CopyInformation(image)
    other = Case.from_images(changed, labels, label=2)
    assert (extract(case, window).image == extract(other, window).image).all()


@given(drawn=arrays(np.bool_, st.tuples(*[st.integers(1, 6)] * 3)), axis=st.integers(0, 2))
def test_the_extents_of_slices_are_those_of_their_drawn_pixels(drawn, axis):
    mask = sitk.GetImageFromArray(drawn.T.astype(np.uint8))  # drawn has the axes i, j, k
    extents = Case(mask, mask, axis).extents
    for n, plane in enumerate(np.moveaxis(drawn, axis, 0)):
        pixels = np.argwhere(plane)
        assert extents.counts[n] == len(pixels)
        expected = np.stack([pixels.min(axis=0), pixels.max(axis=0)], axis=1) if len(pixels) else -1
        assert (extents.spans[n] == expected).all()
    if drawn.any():
        assert np.allclose(extents.centroid, np.argwhere(drawn).mean(axis=0))


def test_slices_that_reach_outside_are_named():
    case = Case.from_images(*demo_images(), label=2)
    assert not reaches_outside(case, window_of(case, 144)).any()
    small = window_of(case, 40)
    outside = reaches_outside(case, small)
    assert outside[1]
    assert not outside[8]


angles = st.floats(-np.pi, np.pi)
HEART = (demo_images()[0], sitk.Cast(demo_reference() == 2, sitk.sitkUInt8))  # made once: it takes longer than the test


@settings(max_examples=25)
@example([0, 1, 2], (False, False, False), 0.0, 4.5551028888841603e-299, 1.0)  # ITK's inverse was NaN
@given(st.permutations(range(3)), st.tuples(*[st.booleans()] * 3), angles, angles, angles)
def test_a_window_holds_the_same_however_the_volume_is_stored_or_turned(order, flips, a, b, c):
    images = [sitk.Image(image) for image in HEART]
    turn = np.array(sitk.Euler3DTransform((0, 0, 0), a, b, c).GetMatrix()).reshape(3, 3)
    for image in images:
        image.SetDirection((turn @ np.array(image.GetDirection()).reshape(3, 3)).ravel().tolist())
    case = Case.from_images(*images)
    stored = Case.from_images(*[sitk.Flip(sitk.PermuteAxes(image, order), flips) for image in images])
    assert stored.axis == order.index(2)
    one, other = extract(case, window_of(case)), extract(stored, window_of(stored))
    step = -1 if flips[stored.axis] else 1
    assert np.allclose(one.image, other.image[::step], atol=1e-4)
    assert (one.mask != other.mask[::step]).mean() < 1e-3  # a pixel that lies on an edge may fall to either side


def test_a_single_slice_is_a_slice_whatever_its_spacing_is():
    image, mask = image_of(gradient()[1], (1.5, 1.5)), image_of(square()[1], (1.5, 1.5))
    case = Case.from_images(image, mask)
    assert (case.axis, case.n_slices) == (2, 1)


def test_a_segmentation_that_lost_its_voxel_size_is_refused():
    image, mask = image_of(gradient(), (1.5, 1.5, 8.0)), image_of(square(), (1.0, 1.0, 1.0))
    with pytest.raises(InputError, match="lost its header"):
        Case.from_images(image, mask)


def test_a_segmentation_stored_in_another_order_is_read_all_the_same():
    image, mask = image_of(gradient((20, 20, 20)), (1, 1, 3)), image_of(square((20, 20, 20)), (1, 1, 3))
    case = Case.from_images(image, sitk.PermuteAxes(mask, (2, 0, 1)))
    assert (sitk.GetArrayFromImage(case.mask) == sitk.GetArrayFromImage(mask)).all()


def test_a_label_beyond_the_pixel_type_is_not_there():
    mask = image_of(44 * square())
    with pytest.raises(InputError, match="Label 300 has no pixel"):
        Case.from_images(image_of(gradient()), mask, label=300)


@given(first=st.tuples(*[st.integers(-8, 12)] * 3), size=st.tuples(*[st.integers(1, 9)] * 3), seed=st.integers(0, 99))
def test_a_cropped_mask_is_put_where_resampling_would_put_it(first, size, seed):
    image = image_of(gradient((6, 10, 11)), (1.2, 1.3, 5.0))
    image.SetDirection(np.roll(np.eye(3), 1, axis=0).ravel().tolist())
    image.SetOrigin((3, -7, 11))
    drawn = np.random.default_rng(seed).integers(0, 2, size, dtype=np.uint8)
    mask = image_of(drawn, image.GetSpacing())
    mask.SetDirection(image.GetDirection())
    mask.SetOrigin(image.TransformContinuousIndexToPhysicalPoint([float(n) for n in first]))
    expected = sitk.Resample(mask, image, sitk.Transform(), sitk.sitkNearestNeighbor, 0, sitk.sitkUInt8)
    brought = Case(image, expected, 2).with_mask(mask)
    assert (sitk.GetArrayFromImage(brought.mask) == sitk.GetArrayFromImage(expected)).all()
    assert brought.mask.GetOrigin() == image.GetOrigin()
