"""A DICOM folder is read as one volume, or refused with a sentence."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from SegQualityQCLib.demo import demo_images
from SegQualityQCLib.errors import InputError
from SegQualityQCLib.reading.images import read_image


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
    assert np.allclose(read.GetSpacing(), image.GetSpacing())
    assert np.allclose(read.GetOrigin(), image.GetOrigin())
    assert (sitk.GetArrayFromImage(read) == sitk.GetArrayFromImage(image)).all()


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
def test_a_dicom_series_that_is_not_an_even_stack_is_refused(tmp_path, how):
    damage, said = DAMAGED_SERIES[how]
    write_dicom_series(tmp_path, "1")
    files = sorted(tmp_path.glob("*.dcm"))
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
