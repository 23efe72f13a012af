"""Cases from files: labels, choice, grids, and what is refused."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from heart_files import write_heart

from SegQualityQCLib.demo import demo_images, demo_reference
from SegQualityQCLib.errors import InputError
from SegQualityQCLib.reading.cases import cut_cases, read_cases
from SegQualityQCLib.reading.segments import Segment, SegmentationFile


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The demo heart on disk in several formats."""
    return write_heart(tmp_path_factory.mktemp("files"))


@pytest.mark.parametrize("ending", ["nii.gz", "nrrd", "mha"])
def test_all_labels_of_a_labelmap_are_cases_under_their_own_names(folder, ending):
    cases = read_cases(folder / f"image.{ending}", folder / f"labels.{ending}")
    assert [case.segment for case in cases] == ["label 1", "label 2", "label 3"]
    reference = sitk.GetArrayFromImage(demo_reference())
    for case, label in zip(cases, (1, 2, 3), strict=True):
        assert (sitk.GetArrayFromImage(case.mask) == (reference == label)).all()


def test_a_label_is_chosen_by_its_value(folder):
    (case,) = read_cases(folder / "image.mha", folder / "labels.mha", label=2)
    assert case.segment == "label 2"


def test_hundreds_of_values_without_names_are_an_image_until_one_is_chosen(folder, tmp_path):
    with pytest.raises(InputError, match=r"different values.*swapped.*--label"):
        read_cases(folder / "labels.nii.gz", folder / "image.nii.gz")
    probability = sitk.Cast(demo_reference() == 2, sitk.sitkFloat32)
    smooth = sitk.SmoothingRecursiveGaussian(probability, 4.0)
    sitk.WriteImage(sitk.Cast(sitk.Round(smooth * 255), sitk.sitkUInt8), str(tmp_path / "p.nii.gz"))
    with pytest.raises(InputError, match="probability map"):
        read_cases(folder / "image.nii.gz", tmp_path / "p.nii.gz")
    sitk.WriteImage(probability * 1.04 - 0.02, str(tmp_path / "f.nii.gz"))
    with pytest.raises(InputError, match=r"between -0\.02 and 1\.02\): threshold"):
        read_cases(folder / "image.nii.gz", tmp_path / "f.nii.gz")
    organs = sitk.GetArrayFromImage(demo_reference())
    organs[0, :2].flat[:117] = range(1, 118)
    many = sitk.GetImageFromArray(organs)
    many.CopyInformation(demo_reference())
    sitk.WriteImage(many, str(tmp_path / "organs.nii.gz"))
    with pytest.raises(InputError, match="117 different values"):
        read_cases(folder / "image.nii.gz", tmp_path / "organs.nii.gz")
    (case,) = read_cases(folder / "image.nii.gz", tmp_path / "organs.nii.gz", label=2)
    assert case.segment == "label 2"


def test_a_file_of_one_slice_without_a_position_is_not_held_against_a_stack(folder, tmp_path):
    image, labels = demo_images()[0], demo_reference()
    sitk.WriteImage(image[:, :, 5], str(tmp_path / "image.nrrd"))
    sitk.WriteImage(labels[:, :, 5], str(tmp_path / "labels.nrrd"))
    with pytest.raises(InputError, match=r"image image\.nrrd is 2-D.*labels\.nrrd has 10 slices"):
        read_cases(tmp_path / "image.nrrd", folder / "labels.nrrd", label=2)
    with pytest.raises(InputError, match=r"segmentation labels\.nrrd is 2-D"):
        read_cases(folder / "image.nrrd", tmp_path / "labels.nrrd", label=2)
    (case,) = read_cases(tmp_path / "image.nrrd", tmp_path / "labels.nrrd", label=2)
    assert case.n_slices == 1
    sitk.WriteImage(image[:, :, 5:6], str(tmp_path / "placed.nrrd"))
    (case,) = read_cases(tmp_path / "placed.nrrd", folder / "labels.nrrd", label=2)
    assert (sitk.GetArrayFromImage(case.mask)[0] == (sitk.GetArrayFromImage(labels)[5] == 2)).all()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"label": 99}, "no label 99: it has label 1, label 2, label 3"),
        ({"segment": "spleen"}, "no segment 'spleen'"),
        ({"label": 1, "segment": "spleen"}, "both"),
        ({"label": 1, "axis": "z"}, "axis 'z'"),
    ],
)
def test_a_choice_that_is_not_there_is_answered_with_what_is(folder, options, said):
    with pytest.raises(InputError, match=said):
        read_cases(folder / "image.nrrd", folder / "labels.nrrd", **options)


