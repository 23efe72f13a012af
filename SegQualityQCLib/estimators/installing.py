"""A checked bundle is copied into a folder of models."""

from __future__ import annotations

import shutil
from pathlib import Path

from ..bundles.bundle import METADATA, ModelBundle
from ..errors import BundleError
from ..storage.atomic_files import replaced_folder
from .loading import load_estimator


def add_bundle(folder: str | Path, models: str | Path) -> Path:
    """Check a bundle with its weights, and copy it into a folder of models; the copy is whole or absent.

    Args:
        folder: The bundle.
        models: Folder of the user's own models; made where it is missing.

    Raises:
        BundleError: The bundle is damaged or unsafe, one of its name is there already, or it cannot be copied.
    """
    bundle = ModelBundle.load(folder)
    load_estimator(bundle, "cpu")
    target = Path(models) / bundle.folder.resolve().name
    if target.exists():
        raise BundleError(f"There is a model {target.name} already: remove {target} first.")
    try:
        with replaced_folder(target) as partial:
            for path in (METADATA, *bundle.header.checksums):  # nothing but what was checked
                (partial / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(bundle.folder / path, partial / path)
            ModelBundle.load(partial)
    except OSError as error:
        raise BundleError(f"The model {bundle.name} cannot be copied to {models}: {error}.") from error
    return target
