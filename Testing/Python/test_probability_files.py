"""Probabilities from files: what is read, and what is refused with a sentence."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import SimpleITK as sitk

from SegQualityQCLib import read_cases
from SegQualityQCLib.errors import InputError

SHAPE = (4, 10, 12)  # k, j, i


def labels() -> np.ndarray:
    array = np.zeros(SHAPE, np.uint8)
    array[1:3, 2:8, 2:6] = 1
    array[1:3, 2:8, 6:10] = 2
    return array


def classes() -> np.ndarray:
    """Probabilities of the background and of both labels, shape (3, k, j, i)."""
    return np.stack([np.where(labels() == n, 0.9, 0.05) for n in range(3)]).astype(np.float32)


def image_of(array: np.ndarray) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((1.0, 1.5, 4.0))
    image.SetOrigin((5.0, -3.0, 2.0))
    return image


@pytest.fixture
def folder(tmp_path):
    noise = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    sitk.WriteImage(image_of(noise), str(tmp_path / "image.nii.gz"))
    sitk.WriteImage(image_of(labels()), str(tmp_path / "labels.nii.gz"))
    return tmp_path


def read(folder, name, **further):
    return read_cases(folder / "image.nii.gz", folder / "labels.nii.gz", probabilities=folder / name, **further)


def values(case) -> np.ndarray:
    return sitk.GetArrayFromImage(case.probabilities)


def write_4d(path, arrays) -> None:
    sitk.WriteImage(sitk.JoinSeries([image_of(array) for array in arrays]), str(path))


def write_nnunet(folder, properties=None, key="probabilities", array=None) -> None:
    np.savez_compressed(folder / "case.npz", **{key: classes() if array is None else array})
    geometry = {"spacing": (1.0, 1.5, 4.0), "origin": (5.0, -3.0, 2.0), "direction": tuple(np.eye(3).ravel())}
    stored = {"sitk_stuff": geometry, "spacing": [4.0, 1.5, np.float64(1.0)]} if properties is None else properties
    (folder / "case.pkl").write_bytes(stored if isinstance(stored, bytes) else pickle.dumps(stored))


def test_a_map_of_one_structure_is_read(folder):
    sitk.WriteImage(image_of(classes()[2]), str(folder / "p.nii.gz"))
    (case,) = read(folder, "p.nii.gz", label=2)
    assert values(case) == pytest.approx(classes()[2])
    assert case.flags == ()


def test_a_map_of_one_structure_needs_one_segment(folder):
    sitk.WriteImage(image_of(classes()[2]), str(folder / "p.nii.gz"))
    with pytest.raises(InputError, match=r"is of one structure, and the segmentation has 2 segments"):
        read(folder, "p.nii.gz")


def test_the_classes_of_a_4d_file_belong_to_the_labels(folder):
    write_4d(folder / "p.nii.gz", classes())
    for number, case in enumerate(read(folder, "p.nii.gz"), start=1):
        assert values(case) == pytest.approx(classes()[number])


def test_the_classes_of_a_vector_file_belong_to_the_labels(folder):
    sitk.WriteImage(sitk.Compose([image_of(array) for array in classes()]), str(folder / "p.nrrd"))
    assert values(read(folder, "p.nrrd", label=2)[0]) == pytest.approx(classes()[2])


def test_one_file_a_class_is_found_by_its_label(folder):
    for number in (1, 2):
        sitk.WriteImage(image_of(classes()[number]), str(folder / f"p_{number}.mha"))
    for number, case in enumerate(read(folder, "p_{label}.mha"), start=1):
        assert values(case) == pytest.approx(classes()[number])


def test_nnunets_file_is_read_with_its_geometry(folder):
    write_nnunet(folder)
    for number, case in enumerate(read(folder, "case.npz"), start=1):
        assert values(case) == pytest.approx(classes()[number])
        assert case.flags == ()


@pytest.mark.parametrize("reader", ["NibabelIO", "NibabelIOWithReorient"])
def test_nnunets_geometry_of_nibabel_is_read(folder, reader):
    affine = np.diag([-1.0, -1.5, 4.0, 1.0])
    affine[:3, 3] = (-5.0, 3.0, 2.0)
    stuff = {"original_affine": affine}
    if reader == "NibabelIOWithReorient":
        stuff = {"original_affine": affine[[1, 0, 2, 3]], "reoriented_affine": affine}
    write_nnunet(folder, {"nibabel_stuff": stuff})
    (case,) = read(folder, "case.npz", label=1)
    assert values(case) == pytest.approx(classes()[1])
    assert case.flags == ()


class Harmful:
    """Its pickle would make a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_a_pickle_that_would_run_something_is_refused_and_nothing_of_it_runs(folder):
    write_nnunet(folder, pickle.dumps({"sitk_stuff": Harmful(folder / "made")}))
    with pytest.raises(InputError, match=r"it asks for .*open.*: nothing of it was run"):
        read(folder, "case.npz", label=1)
    assert not (folder / "made").exists()


