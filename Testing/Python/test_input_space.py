"""Whatever an image and a mask are like: a report that holds together, or one sentence that says what is wrong."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from SegQualityQCLib.case.case import Case
from SegQualityQCLib.case.field_of_view import field_of_view_around_mask, field_of_view_grid
from SegQualityQCLib.demo import MYOCARDIUM, demo_images
from SegQualityQCLib.errors import InputError
from SegQualityQCLib.estimators.loading import load_estimator
from SegQualityQCLib.report.csv_table import reports_to_csv
from SegQualityQCLib.report.report import QualityReport, Status

FEW = settings(max_examples=40, suppress_health_check=list(HealthCheck))
MANY = settings(max_examples=2000, suppress_health_check=list(HealthCheck))
VOXELS = 60_000

DTYPES = [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.uint64, np.int64, np.float32, np.float64]
LABEL_DTYPES = [np.uint8, np.uint16, np.int16, np.uint32, np.int32, np.uint64, np.int64, np.float32, np.float64]
SPACINGS = st.one_of(st.floats(0.5, 10), st.floats(-3, 3).map(lambda exponent: 10**exponent))
ANGLES = st.floats(-np.pi, np.pi)
FILLS = ("noise", "ramp", "huge", "negative", "tiny", "constant", "one bright pixel", "NaN", "infinite", "largest")
MASKS = ("box", "full", "one pixel", "at the border", "every second slice", "noise", "empty")


@st.composite
def shapes(draw) -> tuple[int, int, int]:
    """Sizes of 1 to 600; what the first ones leave bounds the later ones, so that volumes stay small."""
    left, sizes = VOXELS, []
    for _ in range(3):
        sizes.append(draw(st.integers(1, max(1, min(600, left)))))
        left //= sizes[-1]
    return tuple(draw(st.permutations(sizes)))


@st.composite
def geometries(draw) -> tuple:
    """Spacing, direction (turned and flipped) and origin."""
    turn = np.array(sitk.Euler3DTransform((0, 0, 0), draw(ANGLES), draw(ANGLES), draw(ANGLES)).GetMatrix()).reshape(
        3, 3
    )
    flips = np.diag(draw(st.tuples(*[st.sampled_from((1.0, -1.0))] * 3)))
    direction = (turn @ flips if draw(st.booleans()) else flips).ravel().tolist()
    return draw(st.tuples(SPACINGS, SPACINGS, SPACINGS)), direction, draw(st.tuples(*[st.floats(-1e4, 1e4)] * 3))


def with_geometry(array: np.ndarray, geometry: tuple) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(geometry[0])
    image.SetDirection(geometry[1])
    image.SetOrigin(geometry[2])
    return image


def pixels(fill: str, shape: tuple, dtype: type, rng: np.random.Generator) -> np.ndarray:
    if fill in ("NaN", "infinite", "tiny") and np.dtype(dtype).kind != "f":
        fill = "noise"
    largest = np.finfo(dtype).max if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max
    array = rng.random(shape)
    with np.errstate(all="ignore"):
        if fill == "ramp":
            return np.arange(np.prod(shape)).reshape(shape).astype(dtype)
        if fill == "constant":
            return np.full(shape, 7, dtype)
        if fill == "tiny":
            return (array * 1e-30).astype(dtype)
        if fill in ("huge", "largest"):
            return (array * float(largest) * (0.9 if fill == "largest" else 1e-3)).astype(dtype)
        if fill == "negative":
            return (-100 * array).astype(dtype)
        array = (100 * array).astype(dtype)
    if fill in ("one bright pixel", "NaN", "infinite"):
        array.flat[array.size // 2] = {"one bright pixel": largest, "NaN": np.nan, "infinite": np.inf}[fill]
    return array


def mask_of(kind: str, shape: tuple, rng: np.random.Generator) -> np.ndarray:
    mask = np.zeros(shape, bool)
    low, high = (np.array(shape) // 4), np.maximum(np.array(shape) * 3 // 4, np.array(shape) // 4 + 1)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    if kind == "full":
        mask[:] = True
    elif kind == "one pixel":
        mask[tuple(rng.integers(0, shape))] = True
    elif kind == "at the border":
        mask[:, :, 0] = mask[0] = True
    elif kind == "every second slice":
        mask[box] = True
        mask[1::2] = False
    elif kind == "noise":
        mask = rng.random(shape) < 0.3
    elif kind == "box":
        mask[box] = True
    return mask


@st.composite
def inputs(draw) -> tuple[sitk.Image, sitk.Image, int]:
    """An image, a labelmap and a label: on the image's grid, on a shifted one, or on one of its own."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape, geometry = draw(shapes()), draw(geometries())
    image = with_geometry(pixels(draw(st.sampled_from(FILLS)), shape, draw(st.sampled_from(DTYPES)), rng), geometry)
    dtype = draw(st.sampled_from(LABEL_DTYPES))
    label = draw(st.integers(1, 255 if dtype is np.uint8 else 32767 if dtype is np.int16 else 65535))
    grid = draw(st.sampled_from(["the same", "the same", "the same", "shifted", "its own"]))
    mask_shape = draw(shapes()) if grid == "its own" else shape
    labels = with_geometry(
        mask_of(draw(st.sampled_from(MASKS)), mask_shape, rng).astype(dtype) * dtype(label), geometry
    )
    if grid != "the same":
        places = [draw(st.floats(-0.7, 0.7)) * n for n in image.GetSize()]
        labels.SetOrigin(image.TransformContinuousIndexToPhysicalPoint(places))
    if grid == "its own":
        labels.SetSpacing(draw(st.tuples(SPACINGS, SPACINGS, SPACINGS)))
    return image, labels, label


