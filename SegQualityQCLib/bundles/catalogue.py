"""The bundles that come with the library and those in the user's folders."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from pathlib import Path

from ..errors import BundleError
from ..resources import resources_folder
from .bundle import MAX_METADATA_BYTES, ModelBundle, read_inside


def models_folder() -> Path:
    """The folder of the models that come with the library."""
    return resources_folder() / "Models"


def available_bundles(extra_folders: Iterable[str | Path] = ()) -> list[Path]:
    """The bundle folders that come with the library and in the user's folders, sorted by name; none is checked."""
    found = []
    for folder in (models_folder(), *extra_folders):
        if Path(folder).is_dir():
            found += sorted(path.parent.parent for path in Path(folder).glob("*/configs/metadata.json"))
    return found


def find_bundle(name_or_folder: str | Path) -> Path:
    """The folder of a model given by its name or as a folder.

    Raises:
        BundleError: There is none; the message lists the known names.
    """
    folder = Path(name_or_folder)
    if (folder / "configs" / "metadata.json").is_file():
        return folder
    for known in available_bundles():
        if known.name == str(name_or_folder):
            return known
    names = ", ".join(path.name for path in available_bundles()) or "none"
    raise BundleError(f"There is no model {name_or_folder}: give the folder of a bundle, or one of: {names}.")


def bundle_with_checksum(sha256: str, extra_folders: Iterable[str | Path] = ()) -> Path | None:
    """The folder of the bundle whose metadata has this SHA-256, as reports give it; ``None`` if it is not here."""
    for folder in available_bundles(extra_folders):
        content = read_inside(folder, folder / "configs" / "metadata.json", MAX_METADATA_BYTES)
        if hashlib.sha256(content).hexdigest() == sha256:
            return folder
    return None


def default_bundle() -> ModelBundle:
    """The bundled model with the lowest mean absolute error of the structure that most bundled models are for.

    Errors of different structures do not compare: some are easier to judge than others.

    Raises:
        BundleError: No usable model comes with the library.
    """
    bundles = [ModelBundle.load(folder) for folder in available_bundles()]
    if not bundles:
        raise BundleError(f"There is no model in {models_folder()}: install the package again, or give --model FOLDER.")
    codes = [bundle.quality["target"]["snomed"]["value"] for bundle in bundles]
    most = max(codes, key=codes.count)
    return min((bundle for bundle, code in zip(bundles, codes, strict=True) if code == most), key=_evaluated_error)


def bundle_for_segment(
    name: str | None, code: str | None = None, extra_folders: Iterable[str | Path] = ()
) -> tuple[ModelBundle, bool]:
    """The best model for a segment, and whether it was trained on that structure.

    Args:
        name: Name of the segment.
        code: SNOMED-CT code of the segment, where it has one.
        extra_folders: Further folders with bundles.

    Returns:
        The matching bundle of the lowest evaluated error and ``True``, or the default bundle and ``False``.
    """
    bundles = []
    for folder in available_bundles(extra_folders):
        try:
            bundles.append(ModelBundle.load(folder))
        except BundleError:
            if folder.parent == models_folder():
                raise  # a damaged installation; a damaged model of the user's own only leaves the choice
    matching = [bundle for bundle in bundles if bundle.target.matches(code, name)]
    if matching:
        return min(matching, key=_evaluated_error), True
    return default_bundle(), False


def _evaluated_error(bundle: ModelBundle) -> float:
    return bundle.quality.get("evaluation", {}).get("mae", math.inf)
