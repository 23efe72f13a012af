"""Images from files and DICOM folders, checked."""

from __future__ import annotations

import contextlib
import os
import stat
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path

import SimpleITK as sitk

from ..errors import InputError
from .checks.dicom_series import check_series
from .checks.nifti import check_nifti_file, is_nifti, is_nifti_2
from .checks.nrrd_header import check_nrrd_header
from .checks.truncation import check_end
from .dicom.belonging import FRAME_OF_REFERENCE_UID, SERIES_UID
from .dicom.files import DicomKind, dicom_kind
from .dicom.multiframe import read_multiframe
from .nifti_forms import read_with_nearest_rotation

# Known, but not read by SimpleITK everywhere.
_OTHER_FORMATS = {".mgz": "FreeSurfer (MGZ)", ".mgh": "FreeSurfer (MGH)", ".mnc": "MINC", ".mnc.gz": "MINC"}


def read_image(path: str | Path, *, frame: int | None = None, drawn_on: Collection[str] = frozenset()) -> sitk.Image:
    """Read an image file of any format that SimpleITK knows, or a folder with a DICOM series.

    Args:
        path: File or folder.
        frame: Which image of a cine or of a 4-D file, from 1.
        drawn_on: Identifiers of the series that the segmentation names: they choose one where a folder holds several.

    Raises:
        InputError: It is missing or unreadable, the folder does not hold exactly one series, or the frame is not there.
    """
    path = Path(path)
    if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises where a folder above is forbidden
        return _read_dicom_series(path, frame, drawn_on)
    return read_file(path, "image", frame)


def read_file(path: Path, role: str, frame: int | None = None) -> sitk.Image:
    """Read a file of any format that SimpleITK knows.

    Args:
        path: The file.
        role: What messages call it: ``image`` or ``segmentation``.
        frame: Which image of a cine or of a 4-D file, from 1.

    Raises:
        InputError: It is missing, unreadable, damaged or of an unknown format.
    """
    if os.path.isdir(path):  # noqa: PTH112
        raise InputError(f"The {role} {path} is a folder: give a file.")
    if not _is_file(path):
        raise InputError(f"The {role} {path} does not exist: check the path.")
    _check_name(path, role)
    if dicom_kind(path) is DicomKind.MULTIFRAME:
        image = read_multiframe(path, role, frame)
        if image is not None:
            return image
    stored = _read_by_itk(path, role)
    # Of a segmentation or a probability map, four dimensions mean something else than frames.
    return chosen_frame(stored, frame, f"The {role} {path}") if role == "image" else stored


def chosen_frame(image: sitk.Image, frame: int | None, what: str) -> sitk.Image:
    """One image of a 4-D file; the image itself where it is not 4-D.

    Args:
        image: The image.
        frame: Which one, from 1; ``None`` where there is but one.
        what: What messages call the file.

    Raises:
        InputError: There are several and none was chosen, or there is none of that number.
    """
    number = image.GetSize()[3] if image.GetDimension() == 4 else 1
    if frame is None:
        if number > 1:
            raise InputError(
                f"{what} is 4-D, with {number} images such as the phases of a cine: choose one with --frame 1 to "
                f"{number} (in a manifest: the column frame), or give a file with one."
            )
        return image
    if not 1 <= frame <= number:
        raise InputError(f"{what} has no frame {frame}: it has {f'1 to {number}' if number > 1 else 'only 1'}.")
    return image[..., frame - 1] if image.GetDimension() == 4 else image


def _read_by_itk(path: Path, role: str) -> sitk.Image:
    try:
        check_nrrd_header(path)
        with _quiet_itk():
            image = _read(path)
            if is_nifti(path):
                check_nifti_file(path, role, image)
            else:
                _check_spacing(path, role)
                if dicom_kind(path) is None:  # the preamble of a DICOM file may be the start of a TIFF
                    check_end(path, role, image)
    except PermissionError as error:
        raise InputError(f"The {role} {path} may not be read: ask for the permission.") from error
    except (RuntimeError, OSError, EOFError, zlib.error) as error:
        if "orthonormal" in str(error):
            raise InputError(
                f"The axes of the {role} {path} are off right angles by more than rounding: resample it to a grid "
                "whose axes are not."
            ) from error
        kind = _other_format(path)
        if kind is not None:
            raise InputError(
                f"The {role} {path} is a file of {kind}, which is not read: save it as NIfTI-1."
            ) from error
        raise InputError(f"The {role} {path} cannot be read: it is damaged or of an unknown format.") from error
    return image


def _read(path: Path) -> sitk.Image:
    try:
        return sitk.ReadImage(str(path))
    except RuntimeError as error:
        image = read_with_nearest_rotation(path) if "orthonormal" in str(error) else None
        if image is None:
            raise
        return image


def _other_format(path: Path) -> str | None:
    """The name of a format that is known and not read; ``None`` for others."""
    known = next((kind for ending, kind in _OTHER_FORMATS.items() if path.name.lower().endswith(ending)), None)
    return known or ("NIfTI-2" if is_nifti(path) and is_nifti_2(path) else None)


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


def _read_dicom_series(folder: Path, frame: int | None, drawn_on: Collection[str]) -> sitk.Image:
    _check_name(folder, "folder")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise InputError(f"The folder {folder} may not be read: ask for the permission.")
    with _quiet_itk():
        files = _files_of_series(folder, drawn_on)
        if any(dicom_kind(Path(file)) is DicomKind.MULTIFRAME for file in files):
            if len(files) > 1:
                raise InputError(
                    f"The DICOM series in {folder} has {len(files)} files, of which some hold many frames: give the "
                    "one file that you mean."
                )
            return read_file(Path(files[0]), "image", frame)
        try:
            check_series(files, folder)
            image = sitk.ReadImage(files)
            for key, value in _identifiers(files[0]).items():
                image.SetMetaData(key, value)
        except RuntimeError as error:
            raise InputError(f"The DICOM series in {folder} cannot be read: a file is damaged.") from error
    return chosen_frame(image, frame, f"The DICOM series in {folder}")


def _files_of_series(folder: Path, drawn_on: Collection[str]) -> tuple[str, ...]:
    """The files of the one series of images in a folder, or of the one that the segmentation names."""
    series = {
        uid: sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), uid)
        for uid in sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    }
    drawn = (DicomKind.SEGMENTATION, DicomKind.CONTOURS)
    images = {uid: files for uid, files in series.items() if files and dicom_kind(Path(files[0])) not in drawn}
    if len(images) > 1:
        images = {uid: files for uid, files in images.items() if uid in drawn_on} or images
    if len(images) != 1:
        count = len(images) or "no"
        other = ", and the segmentation names none of them" if drawn_on and images else ""
        raise InputError(f"The folder {folder} holds {count} DICOM series{other}: give a folder with exactly one.")
    return next(iter(images.values()))


def _identifiers(file: str) -> dict[str, str]:
    """What tells whether a segmentation was drawn on the series of a file; a series loses it when ITK stacks it."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(file)
    reader.ReadImageInformation()
    keys = (SERIES_UID, FRAME_OF_REFERENCE_UID)
    return {key: reader.GetMetaData(key) for key in keys if reader.HasMetaDataKey(key)}


@contextlib.contextmanager
def _quiet_itk() -> Iterator[None]:
    """Keep ITK's warnings, which C++ writes to the terminal directly, from the user."""
    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(before)
