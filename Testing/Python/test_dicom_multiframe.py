"""Multi-frame DICOM: any order of frames is the same stack; uneven stacks and several phases are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from command_line import segquality
from dicom_files import SHARED, enhanced, header, item, with_pixels, write
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from test_dicom_seg import turned

from SegQualityQCLib.demo import demo_images, demo_reference
from SegQualityQCLib.errors import InputError
from SegQualityQCLib.estimators.loading import load_estimator
from SegQualityQCLib.reading.cases import read_cases
from SegQualityQCLib.reading.images import read_image

FAILING = SHARED / "failing" / "dicom-multiframe"
failing_inputs = pytest.mark.skipif(not FAILING.is_dir(), reason="needs the inputs of shared/data/failing")
SHAPE = (6, 5, 7)


def same(read: sitk.Image, image: sitk.Image) -> bool:
    """Whether two images have the same voxels in space."""
    there = sitk.Resample(sitk.Cast(read, sitk.sitkFloat64), image, sitk.Transform(), sitk.sitkNearestNeighbor, -1e4)
    return read.GetSize() == image.GetSize() and bool(
        np.allclose(sitk.GetArrayFromImage(there), sitk.GetArrayFromImage(image), rtol=1e-6)
    )


def phases(number: int) -> list[sitk.Image]:
    return [turned((20, -40, 75), SHAPE, seed) for seed in range(number)]


def frames_of(number: int) -> list[tuple[int, int]]:
    return [(phase, k) for phase in range(number) for k in range(SHAPE[0])]


@settings(max_examples=25, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(
    degrees=st.tuples(*[st.floats(-180, 180)] * 3),
    order=st.permutations(range(6)),
    shared_geometry=st.booleans(),
    rescaled=st.booleans(),
)
def test_any_order_orientation_and_layout_is_the_same_image(
    tmp_path_factory, degrees, order, shared_geometry, rescaled
):
    image = turned(degrees, SHAPE)
    rescaling = [(2.0 + n, -7.5 * n) for n in range(6)] if rescaled else None
    dataset = enhanced([image], [(0, k) for k in order], shared_geometry=shared_geometry, rescaling=rescaling)
    read = read_image(write(dataset, tmp_path_factory.mktemp("frames") / "image.dcm"))
    expected = sitk.GetArrayFromImage(image).astype(float)
    for number, k in enumerate(order):
        expected[k] = expected[k] * (2.0 + number) - 7.5 * number if rescaled else expected[k]
    values = sitk.GetImageFromArray(expected)
    values.CopyInformation(image)
    assert same(read, values)


@pytest.mark.parametrize("seed", range(3))
def test_the_phases_of_a_cine_are_told_apart_by_their_delays_in_any_order_of_frames(tmp_path, seed):
    images, frames = phases(3), frames_of(3)
    order = [frames[number] for number in np.random.default_rng(seed).permutation(len(frames))]
    path = write(enhanced(images, order, delays_ms=[0, 45.5, 91]), tmp_path / "cine.dcm")
    for number, image in enumerate(images, start=1):
        assert same(read_image(path, frame=number), image)
    with pytest.raises(InputError) as refused:
        read_image(path)
    assert "holds 3 images at each position" in str(refused.value)
    assert "1 (trigger delay 0 ms), 2 (trigger delay 45.5 ms), 3 (trigger delay 91 ms)" in str(refused.value)
    with pytest.raises(InputError, match="has no frame 4"):
        read_image(path, frame=4)


@pytest.mark.parametrize("by_position", [False, True])
def test_phases_that_nothing_names_are_told_apart_by_a_regular_order(tmp_path, by_position):
    images, frames = phases(2), frames_of(2)
    order = sorted(frames, key=lambda one: one[1]) if by_position else frames
    path = write(enhanced(images, order), tmp_path / "cine.dcm")
    assert all(same(read_image(path, frame=n), image) for n, image in enumerate(images, start=1))
    listed = r"1 \(frames 1, 3 ... 11\)" if by_position else r"1 \(frames 1 to 6\), 2 \(frames 7 to 12\)"
    with pytest.raises(InputError, match=listed):
        read_image(path)


def test_phases_that_nothing_tells_apart_are_refused(tmp_path):
    frames = frames_of(2)
    order = [frames[number] for number in np.random.default_rng(0).permutation(len(frames))]
    path = write(enhanced(phases(2), order), tmp_path / "cine.dcm")
    for frame in (None, 1):
        with pytest.raises(InputError, match="neither its header nor their order"):
            read_image(path, frame=frame)


DAMAGE = {
    "a frame missing": (lambda frames: frames[:2] + frames[3:], "one is missing"),
    "a frame of one phase missing": (lambda frames: frames + frames[:2], "1 to 2 images at one position"),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_stack_that_is_not_even_is_refused(tmp_path, how):
    damage, said = DAMAGE[how]
    path = write(enhanced(phases(1), damage(frames_of(1))), tmp_path / "image.dcm")
    with pytest.raises(InputError, match=said):
        read_image(path)


def test_slices_of_several_directions_are_refused(tmp_path):
    dataset = enhanced(phases(1), frames_of(1), shared_geometry=False)
    groups = dataset.PerFrameFunctionalGroupsSequence
    groups[3].PlaneOrientationSequence = [item(ImageOrientationPatient=["1", "0", "0", "0", "1", "0"])]
    with pytest.raises(InputError, match="several directions"):
        read_image(write(dataset, tmp_path / "image.dcm"))


def test_a_cine_without_positions_needs_a_frame(tmp_path):
    array = np.arange(3 * 4 * 5).reshape(3, 4, 5)
    dataset = with_pixels(header("1.2.840.10008.5.1.4.1.1.7.3", "OT"), array)
    dataset.NumberOfFrames, dataset.PixelSpacing = 3, ["1.5", "2.5"]
    path = write(dataset, tmp_path / "cine.dcm")
    read = read_image(path, frame=2)
    assert (sitk.GetArrayFromImage(read) == array[1]).all()
    assert read.GetSpacing() == (2.5, 1.5)
    with pytest.raises(InputError, match=r"3 frames without positions.*--frame 1 to 3"):
        read_image(path)
    del dataset.PixelSpacing
    with pytest.raises(InputError, match="how large its pixels are"):
        read_image(write(dataset, path), frame=2)


def test_a_4d_file_of_any_format_needs_a_frame(tmp_path):
    images = phases(3)
    path = tmp_path / "cine.nii.gz"
    sitk.WriteImage(sitk.JoinSeries(images), str(path))
    assert same(read_image(path, frame=3), images[2])
    with pytest.raises(InputError, match=r"is 4-D, with 3 images.*--frame 1 to 3"):
        read_image(path)
    for number in (0, 4):
        with pytest.raises(InputError, match="has no frame"):
            read_image(path, frame=number)


def test_an_image_that_is_one_stack_has_no_second_frame(tmp_path):
    sitk.WriteImage(phases(1)[0], str(tmp_path / "image.nrrd"))
    assert same(read_image(tmp_path / "image.nrrd", frame=1), phases(1)[0])
    with pytest.raises(InputError, match="has no frame 2: it has only 1"):
        read_image(tmp_path / "image.nrrd", frame=2)


def test_a_multiframe_file_gets_the_report_of_the_nifti_of_the_same_voxels(tmp_path):
    image = sitk.Cast(demo_images()[0], sitk.sitkInt16)
    sitk.WriteImage(image, str(tmp_path / "image.nii.gz"))
    sitk.WriteImage(demo_reference() == 2, str(tmp_path / "mask.nii.gz"))
    order = [(0, int(k)) for k in np.random.default_rng(0).permutation(image.GetSize()[2])]
    path = write(enhanced([image], order), tmp_path / "image.dcm")
    estimator = load_estimator("acdc-lv-myocardium-direct", "cpu")
    expected, found = (
        estimator.assess(read_cases(one, tmp_path / "mask.nii.gz")[0]) for one in (tmp_path / "image.nii.gz", path)
    )
    assert found.volume.dice == pytest.approx(expected.volume.dice, abs=1e-6)
    for one, other in zip(found.slices, expected.slices, strict=True):
        assert (one.status, one.index) == (other.status, other.index)
        assert one.dice == (None if other.dice is None else pytest.approx(other.dice, abs=1e-6))


REFUSED = {
    "enh_cine.dcm": r"2 images at each position.*1 \(frames 1, 3 ... 19\), 2 \(frames 2, 4 ... 20\)",
    "cine_in_folder": "2 images at each position",
    "enh_gap.dcm": "are 10.00 to 20.00 mm apart: one is missing",
}


@failing_inputs
@pytest.mark.parametrize("name", REFUSED)
def test_the_failing_inputs_that_are_no_one_stack_are_refused_with_the_reason(name):
    with pytest.raises(InputError, match=REFUSED[name]):
        read_cases(FAILING / name, FAILING / "lab.nii.gz")


@failing_inputs
@pytest.mark.parametrize(("name", "frame"), [("enh_rev.dcm", None), ("rev_in_folder", None), ("enh_cine.dcm", 1)])
def test_the_failing_inputs_that_are_one_stack_are_that_of_the_sound_file(name, frame):
    (expected,) = read_cases(FAILING / "enh.dcm", FAILING / "lab.nii.gz")
    (case,) = read_cases(FAILING / name, FAILING / "lab.nii.gz", frame=frame)
    assert (sitk.GetArrayFromImage(case.image) == sitk.GetArrayFromImage(expected.image)).all()
    assert (sitk.GetArrayFromImage(case.mask) == sitk.GetArrayFromImage(expected.mask)).all()


@failing_inputs
def test_the_command_scores_the_frame_that_was_chosen():
    files = [str(FAILING / name) for name in ("enh_cine.dcm", "lab.nii.gz")]
    model = ["--model", "acdc-lv-myocardium-direct"]
    refused = segquality("assess", *files, *model)
    assert refused.returncode == 2
    assert "choose one with --frame N" in refused.stderr
    scored = segquality("assess", *files, *model, "--frame", "2")
    assert scored.returncode == 0
    assert "predicted Dice 0.64" in scored.stdout


def test_a_file_that_was_cut_off_is_refused(tmp_path):
    path: Path = write(enhanced(phases(1), frames_of(1)), tmp_path / "image.dcm")
    content = path.read_bytes()
    for part in (0.3, 0.6, 0.95):
        path.write_bytes(content[: int(part * len(content))])
        with pytest.raises(InputError):
            read_image(path)
