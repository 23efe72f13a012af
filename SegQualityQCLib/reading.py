"""Images and segmentations from disk."""

from __future__ import annotations

from pathlib import Path

import SimpleITK as sitk

from .errors import InputError


def read_image(path: str | Path) -> sitk.Image:
    """Read an image file.

    Raises:
        InputError: The file is missing or unreadable.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"The image {path} does not exist.")
    try:
        return sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise InputError(f"The image {path} cannot be read: it is damaged, or of an unknown format.") from error
