"""The families of estimators: the only place that names them.

A new family is a folder with a settings class and an estimator class, and one line here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from ..bundles.bundle import ModelBundle, unusable_metadata_refused
from ..case.case import CaseInput
from .base import Estimator

IMAGE_AND_MASK = frozenset({CaseInput.IMAGE, CaseInput.MASK})


class Settings(Protocol):
    """The settings of a family: what its block of a bundle says, checked; importing its module is cheap."""

    @classmethod
    def read(cls, block: Mapping[str, Any], files: Collection[str]) -> Settings:
        """Check the block of a bundle and the names of its files.

        Raises:
            KeyError, ValueError, TypeError, AttributeError, OverflowError: They are not as the family needs them.
        """

    def to_block(self) -> dict[str, Any]:
        """The block, as JSON types."""


@dataclass(frozen=True)
class Family:
    """How a family is checked and loaded.

    Attributes:
        requires: What a case must hold.
        settings: Where its settings class is, ``module:class`` below this package; imported when it is needed.
        estimator: Where its estimator class is, in the same way; it may need a runtime for networks.
        method: What a user calls it; families of one method differ in their models alone.
        built_in: Version of the family where it works without a bundle, not calibrated; empty where it needs one.
    """

    requires: frozenset[CaseInput]
    settings: str
    estimator: str
    method: str = "networks"
    built_in: str = ""

    def settings_class(self) -> type[Settings]:
        """The settings class."""
        return _named(self.settings)

    def estimator_class(self) -> type[Estimator]:
        """The estimator class."""
        return _named(self.estimator)


FAMILIES: dict[str, Family] = {
    "rec-reg": Family(IMAGE_AND_MASK, ".networks.settings:RecRegSettings", ".networks.rec_reg:RecRegEstimator"),
    "direct": Family(IMAGE_AND_MASK, ".networks.settings:DirectSettings", ".networks.direct:DirectEstimator"),
    "agreement": Family(
        frozenset({CaseInput.MASK, CaseInput.SAMPLES}),
        ".uncertainty.settings:AgreementSettings",
        ".uncertainty.agreement:AgreementEstimator",
        "agreement",
        "1.0",
    ),
    "probabilities": Family(
        frozenset({CaseInput.MASK, CaseInput.PROBABILITIES}),
        ".uncertainty.settings:ProbabilitiesSettings",
        ".uncertainty.probabilities:ProbabilitiesEstimator",
        "probabilities",
        "1.0",
    ),
}


def family_of(bundle: ModelBundle) -> Family:
    """The family of a bundle.

    Raises:
        BundleError: This version does not know it.
    """
    with unusable_metadata_refused(bundle.folder):
        if bundle.header.family not in FAMILIES:
            raise ValueError(f"its estimator {bundle.header.family!r} is not one of {', '.join(FAMILIES)}")
        return FAMILIES[bundle.header.family]


def settings_of(bundle: ModelBundle) -> Settings:
    """The settings of a bundle, checked by its family.

    Raises:
        BundleError: They are not usable.
    """
    family = family_of(bundle)
    with unusable_metadata_refused(bundle.folder):
        return family.settings_class().read(bundle.header.block, bundle.header.checksums.keys())


def _named(place: str) -> Any:
    module, name = place.split(":")
    return getattr(import_module(module, __package__), name)
