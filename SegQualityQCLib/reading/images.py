"""Images from files and DICOM folders, checked."""

from __future__ import annotations

import contextlib
import os
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path

import SimpleITK as sitk

from ..errors import InputError
from .checks.dicom_series import check_series
from .checks.nifti import check_nifti_file, is_nifti
from .checks.nrrd_header import check_nrrd_header
from .checks.truncation import check_end


def read_image(path: str | Path) -> sitk.Image:
    """Read an image file of any format that SimpleITK knows, or a folder with one DICOM series.

    Raises:
        InputError: It is missing or unreadable, or the folder does not hold exactly one series.
    """
    path = Path(path)
    if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises where a folder above is forbidden
        return _read_dicom_series(path)
    return read_file(path, "image")


def read_file(path: Path, role: str) -> sitk.Image:
    """Read a file of any format that SimpleITK knows.

    Args:
        path: The file.
        role: What messages call it: ``image`` or ``segmentation``.

    Raises:
        InputError: It is missing, unreadable, damaged or of an unknown format.
    """
    if os.path.isdir(path):  # noqa: PTH112
        raise InputError(f"The {role} {path} is a folder: give a file.")
    if not _is_file(path):
        raise InputError(f"The {role} {path} does not exist: check the path.")
    _check_name(path, role)
    try:
        check_nrrd_header(path)
        with _quiet_itk():
            image = sitk.ReadImage(str(path))
            if is_nifti(path):
                check_nifti_file(path, role, image)
            else:
                _check_spacing(path, role)
                check_end(path, role, image)
    except PermissionError as error:
        raise InputError(f"The {role} {path} may not be read: ask for the permission.") from error
    except (RuntimeError, OSError, EOFError, zlib.error) as error:
        if "orthonormal" in str(error):
            raise InputError(
                f"The axes of the {role} {path} are not at right angles: resample it to a grid whose axes are."
            ) from error
        raise InputError(f"The {role} {path} cannot be read: it is damaged or of an unknown format.") from error
    return image


def _is_file(path: Path) -> bool:
    """Whether there is a file; also true where its folder may not be read: opening the file says so."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False


def _check_name(path: Path, role: str) -> None:
    """Refuse a file name that is not UTF-8 text: ITK would end the process on it."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        raise InputError(f"The name of the {role} {str(path)!a} is not UTF-8 text: rename it.") from None


def _check_spacing(path: Path, role: str) -> None:
    """Refuse a negative spacing: ITK would reverse the axis."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    spacing = reader.GetSpacing()
    if min(spacing[:3]) < 0:
        raise InputError(f"The {role} {path} has an impossible spacing {spacing} mm: correct its header.")


def _read_dicom_series(folder: Path) -> sitk.Image:
    _check_name(folder, "folder")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise InputError(f"The folder {folder} may not be read: ask for the permission.")
    with _quiet_itk():
        series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
        if len(series) != 1:
            count = len(series) or "no"
            raise InputError(f"The folder {folder} holds {count} DICOM series: give a folder with exactly one.")
        files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series[0])
        try:
            check_series(files, folder)
            return sitk.ReadImage(files)
        except RuntimeError as error:
            raise InputError(f"The DICOM series in {folder} cannot be read: a file is damaged.") from error


@contextlib.contextmanager
def _quiet_itk() -> Iterator[None]:
    """Keep ITK's warnings, which C++ writes to the terminal directly, from the user."""
    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(before)