def test_a_folder_in_the_place_of_a_segmentation_is_called_a_folder(folder, tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        read_cases(folder / "image.nrrd", tmp_path)


def test_a_segment_wholly_outside_the_image_does_not_stop_the_others(tmp_path):
    image, reference = demo_images()[0], sitk.GetArrayFromImage(demo_reference())
    columns = np.flatnonzero((reference == 1).any(axis=(0, 1)))
    first = int(columns[-1]) + 1  # the image begins beside the right ventricle
    sitk.WriteImage(image[first:, :, :], str(tmp_path / "image.nii.gz"))
    sitk.WriteImage(demo_reference(), str(tmp_path / "labels.nii.gz"))
    cases = read_cases(tmp_path / "image.nii.gz", tmp_path / "labels.nii.gz")
    assert [case.segment for case in cases] == ["label 2", "label 3"]
    assert all("segment_left_out" in case.flags for case in cases)
    with pytest.raises(InputError, match="does not overlap"):
        read_cases(tmp_path / "image.nii.gz", tmp_path / "labels.nii.gz", label=1)


@pytest.mark.parametrize("forbidden", ["image.nii.gz", "labels.nii.gz"])
def test_a_file_that_may_not_be_read_is_not_called_damaged(folder, tmp_path, monkeypatch, forbidden):
    for name in ("image.nii.gz", "labels.nii.gz"):
        shutil.copy(folder / name, tmp_path)
    (tmp_path / forbidden).chmod(0)
    if os.access(tmp_path / forbidden, os.R_OK):  # an administrator may read everything
        opened = Path.open

        def refused(path, *arguments, **options):
            if path.name == forbidden:
                raise PermissionError(13, "Permission denied")
            return opened(path, *arguments, **options)

        monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(InputError, match=rf"{forbidden} may not be read"):
        read_cases(tmp_path / "image.nii.gz", tmp_path / "labels.nii.gz", label=2)


class MasksOfTheirOwn(Sequence):
    """Layers of a format in which each segment has a mask on a grid of its own, made when they are asked for."""

    def __init__(self, labels: Sequence[int]):
        self.labels = labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, layer):
        drawn = sitk.Cast(demo_reference() == self.labels[layer], sitk.sitkUInt8)
        shape = sitk.LabelShapeStatisticsImageFilter()
        shape.Execute(drawn)
        return sitk.RegionOfInterest(drawn, shape.GetBoundingBox(1)[3:], shape.GetBoundingBox(1)[:3])


def test_segments_with_masks_of_their_own_are_cut_from_them_and_the_masks_are_released():
    image, reference = demo_images()[0], sitk.GetArrayFromImage(demo_reference())
    segments = tuple(Segment(f"structure {layer}", 1, layer) for layer in range(3))
    file = SegmentationFile("masks", segments, MasksOfTheirOwn((1, 2, 3)), is_named=True)
    assert file.drawn(segments) == list(segments)
    cases = cut_cases(image, "image", file, segments)
    assert [case.segment for case in cases] == ["structure 0", "structure 1", "structure 2"]
    for label, case in enumerate(cases, start=1):
        assert (sitk.GetArrayFromImage(case.mask) == (reference == label)).all()
    assert len(file.layers) == 0


def test_the_words_of_another_file_name_structures_only_where_the_file_has_no_names():
    labelmap = demo_reference()
    without = SegmentationFile("labels", (Segment("label 2", 2),), [labelmap], is_named=False)
    assert without.with_structures({2: "myocardium"}).segments == (Segment("label 2", 2, structure="myocardium"),)
    named = SegmentationFile("labels", (Segment("wall", 2),), [labelmap], is_named=True)
    assert named.with_structures({2: "myocardium"}) == named


def test_a_segment_of_a_layer_that_the_file_does_not_have_is_called_so():
    file = SegmentationFile("s.seg.nrrd", (Segment("wall", 1, layer=4),), [demo_reference()], is_named=True)
    with pytest.raises(InputError, match=r"wall of s\.seg\.nrrd names layer 4, which the file does not have"):
        cut_cases(demo_images()[0], "image", file, file.segments)
    assert file.drawn(file.segments) == []
