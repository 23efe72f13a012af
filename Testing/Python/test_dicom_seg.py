"""DICOM SEG: each frame gets to the slice of its position, whatever the order, type and layout of frames."""

from __future__ import annotations

import builtins
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_files import SHARED, seg_of, series_of, write, write_series
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from SegQualityQCLib.case.grids import onto_grid
from SegQualityQCLib.demo import demo_images, demo_reference
from SegQualityQCLib.errors import InputError
from SegQualityQCLib.estimators.loading import load_estimator
from SegQualityQCLib.reading.cases import read_cases
from SegQualityQCLib.reading.images import read_image
from SegQualityQCLib.reading.segmentations import read_segmentation

REAL = SHARED / "dicom"
FAILING = SHARED / "failing" / "dicom-seg"
real_objects = pytest.mark.skipif(not REAL.is_dir(), reason="needs the public DICOM objects of shared/data/dicom")
failing_inputs = pytest.mark.skipif(not FAILING.is_dir(), reason="needs the inputs of shared/data/failing/dicom-seg")


def turned(degrees: tuple[float, float, float], shape: tuple[int, int, int], seed: int = 0) -> sitk.Image:
    """A small image, turned in space."""
    array = np.random.default_rng(seed).integers(0, 500, shape).astype(np.int16)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((0.8, 1.3, 2.7))
    image.SetOrigin((-31.5, 12.25, 100.0))
    rotation = sitk.Euler3DTransform()
    rotation.SetRotation(*np.radians(degrees))
    image.SetDirection(rotation.GetMatrix())
    return image


def masks_read(path: Path, image: sitk.Image) -> dict[str, np.ndarray]:
    """What each segment of a file is on the grid of an image."""
    file = read_segmentation(path, image, "image")
    masks = {}
    for segment in file.segments:
        mask = sitk.Equal(file.labelmap_of(segment), segment.label)
        masks[segment.name] = sitk.GetArrayFromImage(onto_grid(mask, image, segment.name, file.name, "image")[0])
    return masks


@real_objects
def test_a_real_seg_is_the_mask_beside_it():
    image = read_image(REAL / "dcmqi" / "ct-3slice")
    expected = sitk.ReadImage(str(REAL / "dcmqi" / "liver_seg.nrrd"))
    expected = sitk.GetArrayFromImage(sitk.Resample(expected, image, sitk.Transform(), sitk.sitkNearestNeighbor))
    assert ((expected > 0) == (masks_read(REAL / "dcmqi" / "liver.dcm", image)["Liver"] > 0)).all()
    assert expected.any()


@real_objects
def test_real_segments_that_overlap_are_the_masks_beside_them():
    image = read_image(REAL / "dcmqi" / "ct-3slice")
    read = masks_read(REAL / "dcmqi" / "partial_overlaps.dcm", image)
    expected = {}
    for number in (1, 2, 3):
        labels = sitk.ReadImage(str(REAL / "dcmqi" / f"partial_overlaps-{number}.nrrd"))
        array = sitk.GetArrayFromImage(sitk.Resample(labels, image, sitk.Transform(), sitk.sitkNearestNeighbor))
        expected |= {int(label): array == label for label in np.unique(array[array > 0])}
    assert sorted(expected) == [1, 2, 3, 4, 5]
    for label, mask in zip(range(1, 6), read.values(), strict=True):
        assert (expected[label] == (mask > 0)).all()


@real_objects
def test_old_codes_are_translated_and_new_ones_kept():
    image = read_image(REAL / "dcmqi" / "ct-3slice")
    (liver,) = read_segmentation(REAL / "dcmqi" / "liver.dcm", image, "ct").segments
    assert (liver.name, liver.code) == ("Liver", "10200004")
    overlapping = read_segmentation(REAL / "dcmqi" / "partial_overlaps.dcm", image, "ct").segments
    assert [one.code for one in overlapping] == ["85756007", "51114001", "20982000", "79654002", "29092000"]


@real_objects
@pytest.mark.parametrize("kind", ["binary", "binary_overlap", "binary_fractional", "true_fractional"])
def test_a_seg_of_another_series_is_refused(kind):
    image = read_image(REAL / "highdicom" / "ct_image.dcm")
    with pytest.raises(InputError, match="was drawn on another series"):
        read_segmentation(REAL / "highdicom" / f"seg_image_ct_{kind}.dcm", image, "ct_image.dcm")