@pytest.mark.parametrize(
    ("properties", "sentence"),
    [
        ({}, "lacks the geometry"),
        ({"sitk_stuff": {"spacing": (1.0,), "origin": (0.0,), "direction": (1.0,)}}, "lacks the geometry"),
        (["a"], "lacks the geometry"),
        (b"not a pickle", "is not the geometry that nnU-Net writes"),
    ],
)
def test_a_wrong_geometry_is_a_sentence(folder, properties, sentence):
    write_nnunet(folder, properties)
    with pytest.raises(InputError, match=sentence):
        read(folder, "case.npz", label=1)


def test_a_missing_geometry_is_a_sentence(folder):
    write_nnunet(folder)
    (folder / "case.pkl").unlink()
    with pytest.raises(InputError, match=r"case\.pkl, which says where case\.npz lies, is missing"):
        read(folder, "case.npz", label=1)


@pytest.mark.parametrize(
    ("key", "array", "sentence"),
    [
        ("other", None, "has none of the arrays"),
        ("probabilities", np.zeros((2, 3), np.float32), "of shape"),
        ("probabilities", np.zeros((2, *SHAPE), np.uint8), "holds uint8"),
    ],
)
def test_an_array_that_is_not_nnunets_is_a_sentence(folder, key, array, sentence):
    write_nnunet(folder, key=key, array=array)
    with pytest.raises(InputError, match=sentence):
        read(folder, "case.npz", label=1)


@pytest.mark.parametrize("keep", [0, 40, 200])
def test_a_cut_npz_is_a_sentence(folder, keep):
    write_nnunet(folder)
    path = folder / "case.npz"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match="cannot be read"):
        read(folder, "case.npz", label=1)


def test_probabilities_on_another_grid_are_resampled_and_said(folder):
    image = image_of(classes()[1])
    coarse = sitk.Resample(image, (6, 10, 4), sitk.Transform(), sitk.sitkLinear, (5.5, -3.0, 2.0), (2.0, 1.5, 4.0))
    sitk.WriteImage(coarse, str(folder / "p.nii.gz"))
    (case,) = read(folder, "p.nii.gz", label=1)
    assert "probabilities_resampled" in case.flags
    assert case.probabilities.GetSize() == case.image.GetSize()


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (classes()[1] * 20 - 10, "if these are logits"),
        (classes()[1] * 100, "if these are percent"),
        ((classes()[1] * 255).astype(np.uint8), "whole numbers from 12 to 229"),
        (labels() // 2, "it is a labelmap"),
        (np.where(labels() == 1, np.nan, 0.5).astype(np.float32), "NaN or infinite"),
    ],
)
def test_what_are_no_probabilities_is_a_sentence(folder, array, sentence):
    sitk.WriteImage(image_of(array), str(folder / "p.nrrd"))
    with pytest.raises(InputError, match=sentence):
        read(folder, "p.nrrd", label=1)


def test_classes_that_do_not_sum_to_one_are_refused(folder):
    write_4d(folder / "p.nii.gz", classes()[1:])
    with pytest.raises(InputError, match="not to 1: give all classes of a softmax, the background first"):
        read(folder, "p.nii.gz", label=1)


def test_classes_in_another_order_than_the_labels_are_refused(folder):
    write_4d(folder / "p.nii.gz", classes()[[0, 2, 1]])
    with pytest.raises(InputError, match=r"0\.90 for class 2 and 0\.05 for class 1: its classes are in another order"):
        read(folder, "p.nii.gz", label=1)


def test_a_label_without_a_class_is_refused(folder):
    write_4d(folder / "p.nii.gz", classes()[:2] / classes()[:2].sum(axis=0))
    with pytest.raises(InputError, match="has the classes 0 to 1, and none for label 2"):
        read(folder, "p.nii.gz", label=2)


def test_classes_on_the_first_axis_are_refused(folder):
    wrong = sitk.GetImageFromArray(np.moveaxis(classes(), 0, -1), isVector=False)  # its axes are class, i, j, k
    sitk.WriteImage(wrong, str(folder / "p.nrrd"))
    with pytest.raises(InputError, match="has its classes on the first axis"):
        read(folder, "p.nrrd", label=1)


def test_a_map_elsewhere_in_space_is_refused(folder):
    image = image_of(classes()[1])
    image.SetOrigin((500.0, 0.0, 0.0))
    sitk.WriteImage(image, str(folder / "p.nii.gz"))
    with pytest.raises(InputError, match="does not reach the segment label 1"):
        read(folder, "p.nii.gz", label=1)


def test_a_missing_file_is_a_sentence(folder):
    with pytest.raises(InputError, match="does not exist: check the path"):
        read(folder, "none.nii.gz", label=1)
