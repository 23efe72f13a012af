"""Estimators without a bundle on disk: those of families that need no training, not calibrated."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from ..bundles.bundle import ModelBundle
from ..bundles.header import BundleHeader
from ..errors import InputError
from .registry import FAMILIES


def built_in_bundle(family: str) -> ModelBundle:
    """The bundle, made in memory, of a family that needs no training.

    It knows no structure, since it judges any. Its checksum is that of its metadata, as for any other: reports name it
    by that, and the same version of the family always has the same.

    Raises:
        InputError: The family needs a model.
    """
    known = FAMILIES.get(family)
    if known is None or not known.built_in:
        raise InputError(f"The method {family} needs a model: name one with --model.")
    settings = known.settings_class().read({}, ())
    header = BundleHeader(
        name=family,
        version=known.built_in,
        description=f"{family} of any structure, not calibrated",
        license="Apache-2.0",
        family=family,
        targets=(),
        checksums={},
        block=settings.to_block(),
    )
    metadata = json.dumps(header.to_metadata(), sort_keys=True).encode()
    return ModelBundle(Path(family), header, hashlib.sha256(metadata).hexdigest())


def built_in_with_checksum(sha256: str) -> ModelBundle | None:
    """The built-in bundle that a report names; ``None`` if it is not one of this version."""
    bundles = (built_in_bundle(name) for name, family in FAMILIES.items() if family.built_in)
    return next((bundle for bundle in bundles if bundle.sha256 == sha256), None)
