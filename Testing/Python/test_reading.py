"""Images and segmentations from disk: formats, grids, names, layers, and what is refused."""

from __future__ import annotations

import gzip
import os
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import slicerio

from SegQualityQCLib.demo import demo_images, demo_reference
from SegQualityQCLib.errors import InputError
from SegQualityQCLib.reading.cases import read_cases
from SegQualityQCLib.reading.images import read_image


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The demo heart on disk in several formats."""
    folder = tmp_path_factory.mktemp("files")
    image, _ = demo_images()
    for ending in ("nii.gz", "nrrd", "mha"):
        sitk.WriteImage(image, str(folder / f"image.{ending}"))
        sitk.WriteImage(demo_reference(), str(folder / f"labels.{ending}"))
    return folder


def write_seg_nrrd(path, image: sitk.Image, segments: list[dict]) -> None:
    """A .seg.nrrd as Slicer writes it: a labelmap, or a vector image of layers, with the segments in the header."""
    for number, segment in enumerate(segments):
        for key, value in segment.items():
            image.SetMetaData(f"Segment{number}_{key}", str(value))
    image.SetMetaData("Segmentation_MasterRepresentation", "Binary labelmap")
    sitk.WriteImage(image, str(path), useCompression=True)


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


SEGMENTS = [
    {"ID": "Segment_1", "Name": "right ventricle", "LabelValue": 1, "Layer": 0},
    {
        "ID": "Segment_2",
        "Name": "wall",
        "LabelValue": 2,
        "Layer": 0,
        "Tags": "TerminologyEntry:Segmentation category and type~SCT^123037004^Anatomical Structure"
        "~SCT^74281007^Myocardium~^^~Anatomic codes~^^~^^|",
    },
]


def test_a_seg_nrrd_keeps_its_names_and_codes(folder, tmp_path):
    write_seg_nrrd(tmp_path / "s.seg.nrrd", demo_reference(), SEGMENTS)
    cases = read_cases(folder / "image.nrrd", tmp_path / "s.seg.nrrd")
    assert [case.segment for case in cases] == ["right ventricle", "wall"]
    assert [case.terminology_code for case in cases] == [None, "74281007"]
    (case,) = read_cases(folder / "image.nrrd", tmp_path / "s.seg.nrrd", segment="wall")
    assert (sitk.GetArrayFromImage(case.mask) == (sitk.GetArrayFromImage(demo_reference()) == 2)).all()


def test_a_code_of_another_scheme_is_not_taken_for_a_snomed_code(folder, tmp_path):
    segments = [SEGMENTS[0], SEGMENTS[1] | {"Tags": SEGMENTS[1]["Tags"].replace("SCT^74281007", "SRT^T-32600")}]
    write_seg_nrrd(tmp_path / "s.seg.nrrd", demo_reference(), segments)
    assert [case.terminology_code for case in read_cases(folder / "image.nrrd", tmp_path / "s.seg.nrrd")] == [None] * 2


def test_overlapping_segments_are_read_from_their_layers(folder, tmp_path):
    reference = demo_reference()
    heart = sitk.Cast(reference > 0, sitk.sitkUInt8)
    layers = [sitk.GetArrayFromImage(layer).astype(np.uint8).T for layer in (reference == 2, heart)]
    ijk_to_lps = np.diag([*reference.GetSpacing(), 1.0])
    ijk_to_lps[:3, 3] = reference.GetOrigin()
    segments = [
        {"id": "a", "name": "myocardium", "labelValue": 1, "layer": 0},
        {"id": "b", "name": "heart", "labelValue": 1, "layer": 1},
    ]
    content = {"voxels": np.stack(layers), "ijkToLPS": ijk_to_lps, "segments": segments}
    slicerio.write_segmentation(str(tmp_path / "s.seg.nrrd"), content)
    myocardium, whole = read_cases(folder / "image.nrrd", tmp_path / "s.seg.nrrd")
    assert (sitk.GetArrayFromImage(whole.mask) == sitk.GetArrayFromImage(heart)).all()
    assert (sitk.GetArrayFromImage(myocardium.mask) == (sitk.GetArrayFromImage(reference) == 2)).all()


def test_a_cropped_segmentation_is_put_where_it_belongs(folder, tmp_path):
    cropped = demo_reference()[60:190, 60:200, 1:9]
    write_seg_nrrd(tmp_path / "s.seg.nrrd", cropped, SEGMENTS)
    (case,) = read_cases(folder / "image.nrrd", tmp_path / "s.seg.nrrd", segment="wall")
    expected = sitk.GetArrayFromImage(demo_reference()) == 2
    expected[:, :60] = expected[:, 200:] = False
    assert (sitk.GetArrayFromImage(case.mask) == expected).all()
    assert case.flags == ()


def test_an_empty_segment_among_several_does_not_stop_the_others(folder, tmp_path):
    segments = [*SEGMENTS, {"ID": "c", "Name": "nothing", "LabelValue": 9, "Layer": 0}]
    write_seg_nrrd(tmp_path / "s.seg.nrrd", demo_reference(), segments)
    assert len(read_cases(folder / "image.nrrd", tmp_path / "s.seg.nrrd")) == 2
    with pytest.raises(InputError, match=r"segment nothing of .* is empty: .*\(right ventricle \(1\), wall \(2\)\)"):
        read_cases(folder / "image.nrrd", tmp_path / "s.seg.nrrd", segment="nothing")


def test_of_two_segments_of_one_name_one_is_chosen_by_its_label(folder, tmp_path):
    write_seg_nrrd(tmp_path / "s.seg.nrrd", demo_reference(), [segment | {"Name": "Same"} for segment in SEGMENTS])
    with pytest.raises(InputError, match=r"several segments are called 'Same': choose one with --label \(Same \(1\), "):
        read_cases(folder / "image.nrrd", tmp_path / "s.seg.nrrd", segment="Same")
    (case,) = read_cases(folder / "image.nrrd", tmp_path / "s.seg.nrrd", label=2)
    assert (sitk.GetArrayFromImage(case.mask) == (sitk.GetArrayFromImage(demo_reference()) == 2)).all()


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


def write_dicom_series(folder, uid: str) -> sitk.Image:
    image = demo_images()[0]
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for k in range(image.GetSize()[2]):
        plane = image[:, :, k]
        plane = sitk.JoinSeries(plane)[:, :, 0]
        position = image.TransformIndexToPhysicalPoint((0, 0, k))
        tags = {
            "0008|0060": "MR",
            "0020|000e": uid,
            "0008|0018": f"{uid}.{k + 1}",
            "0020|0032": "\\".join(map(str, position)),
            "0020|0037": "1\\0\\0\\0\\1\\0",
            "0020|0013": str(k),
            "0010|0010": "Doe^Jane",
        }
        for tag, value in tags.items():
            plane.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{uid}-{k:02d}.dcm"))
        writer.Execute(plane)
    return image


def test_a_dicom_folder_is_read_as_one_volume(tmp_path):
    image = write_dicom_series(tmp_path, "1.2.3")
    read = read_image(tmp_path)
    assert read.GetSize() == image.GetSize()
    assert np.allclose(read.GetSpacing(), image.GetSpacing()) and np.allclose(read.GetOrigin(), image.GetOrigin())
    assert (sitk.GetArrayFromImage(read) == sitk.GetArrayFromImage(image)).all()


def slice_files(folder) -> list:
    return sorted(folder.glob("*.dcm"))


def moved(path, mm: float) -> None:
    """Write a slice again, moved along the stack."""
    image = sitk.ReadImage(str(path))
    *in_plane, z = image.GetMetaData("0020|0032").split("\\")
    image.SetMetaData("0020|0032", "\\".join([*in_plane, f"{float(z) + mm:g}"]))
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    writer.SetFileName(str(path))
    writer.Execute(image)


DAMAGED_SERIES = {
    "without a slice": (lambda files: files[3].unlink(), "one is missing"),
    "with a slice twice": (lambda files: moved(files[4], -10.0), "several images at one position"),
    "with uneven steps": (lambda files: moved(files[4], 1.0), "unevenly spaced"),
}


@pytest.mark.parametrize("how", DAMAGED_SERIES)
def test_a_dicom_series_that_is_no_even_stack_is_refused(tmp_path, how):
    damage, said = DAMAGED_SERIES[how]
    write_dicom_series(tmp_path, "1")
    files = slice_files(tmp_path)
    damage(files)
    with pytest.raises(InputError, match=said):
        read_image(tmp_path)


def test_a_folder_of_several_series_or_none_is_refused(tmp_path):
    with pytest.raises(InputError, match="no DICOM series"):
        read_image(tmp_path)
    for uid in ("1.2.3", "1.2.4"):
        write_dicom_series(tmp_path, uid)
    with pytest.raises(InputError, match="2 DICOM series"):
        read_image(tmp_path)


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


@pytest.mark.parametrize("content", [b"", b"NRRD0004\n", b"NRRD0004\ntype: uint8\nSegment0_LabelValue:=x\n", b"text"])
def test_a_damaged_seg_nrrd_is_refused(folder, tmp_path, content):
    (tmp_path / "s.seg.nrrd").write_bytes(content)
    with pytest.raises(InputError, match=r"s\.seg\.nrrd"):
        read_cases(folder / "image.nrrd", tmp_path / "s.seg.nrrd")


def test_a_nifti_file_that_was_cut_short_is_refused_and_an_odd_but_whole_one_is_read(tmp_path):
    image, _ = demo_images()
    sitk.WriteImage(image, str(tmp_path / "whole.nii.gz"))
    packed = (tmp_path / "whole.nii.gz").read_bytes()
    content = gzip.decompress(packed)
    sitk.WriteImage(image, str(tmp_path / "pair.hdr"))
    assert (sitk.GetArrayFromImage(read_image(tmp_path / "pair.img")) == sitk.GetArrayViewFromImage(image)).all()
    pixels = (tmp_path / "pair.img").read_bytes()
    cut = {"few.nii.gz": packed[:-9], "half.nii.gz": packed[: len(packed) // 2], "plain.nii": content[:-10]}
    cut["pair.img"] = pixels[: len(pixels) // 2]
    for name, data in cut.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match="last part is missing"):
            read_image(tmp_path / name)
    parts = gzip.compress(content[:5000]) + gzip.compress(content[5000:])
    more = gzip.compress(content + b"...")
    whole = {"parts.nii.gz": parts, "more.nii.gz": more, "w.nii": content, "not_packed.nii.gz": content}
    for name, data in whole.items():
        (tmp_path / name).write_bytes(data)
        assert (sitk.GetArrayFromImage(read_image(tmp_path / name)) == sitk.GetArrayViewFromImage(image)).all()


@pytest.mark.parametrize(
    ("name", "fewest"),  # the last bytes of a TIFF name the program that wrote it
    [("image.gipl", 1), ("image.gipl.gz", 1), ("image.mrc", 1), ("image.tif", 200), ("image.vtk", 1)],
)
def test_a_file_that_was_cut_short_is_refused_where_itk_would_make_up_pixels_or_leave_out_slices(
    tmp_path, name, fewest
):
    image, _ = demo_images()
    path = tmp_path / name
    sitk.WriteImage(image, str(path))
    whole = path.read_bytes()
    assert (sitk.GetArrayFromImage(read_image(path)) == sitk.GetArrayViewFromImage(image)).all()
    for kept in (len(whole) // 2, len(whole) - fewest):
        path.write_bytes(whole[:kept])
        with pytest.raises(InputError, match="last part is missing"):
            read_image(path)


def test_a_vtk_file_of_text_is_read_whole_or_not_at_all(tmp_path):
    header = "# vtk DataFile Version 3.0\nby hand\nASCII\nDATASET STRUCTURED_POINTS\nDIMENSIONS 3 2 2\n"
    header += "SPACING 1 1 1\nORIGIN 0 0 0\nPOINT_DATA 12\nSCALARS scalars short 1\nLOOKUP_TABLE default\n"
    path = tmp_path / "text.vtk"
    path.write_text(header + " ".join(map(str, range(12))) + "\n")
    assert sitk.GetArrayFromImage(read_image(path)).ravel().tolist() == list(range(12))
    path.write_text(header + " ".join(map(str, range(9))) + "\n")
    with pytest.raises(InputError, match="last part is missing"):
        read_image(path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("pixel_type", [sitk.sitkFloat32, sitk.sitkFloat64])
@pytest.mark.parametrize("name", ["image.nii", "image.nii.gz", "image.hdr", "image.img.gz"])
def test_a_nifti_file_with_a_pixel_that_is_no_number_is_refused(tmp_path, name, pixel_type, value):
    image = sitk.Cast(demo_images()[0], pixel_type)
    sitk.WriteImage(image, str(tmp_path / name))
    assert (sitk.GetArrayFromImage(read_image(tmp_path / name)) == sitk.GetArrayViewFromImage(image)).all()
    image[100, 100, 9] = value
    sitk.WriteImage(image, str(tmp_path / name))
    with pytest.raises(InputError, match="NaN or infinite"):
        read_image(tmp_path / name)


def test_a_spacing_of_0_or_below_is_refused_and_not_replaced(tmp_path):
    image, _ = demo_images()
    sitk.WriteImage(image, str(tmp_path / "whole.nii"))
    header = bytearray((tmp_path / "whole.nii").read_bytes())
    for spacing in (0.0, -1.5):
        struct.pack_into("<f", header, 80, spacing)
        (tmp_path / "image.nii").write_bytes(header)
        with pytest.raises(InputError, match="impossible spacing"):
            read_image(tmp_path / "image.nii")
    sitk.WriteImage(image, str(tmp_path / "whole.mha"))
    content = (tmp_path / "whole.mha").read_bytes()
    (tmp_path / "image.mha").write_bytes(content.replace(b"ElementSpacing = 1.5", b"ElementSpacing = -1.5"))
    with pytest.raises(InputError, match="impossible spacing"):
        read_image(tmp_path / "image.mha")


def test_a_folder_in_the_place_of_a_segmentation_is_called_a_folder(folder, tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        read_cases(folder / "image.nrrd", tmp_path)


def test_names_that_are_not_ascii_are_kept(folder, tmp_path):
    names = ["Ventrículo", "心肌", "右心房LV"]
    segments = [{"ID": f"S{n}", "Name": name, "LabelValue": n, "Layer": 0} for n, name in enumerate(names, 1)]
    write_seg_nrrd(tmp_path / "s.seg.nrrd", demo_reference(), segments)
    assert [case.segment for case in read_cases(folder / "image.mha", tmp_path / "s.seg.nrrd")] == names
    (case,) = read_cases(folder / "image.mha", tmp_path / "s.seg.nrrd", segment="心肌")
    assert (sitk.GetArrayFromImage(case.mask) == (sitk.GetArrayFromImage(demo_reference()) == 2)).all()


@pytest.mark.parametrize("numbers", [(1, 2, 3), (0, 2, 11)])
def test_names_belong_to_their_segments_however_these_are_numbered(folder, tmp_path, numbers):
    image = demo_reference()
    for label, number in enumerate(numbers, 1):
        for key, value in {"ID": f"S{label}", "Name": f"name {label}", "LabelValue": label, "Layer": 0}.items():
            image.SetMetaData(f"Segment{number}_{key}", str(value))
    sitk.WriteImage(image, str(tmp_path / "s.seg.nrrd"))
    reference = sitk.GetArrayFromImage(demo_reference())
    for case in read_cases(folder / "image.mha", tmp_path / "s.seg.nrrd"):
        label = int(case.segment.removeprefix("name "))
        assert (sitk.GetArrayFromImage(case.mask) == (reference == label)).all()


def test_a_segment_without_a_name_goes_by_its_identifier(folder, tmp_path):
    write_seg_nrrd(tmp_path / "s.seg.nrrd", demo_reference(), [{"ID": "S2", "Name": "", "LabelValue": 2, "Layer": 0}])
    assert [case.segment for case in read_cases(folder / "image.mha", tmp_path / "s.seg.nrrd")] == ["S2"]


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


def test_a_sheared_nifti_file_is_called_so(tmp_path):
    image = sitk.GetImageFromArray(np.arange(1000, dtype=np.float32).reshape(10, 10, 10))
    sitk.WriteImage(image, str(tmp_path / "image.nii"))
    content = bytearray((tmp_path / "image.nii").read_bytes())
    content[252:256] = struct.pack("<2h", 0, 1)  # no quaternion, a matrix
    content[280:328] = struct.pack("<12f", 1, 0.3, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0)
    (tmp_path / "image.nii").write_bytes(content)
    with pytest.raises(InputError, match="not at right angles"):
        read_image(tmp_path / "image.nii")


def test_a_file_name_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / b"caf\xe9.nii".decode("utf-8", "surrogateescape")
    try:
        path.write_bytes(b"something")
    except OSError:
        pytest.skip("this file system has no such names")
    with pytest.raises(InputError, match="no UTF-8 text"):
        read_image(path)


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