@real_objects
@pytest.mark.parametrize("kind", ["binary", "binary_overlap", "binary_fractional", "true_fractional"])
def test_the_frames_of_a_real_seg_are_what_pydicom_decodes(kind):
    path = REAL / "highdicom" / f"seg_image_ct_{kind}.dcm"
    dataset = pydicom.dcmread(path)
    least = 0.5 * dataset.MaximumFractionalValue if "fractional" in kind else 1
    pixels = dataset.pixel_array >= least
    file = read_segmentation(path, turned((0, 0, 0), (3, 4, 5)), "elsewhere")  # without identifiers
    drawn = sum(int((sitk.GetArrayFromImage(file.labelmap_of(one)) == one.label).sum()) for one in file.segments)
    assert drawn == pixels.sum() > 0


@failing_inputs
@pytest.mark.parametrize("name", ["seg_omit.dcm", "seg_all.dcm", "seg_two.dcm"])
def test_the_sample_as_seg_has_the_scores_of_the_sample_as_nifti(name):
    estimator = load_estimator("acdc-lv-myocardium-direct", "cpu")
    (expected,) = read_cases(FAILING / "img.nii.gz", FAILING.parent / "dicom-multiframe" / "lab.nii.gz")
    case = read_cases(FAILING / "img.nii.gz", FAILING / name)[0]
    assert case.segment == "LV myocardium"
    assert (sitk.GetArrayFromImage(case.mask) == sitk.GetArrayFromImage(expected.mask)).all()
    assert estimator.assess(case).volume.dice == pytest.approx(estimator.assess(expected).volume.dice, abs=1e-6)


