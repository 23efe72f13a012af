"""The folder of the models, icons and panels."""

from __future__ import annotations

from pathlib import Path


def resources_folder() -> Path:
    """The folder Resources: inside the package (installed by pip), or beside it (checkout, Slicer's install)."""
    package = Path(__file__).resolve().parent
    inside = package / "Resources"
    return inside if inside.is_dir() else package.parent / "Resources"
