"""A folder per case with DICOM files: which series each SEG or RTSTRUCT was drawn on, by their identifiers."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..reading.dicom.belonging import referenced_series
from ..reading.dicom.files import DicomKind, dicom_kind, series_of_file

_NOTHING_DRAWN = "no DICOM SEG or RTSTRUCT here"  # the name of a file that is not there: the case's error quotes it


@dataclass(frozen=True)
class DicomCase:
    """A case by its files.

    Attributes:
        name: That of its folder, with the place of the segmentation in it where there are several.
        image: The folder of the series.
        segmentation: The SEG or RTSTRUCT; a file that does not exist where there is none.
    """

    name: str
    image: Path
    segmentation: Path


def dicom_cases(folder: Path) -> list[DicomCase]:
    """The cases of a folder that has a folder for each, by name; none where no DICOM segmentation is found.

    Args:
        folder: The folder.

    Raises:
        InputError: A folder may not be read, or a DICOM file needs a package that is not there.
    """
    found = [case for one in sorted(folder.iterdir()) if _is_case(one) for case in _cases_in(one)]
    return found if any(case.segmentation.name != _NOTHING_DRAWN for case in found) else []


def _is_case(folder: Path) -> bool:
    if folder.name.startswith(".") or not folder.is_dir():
        return False
    if not os.access(folder, os.R_OK | os.X_OK):
        raise InputError(f"The folder {folder} may not be read: ask for the permission, or write a manifest.")
    return True


def _cases_in(folder: Path) -> Iterator[DicomCase]:
    kinds = {path: dicom_kind(path) for path in sorted(folder.rglob("*")) if path.is_file() and path.name[0] != "."}
    drawn = [path for path, kind in kinds.items() if kind in (DicomKind.SEGMENTATION, DicomKind.CONTOURS)]
    images = [path for path, kind in kinds.items() if kind in (DicomKind.MULTIFRAME, DicomKind.OTHER)]
    if images and not drawn:
        yield DicomCase(folder.name, images[0].parent, folder / _NOTHING_DRAWN)
    for path in drawn:
        place = path.relative_to(folder).as_posix().removesuffix(".dcm")
        name = folder.name if len(drawn) == 1 else f"{folder.name} {place}"
        yield DicomCase(name, _folder_of_series(folder, images, path), path)


def _folder_of_series(folder: Path, images: Collection[Path], drawn: Path) -> Path:
    """The folder of the series that a segmentation names; the case's own where it is not found, so that reading says
    so.
    """
    folders = sorted({path.parent for path in images})
    if len(folders) == 1:
        return folders[0]  # reading chooses among the series in it
    try:
        wanted = referenced_series(drawn)
    except InputError:  # a damaged file is an error of its case
        return folder
    # One file tells the series of most folders: the rest are opened only where that is not enough.
    firsts = [next(path for path in images if path.parent == one) for one in folders]
    return next((path.parent for path in (*firsts, *images) if series_of_file(path) in wanted), folder)
