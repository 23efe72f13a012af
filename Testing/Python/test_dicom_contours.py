"""RTSTRUCT: contours become the pixels whose centres they enclose, on the planes that they were drawn in."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_files import SHARED, rtstruct_of, write, write_series
from test_dicom_seg import masks_read, turned

from SegQualityQCLib.errors import InputError
from SegQualityQCLib.reading.cases import read_cases
from SegQualityQCLib.reading.dicom.contours import filled
from SegQualityQCLib.reading.images import read_image
from SegQualityQCLib.reading.segmentations import read_segmentation

REAL = SHARED / "dicom" / "rt-utils"
TURNS = [(0, 0, 0), (90, 0, 0), (0, 90, 90), (17, -35, 122)]


def square(first: float, last: float) -> np.ndarray:
    """The corners of a square around the pixels first to last, in columns and rows."""
    low, high = first - 0.5, last + 0.5
    return np.array([(low, low), (high, low), (high, high), (low, high)])


def in_space(corners: np.ndarray, image: sitk.Image, k: float) -> np.ndarray:
    """Columns and rows of a slice in mm."""
    return np.array([image.TransformContinuousIndexToPhysicalPoint((float(x), float(y), float(k))) for x, y in corners])


def test_an_inner_contour_is_a_hole_and_one_in_the_hole_is_drawn_again():
    mask = filled([square(1, 9), square(3, 7), square(5, 5)], (12, 12))
    assert mask.sum() == 81 - 25 + 1
    assert (mask[5, 5], mask[4, 4], mask[2, 2], mask[0, 0]) == (1, 0, 1, 0)


def test_a_keyhole_is_a_hole():
    outer, inner = square(1, 9), square(4, 6)
    keyhole = np.concatenate([outer, outer[:1], inner[::-1], inner[-1:]])
    assert (filled([keyhole], (12, 12)) == filled([outer, inner], (12, 12))).all()


def test_several_pieces_are_all_drawn_and_what_is_outside_is_cut_off():
    mask = filled([square(0, 1), square(5, 6), square(-4, -2), square(11, 20)], (12, 12))
    assert mask.sum() == 4 + 4 + 1


def test_a_large_circle_has_its_area():
    angles = np.linspace(0, 2 * np.pi, 2000, endpoint=False)
    mask = filled([100 + 60.3 * np.stack([np.cos(angles), np.sin(angles)], axis=1)], (200, 200))
    assert mask.sum() == pytest.approx(np.pi * 60.3**2, rel=2e-3)
    rows, columns = np.nonzero(mask)
    assert (rows.mean(), columns.mean()) == (pytest.approx(100, abs=0.02), pytest.approx(100, abs=0.02))


@pytest.mark.parametrize("degrees", TURNS)
def test_contours_on_the_slices_are_drawn_on_the_pixels_of_the_image(tmp_path, degrees):
    image = turned(degrees, (7, 14, 12))
    regions = {
        "ring": [in_space(corners, image, k) for k in (4, 1, 2) for corners in (square(1, 9), square(3, 7))],
        "two pieces": [in_space(square(1, 2), image, 3), in_space(square(6, 8), image, 3)],
    }
    path = write(rtstruct_of(regions), tmp_path / "rt.dcm")
    expected = {name: np.zeros((7, 14, 12), np.uint8) for name in regions}
    for k in (1, 2, 4):  # the third slice of the ring is a gap
        expected["ring"][k] = filled([square(1, 9), square(3, 7)], (14, 12))
    expected["two pieces"][3] = filled([square(1, 2), square(6, 8)], (14, 12))
    grid = read_image(write_series(image, tmp_path / "series"))
    for one in (image, grid):
        read = masks_read(path, one)
        assert all((read[name] == expected[name]).all() for name in regions)


def test_contours_in_planes_oblique_to_the_image_are_drawn_where_they_lie(tmp_path):
    image = sitk.Image(64, 64, 64, sitk.sitkInt16) + 1
    turn = sitk.Euler3DTransform((32, 32, 32), 0.4, -0.3, 0.7)
    angles = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    ring = np.stack([np.cos(angles), np.sin(angles), np.zeros(400)], axis=1)
    regions = [
        np.array([turn.TransformPoint((32 + p).tolist()) for p in radius * ring + (0, 0, z)])
        for z in range(-10, 11)
        for radius in (20, 8)
    ]
    file = read_segmentation(write(rtstruct_of({"tube": regions}), tmp_path / "rt.dcm"), image, "image")
    mask = masks_read(tmp_path / "rt.dcm", image)["tube"]
    assert file.labelmap_of(file.segments[0]).GetSpacing() == pytest.approx((1, 1, 1), abs=1e-3)
    k, j, i = np.meshgrid(*[np.arange(64)] * 3, indexing="ij")
    matrix = np.array(turn.GetMatrix()).reshape(3, 3)
    local = (np.stack([i, j, k], axis=-1) - 32) @ matrix
    radius, height = np.hypot(local[..., 0], local[..., 1]), np.abs(local[..., 2])
    inside = (radius < 20) & (radius > 8) & (height < 10.5)
    near = (np.abs(radius - 20) < 0.9) | (np.abs(radius - 8) < 0.9) | (np.abs(height - 10.5) < 0.2)
    assert (inside == mask.astype(bool))[~near].all()
    assert mask.sum() == pytest.approx(np.pi * (400 - 64) * 21, rel=0.02)


def test_what_reaches_out_of_the_image_is_said(tmp_path):
    image = turned((0, 0, 0), (4, 10, 10))
    path = write(rtstruct_of({"wall": [in_space(square(6, 14), image, 1)]}), tmp_path / "rt.dcm")
    (case,) = read_cases(write_series(image, tmp_path / "series"), path)
    assert case.flags == ("cropped_to_image",)
    assert sitk.GetArrayFromImage(case.mask).sum() == 16


def test_a_region_without_closed_contours_is_empty_and_does_not_stop_the_others(tmp_path):
    image = turned((0, 0, 0), (4, 10, 10))
    dataset = rtstruct_of({"wall": [in_space(square(2, 5), image, 1)], "point": [in_space(square(1, 1), image, 2)]})
    dataset.ROIContourSequence[1].ContourSequence[0].ContourGeometricType = "OPEN_PLANAR"
    series = write_series(image, tmp_path / "series")
    path = write(dataset, tmp_path / "rt.dcm")
    assert [case.segment for case in read_cases(series, path)] == ["wall"]
    with pytest.raises(InputError, match=r"segment point of rt\.dcm is empty"):
        read_cases(series, path, segment="point")


def bent(dataset, image):
    dataset.ROIContourSequence[0].ContourSequence[0].ContourData[2] = "7.5"


def elsewhere(dataset, image):
    dataset.StructureSetROISequence[0].ReferencedFrameOfReferenceUID = "1.2.3"
    series = dataset.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]
    series.SeriesInstanceUID = "1.2.4"


def far(dataset, image):
    dataset.ROIContourSequence[0].ContourSequence[0].ContourData = [
        *("1000000", "0", "0"),
        *("0", "1000000", "0"),
        *("0", "0", "0"),
    ]


def uncounted(dataset, image):
    del dataset.ROIContourSequence[0].ContourSequence[0].ContourData[-1]


@pytest.mark.parametrize(
    ("damage", "said"),
    [(bent, "not flat"), (elsewhere, "another series"), (far, "positions are damaged"), (uncounted, "is damaged")],
)
def test_contours_that_make_no_sense_are_refused(tmp_path, damage, said):
    image = turned((0, 0, 0), (4, 10, 10))
    dataset = rtstruct_of({"wall": [in_space(square(2, 5), image, 1), in_space(square(2, 5), image, 2)]})
    damage(dataset, image)
    with pytest.raises(InputError, match=said):
        read_cases(write_series(image, tmp_path / "series"), write(dataset, tmp_path / "rt.dcm"))


@pytest.mark.skipif(not REAL.is_dir(), reason="needs the public DICOM objects of shared/data/dicom")
@pytest.mark.parametrize(("name", "regions", "inner"), [("rt.dcm", 1, -1), ("invalid_reference_rt.dcm", 4, 1)])
def test_a_real_structure_set_has_the_areas_of_its_contours(name, regions, inner):
    image = read_image(REAL)
    file = read_segmentation(REAL / name, image, "series")
    assert len(file.segments) == regions
    for segment, entry in zip(file.segments, pydicom.dcmread(REAL / name).ROIContourSequence, strict=True):
        areas = []
        for contour in entry.ContourSequence:
            x, y, _ = np.array(contour.ContourData, float).reshape(-1, 3).T
            areas.append(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)
        area = areas[0] + inner * sum(areas[1:])  # the second contour of rt.dcm is a hole in the first
        labelmap = file.labelmap_of(segment)
        pixel = labelmap.GetSpacing()[0] * labelmap.GetSpacing()[1]
        drawn = (sitk.GetArrayFromImage(labelmap) == segment.label).sum() * pixel
        assert drawn == pytest.approx(area, rel=0.03)


def test_a_structure_set_without_regions_is_refused(tmp_path):
    path = write(rtstruct_of({}), tmp_path / "rt.dcm")
    with pytest.raises(InputError, match="is empty"):
        read_cases(write_series(turned((0, 0, 0), (4, 10, 10)), tmp_path / "series"), path)
