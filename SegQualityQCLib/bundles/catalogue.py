"""The bundles that come with the library and those in the user's folders."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..errors import BundleError
from ..resources import resources_folder
from .bundle import METADATA, metadata_checksum


def models_folder() -> Path:
    """The folder of the models that come with the library."""
    return resources_folder() / "Models"


def available_bundles(extra_folders: Iterable[str | Path] = ()) -> list[Path]:
    """The bundle folders that come with the library and in the user's folders, sorted by name; none is checked."""
    found = []
    for folder in (models_folder(), *extra_folders):
        if Path(folder).is_dir():
            found += sorted(path.parent.parent for path in Path(folder).glob(f"*/{METADATA}"))
    return found


def find_bundle(name_or_folder: str | Path) -> Path:
    """The folder of a model given by its name or as a folder.

    Raises:
        BundleError: There is none; the message lists the known names.
    """
    folder = Path(name_or_folder)
    if (folder / METADATA).is_file():
        return folder
    for known in available_bundles():
        if known.name == str(name_or_folder):
            return known
    names = ", ".join(path.name for path in available_bundles()) or "none"
    raise BundleError(f"There is no model {name_or_folder}: give the folder of a bundle, or one of: {names}.")


def bundle_with_checksum(sha256: str, extra_folders: Iterable[str | Path] = ()) -> Path | None:
    """The folder of the bundle whose metadata has this SHA-256, as reports give it; ``None`` if it is not here."""
    return next((folder for folder in available_bundles(extra_folders) if metadata_checksum(folder) == sha256), None)