@pytest.fixture(scope="module")
def estimator():
    return load_estimator("acdc-lv-myocardium", "cpu")


def assessed_or_refused(estimator, images: tuple) -> tuple[Case, QualityReport] | str:
    """The case and its report, or the sentence that says why there is none."""
    image, labels, label = images
    try:
        case = Case.from_images(image, labels, label=label, segment="LV myocardium")
        return case, estimator.assess(case)
    except InputError as error:
        return str(error)


def check_that_it_is_a_report_or_a_sentence(estimator, images: tuple) -> None:
    outcome = assessed_or_refused(estimator, images)
    if isinstance(outcome, str):
        assert outcome.endswith(".")
        assert "\n" not in outcome
        return
    case, report = outcome
    assert [score.index for score in report.slices] == list(range(case.n_slices)) == sorted(report.order)
    areas = case.extents.counts * case.pixel_area_mm2
    for score, area in zip(report.slices, areas, strict=True):
        assert score.area_mm2 == pytest.approx(area)
        assert (score.status in (Status.EMPTY, Status.GAP)) == (area == 0)
        if score.status is Status.SCORED:
            assert 0 <= score.low <= score.dice <= score.high <= 1
        else:
            assert (score.dice, score.low, score.high) == (None, None, None)
    volume = report.volume
    assert (volume.dice is None) == all(score.dice is None for score in report.slices)
    assert volume.dice is None or 0 <= volume.low <= volume.dice <= volume.high <= 1
    assert QualityReport.from_json(report.to_json()) == report
    assert json.loads(report.to_json())["order"] == list(report.order)
    assert len(reports_to_csv([report]).splitlines()) == case.n_slices + 1


@FEW
@given(inputs())
def test_any_input_gives_a_sound_report_or_a_sentence(estimator, images):
    check_that_it_is_a_report_or_a_sentence(estimator, images)


@pytest.mark.slow
@MANY
@given(inputs())
def test_two_thousand_inputs_give_sound_reports_or_sentences(estimator, images):
    check_that_it_is_a_report_or_a_sentence(estimator, images)


IMAGE, LABELS = demo_images()


def dices(report: QualityReport) -> list:
    return [(score.status, pytest.approx(score.dice, abs=2e-3)) for score in report.slices]


def assessed(estimator, image: sitk.Image) -> QualityReport:
    return estimator.assess(Case.from_images(image, LABELS, label=MYOCARDIUM, segment="myocardium"))


@pytest.fixture(scope="module")
def usual(estimator):
    return assessed(estimator, IMAGE)


@settings(FEW, max_examples=10)
@given(st.floats(-6, 6), st.floats(-10, 10))
def test_no_scale_and_no_offset_of_the_intensities_changes_a_score(estimator, usual, exponent, offset):
    largest = float(sitk.GetArrayViewFromImage(IMAGE).max())
    changed = (sitk.Cast(IMAGE, sitk.sitkFloat64) / largest + offset) * 10**exponent
    assert [(s.status, s.dice) for s in assessed(estimator, changed).slices] == dices(usual)


@settings(FEW, max_examples=10)
@given(st.integers(0, 2**32 - 1), st.floats(1, 1e4))
def test_nothing_outside_the_window_changes_a_score(estimator, usual, seed, loud):
    case = Case.from_images(IMAGE, LABELS, label=MYOCARDIUM)
    settings = estimator.settings
    window = field_of_view_around_mask(case, size=settings.size, spacing_mm=settings.spacing_mm)
    inside = field_of_view_grid(case, window) + 1
    seen = sitk.Resample(inside, IMAGE, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
    near = sitk.GetArrayFromImage(sitk.BinaryDilate(seen, [2, 2, 0])).astype(bool)  # its pixels are interpolated
    array = sitk.GetArrayFromImage(IMAGE).astype(np.float64)
    noise = np.random.default_rng(seed).normal(size=array.shape) * loud * array.max()
    assert not near.all()
    changed = sitk.GetImageFromArray(np.where(near, array, noise))
    changed.CopyInformation(IMAGE)
    assert [(s.status, s.dice) for s in assessed(estimator, changed).slices] == dices(usual)
