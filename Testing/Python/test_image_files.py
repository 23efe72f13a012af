"""Image files that are damaged or cut short are refused where ITK would read them all the same."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest
import SimpleITK as sitk

from SegQualityQCLib.demo import demo_images
from SegQualityQCLib.errors import InputError
from SegQualityQCLib.reading.images import read_image


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
def test_a_nifti_file_with_a_pixel_that_is_not_a_number_is_refused(tmp_path, name, pixel_type, value):
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


def test_a_sheared_nifti_file_is_called_so(tmp_path):
    image = sitk.GetImageFromArray(np.arange(1000, dtype=np.float32).reshape(10, 10, 10))
    sitk.WriteImage(image, str(tmp_path / "image.nii"))
    content = bytearray((tmp_path / "image.nii").read_bytes())
    content[252:256] = struct.pack("<2h", 0, 1)  # no quaternion, a matrix
    content[280:328] = struct.pack("<12f", 1, 0.3, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0)
    (tmp_path / "image.nii").write_bytes(content)
    with pytest.raises(InputError, match="off right angles"):
        read_image(tmp_path / "image.nii")


def test_a_file_name_that_is_not_text_is_refused(tmp_path):
    path = tmp_path / b"caf\xe9.nii".decode("utf-8", "surrogateescape")
    try:
        path.write_bytes(b"something")
    except OSError:
        pytest.skip("this file system has no such names")
    with pytest.raises(InputError, match="not UTF-8 text"):
        read_image(path)