@settings(max_examples=15, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(
    degrees=st.tuples(*[st.floats(-180, 180)] * 3),
    kind=st.sampled_from(["BINARY", "FRACTIONAL", "LABELMAP"]),
    omit_empty=st.booleans(),
    order=st.permutations(range(12)),
    from_dicom=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_any_order_orientation_and_layout_gives_the_voxels_that_were_drawn(
    tmp_path_factory, degrees, kind, omit_empty, order, from_dicom, seed
):
    folder = tmp_path_factory.mktemp("seg")
    image = turned(degrees, (6, 5, 7), seed)
    draw = np.random.default_rng(seed)
    masks = [draw.random((6, 5, 7)) > 0.6 for _ in range(2)]
    masks[1][draw.integers(0, 6, 3)] = False  # some frames are empty
    masks[1][0, 0, 0] = True
    if kind == "LABELMAP":
        masks[1] &= ~masks[0]
        masks[1][2, 2, 2], masks[0][2, 2, 2] = True, False
    path = write(seg_of(image, masks, kind, omit_empty=omit_empty, order=order), folder / "seg.dcm")
    grid = read_image(write_series(image, folder / "series")) if from_dicom else image
    read = masks_read(path, grid)
    for mask, one in zip(masks, read.values(), strict=True):
        assert (one.astype(bool) == mask).all()


def test_fractions_are_cut_at_one_half_and_this_is_said(tmp_path):
    image = turned((0, 0, 0), (4, 5, 6))
    fractions = np.zeros((4, 5, 6))
    fractions[1], fractions[2] = 0.4, 0.6
    path = write(seg_of(image, [fractions], "FRACTIONAL"), tmp_path / "seg.dcm")
    (case,) = read_cases(write_series(image, tmp_path / "series"), path)
    assert case.flags == ("fractional",)
    assert sitk.GetArrayFromImage(case.mask).any(axis=(1, 2)).tolist() == [False, False, True, False]


def test_a_seg_gets_the_report_of_the_nifti_of_the_same_voxels(tmp_path):
    image, labels = demo_images()[0], demo_reference()
    image = sitk.Cast(image, sitk.sitkInt16)
    mask = sitk.GetArrayFromImage(labels) == 2
    sitk.WriteImage(image, str(tmp_path / "image.nii.gz"))
    nifti = sitk.GetImageFromArray(mask.astype(np.uint8))
    nifti.CopyInformation(image)
    sitk.WriteImage(nifti, str(tmp_path / "mask.nii.gz"))
    order = np.random.default_rng(0).permutation(image.GetSize()[2])
    path = write(seg_of(image, [mask], names=["LV myocardium"], order=order.tolist()), tmp_path / "seg.dcm")
    series = write_series(image, tmp_path / "series")
    estimator = load_estimator("acdc-lv-myocardium-direct", "cpu")
    expected, found = (
        estimator.assess(read_cases(*files)[0])
        for files in ((tmp_path / "image.nii.gz", tmp_path / "mask.nii.gz"), (series, path))
    )
    assert [one.status for one in found.slices] == [one.status for one in expected.slices]
    for one, other in zip(found.slices, expected.slices, strict=True):
        assert one.dice == (None if other.dice is None else pytest.approx(other.dice, abs=1e-6))
    assert found.volume.dice == pytest.approx(expected.volume.dice, abs=1e-6)


def test_a_segment_is_chosen_by_its_name_or_number(tmp_path):
    image = turned((10, 20, 30), (4, 5, 6))
    masks = [np.zeros((4, 5, 6), bool) for _ in range(2)]
    masks[0][1, 1:3, 1:3], masks[1][1:3, 2:4, 2:4] = True, True
    path = write(seg_of(image, masks, names=["wall", "cavity"]), tmp_path / "seg.dcm")
    series = write_series(image, tmp_path / "series")
    for choice in ({"segment": "cavity"}, {"label": 2}):
        (case,) = read_cases(series, path, **choice)
        assert case.segment == "cavity"
        assert (sitk.GetArrayFromImage(case.mask) == masks[1]).all()
    with pytest.raises(InputError, match=r"it has wall \(1\), cavity \(2\)"):
        read_cases(series, path, segment="aorta")


def test_the_series_that_a_seg_names_is_chosen_among_several_in_one_folder(tmp_path):
    image, other = turned((0, 0, 0), (4, 5, 6), 1), turned((0, 0, 0), (4, 5, 6), 2)
    write_series(image, tmp_path, series="2")
    for k, dataset in enumerate(series_of(other, series="9")):
        write(dataset, tmp_path / f"other-{k}.dcm")
    mask = np.zeros((4, 5, 6), bool)
    mask[1:3, 1:3, 1:3] = True
    path = write(seg_of(image, [mask]), tmp_path / "seg.dcm")
    (case,) = read_cases(tmp_path, path)
    assert (sitk.GetArrayFromImage(case.image) == sitk.GetArrayFromImage(image)).all()
    with pytest.raises(InputError, match="2 DICOM series"):
        read_image(tmp_path)


def test_masks_of_several_times_at_one_position_are_refused(tmp_path):
    image = turned((0, 0, 0), (4, 5, 6))
    seg = seg_of(image, [np.ones((4, 5, 6), bool)])
    groups = seg.PerFrameFunctionalGroupsSequence
    groups[1].PlanePositionSequence = groups[0].PlanePositionSequence
    with pytest.raises(InputError, match="several masks of one segment at one position"):
        read_cases(write_series(image, tmp_path / "series"), write(seg, tmp_path / "seg.dcm"))


def test_without_the_package_the_message_says_what_the_file_is_and_what_to_install(tmp_path, monkeypatch):
    image = turned((0, 0, 0), (4, 5, 6))
    path = write(seg_of(image, [np.ones((4, 5, 6), bool)]), tmp_path / "seg.dcm")
    really = builtins.__import__

    def without(name: str, *args: object, **kwargs: object) -> object:
        if name.split(".")[0] in ("highdicom", "pydicom"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return really(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"is a DICOM segmentation \(SEG\).*needs the package highdicom: pip install"):
        read_segmentation(path, image, "image")


@pytest.mark.parametrize("part", [0.2, 0.6, 0.97])
def test_a_seg_that_was_cut_off_is_refused(tmp_path, part):
    image = turned((0, 0, 0), (4, 50, 60))
    path = write(seg_of(image, [np.ones((4, 50, 60), bool)]), tmp_path / "seg.dcm")
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    with pytest.raises(InputError, match="is damaged"):
        read_cases(write_series(image, tmp_path / "series"), path)


def test_a_seg_that_says_far_more_frames_than_it_has_is_refused_at_once(tmp_path):
    image = turned((0, 0, 0), (4, 5, 6))
    seg = seg_of(image, [np.ones((4, 5, 6), bool)])
    seg.NumberOfFrames = 2**31 - 1
    with pytest.raises(InputError, match="is damaged"):
        read_segmentation(write(seg, tmp_path / "seg.dcm"), image, "image")
