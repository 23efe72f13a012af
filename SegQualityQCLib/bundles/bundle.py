"""Model bundles: folders with metadata, weights and a model card, checked before anything in them is used.

The layout follows MONAI's bundle format (configs/metadata.json, models/, docs/README.md, LICENSE) with a ``quality``
block in the metadata; docs/bundle-format.md describes each field.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..case.terminology import Target
from ..errors import BundleError
from .header import BundleHeader, TrainedTarget

METADATA = "configs/metadata.json"

# Nothing larger is read: the bundled models are a tenth of it, and a stranger's file must not fill the memory.
_MAX_METADATA_BYTES = 4 * 2**20
MAX_FILE_BYTES = 256 * 2**20


class ModelBundle:
    """A model bundle whose header and checksums are right; make one with :meth:`load`.

    Attributes:
        folder: Where it is.
        header: What it says of itself.
        sha256: SHA-256 of its metadata, which holds those of its other files: reports name their model by it.
    """

    def __init__(self, folder: Path, header: BundleHeader, sha256: str) -> None:
        self.folder = folder
        self.header = header
        self.sha256 = sha256

    @classmethod
    def load(cls, folder: str | Path) -> ModelBundle:
        """Read and check a bundle: its header, and the SHA-256 of each file. The family's block is not looked at.

        Raises:
            BundleError: Something is missing, damaged, unknown or unsafe.
        """
        folder = Path(folder)
        content = _read_inside(folder, folder / METADATA, _MAX_METADATA_BYTES)
        try:
            metadata = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise BundleError(f"The metadata of the model {folder.name} is not JSON: {str(error)[:120]}.") from error
        with unusable_metadata_refused(folder):
            header = BundleHeader.from_metadata(metadata)
        bundle = cls(folder, header, hashlib.sha256(content).hexdigest())
        for file, expected in header.checksums.items():
            bundle._check_file(file, expected)
        return bundle

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.header.name

    @property
    def version(self) -> str:
        """Version of the model."""
        return self.header.version

    @property
    def target(self) -> Target:
        """The first structure that the model knows, which is the only one of most models."""
        return self.header.targets[0].structure

    def target_for(self, code: str | None, name: str | None) -> TrainedTarget | None:
        """What the model knows of a segment with this SNOMED-CT code or name; ``None`` if it does not know it."""
        return next((target for target in self.header.targets if target.structure.matches(code, name)), None)

    def _check_file(self, file: str, expected: str) -> None:
        content = _read_inside(self.folder, self.folder / file, MAX_FILE_BYTES)
        if hashlib.sha256(content).hexdigest() != expected:
            raise BundleError(
                f"The checksum of {file} in the model {self.name} is wrong: the file is damaged or was changed; "
                "install the model again."
            )


def metadata_checksum(folder: Path) -> str:
    """The SHA-256 of a bundle's metadata; nothing else is checked.

    Raises:
        BundleError: The metadata is missing or unsafe.
    """
    return hashlib.sha256(_read_inside(folder, folder / METADATA, _MAX_METADATA_BYTES)).hexdigest()


@contextmanager
def unusable_metadata_refused(folder: Path) -> Iterator[None]:
    """Turn what reading JSON types raises where they are not as they must be into a :class:`BundleError`."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        reason = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)[:200]
        raise BundleError(f"The metadata of the model {folder.name} is not usable: {reason}.") from error


def _read_inside(folder: Path, path: Path, limit: int) -> bytes:
    """The content of a regular file inside a bundle, which no link and no '..' may lead out of."""
    if not os.path.lexists(path):
        raise BundleError(f"The model {folder.name} lacks {path.relative_to(folder)}: install it again.")
    try:
        inside = path.resolve(strict=True).is_relative_to(folder.resolve(strict=True))
        if not inside or not path.is_file() or any(p.is_symlink() for p in (path, path.parent)):
            raise BundleError(f"The file {path.name} of the model {folder.name} leads out of its folder: refused.")
        if path.stat().st_size > limit:
            raise BundleError(f"The file {path.name} of the model {folder.name} is too large for a model: refused.")
        return path.read_bytes()
    except OSError as error:
        raise BundleError(f"The file {path.name} of the model {folder.name} cannot be read: {error}.") from error
