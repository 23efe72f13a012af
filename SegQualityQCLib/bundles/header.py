"""The header of a model bundle, typed: what it is and which structures it knows; the rest is its family's own block.

docs/bundle-format.md describes each field of the JSON. Schema 2 is written, schema 1 is still read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..case.terminology import Target
from ..report.calibration import Calibration
from ..storage.json_numbers import finite_number

SCHEMA = 2
_READ = (1, 2)
_TEXTS = ("name", "version", "description", "license")
# What schema 1 kept beside the header's own fields, of its only families.
_BLOCK_OF_SCHEMA_1 = ("window", "intensity", "image_smoothing", "networks", "familiarity")


@dataclass(frozen=True)
class Evaluation:
    """Figures on test patients.

    Attributes:
        test_set: Name of the test set: errors on different ones do not compare. Empty in bundles of schema 1, which do
            not name it.
        figures: By name; ``mae`` is the mean absolute error of the predicted Dice of slices.
    """

    test_set: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def mae(self) -> float:
        """The error by which models are compared; infinite where it was not measured."""
        return self.figures.get("mae", math.inf)


@dataclass(frozen=True)
class TrainedTarget:
    """A structure that a model knows.

    Attributes:
        structure: What it is called.
        snomed_meaning: The SNOMED-CT code in words.
        label: Its label value in the training data.
        calibration: The intervals of its predictions.
        evaluation: How good they are.
    """

    structure: Target
    calibration: Calibration
    evaluation: Evaluation = Evaluation()
    snomed_meaning: str = ""
    label: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """The target as JSON types of schema 2."""
        return {
            "name": self.structure.name,
            "snomed": {"scheme": "SCT", "value": self.structure.snomed, "meaning": self.snomed_meaning},
            "aliases": list(self.structure.aliases),
            "label": self.label,
            "calibration": self.calibration.to_dict(),
            "evaluation": {"test_set": self.evaluation.test_set, **self.evaluation.figures},
        }

    @classmethod
    def from_dict(cls, entry: Any) -> TrainedTarget:
        """Read a target; raises as :meth:`BundleHeader.from_metadata` does."""
        snomed = entry["snomed"]
        structure = Target(entry["name"], snomed["value"], tuple(entry["aliases"]))
        figures = dict(entry.get("evaluation", {}))
        test_set = figures.pop("test_set", "")
        texts = [structure.name, structure.snomed, *structure.aliases, snomed.get("meaning", ""), test_set]
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("its target is not described in texts")
        label = entry.get("label")
        if label is not None and type(label) is not int:
            raise ValueError(f"the label {str(label)[:40]!r} of its target is not a whole number")
        evaluation = Evaluation(test_set, {name: finite_number(value) for name, value in figures.items()})
        calibration = Calibration.from_dict(entry["calibration"])
        return cls(structure, calibration, evaluation, snomed.get("meaning", ""), label)


@dataclass(frozen=True)
class BundleHeader:
    """What a bundle says of itself.

    Attributes:
        name: Name of the model.
        version: Version of the model.
        description: What it does, in a sentence.
        license: Licence of the weights.
        family: Which family of estimators reads its block, such as ``direct``.
        targets: The structures that it knows; at least one.
        checksums: SHA-256 of each of its files, by path inside the bundle; may be empty.
        block: What only its family reads, as JSON types.
        modality: Of the images it was trained on.
        further: Fields of MONAI's bundle format that this library keeps and does not read.
    """

    name: str
    version: str
    description: str
    license: str
    family: str
    targets: tuple[TrainedTarget, ...]
    checksums: Mapping[str, str]
    block: Mapping[str, Any]
    modality: str = ""
    further: Mapping[str, Any] = field(default_factory=dict)

    def to_metadata(self) -> dict[str, Any]:
        """The header as the content of ``configs/metadata.json``, of schema 2."""
        return {
            **{key: getattr(self, key) for key in _TEXTS},
            **self.further,
            "quality": {
                "schema": SCHEMA,
                "estimator": self.family,
                "modality": self.modality,
                "targets": [target.to_dict() for target in self.targets],
                "checksums": dict(self.checksums),
                "family": dict(self.block),
            },
        }

    @classmethod
    def from_metadata(cls, metadata: Any) -> BundleHeader:
        """Read the content of ``configs/metadata.json``, of schema 1 or 2.

        Raises:
            KeyError: A field is missing.
            ValueError: A field has an impossible value.
            TypeError: A field has a wrong type.
            AttributeError: A field has a wrong type.
            OverflowError: A number is too large.
        """
        for key in _TEXTS:
            if not isinstance(metadata[key], str) or not metadata[key]:
                raise ValueError(f"{key} is not a text")
        quality = metadata["quality"]
        schema = quality["schema"]
        if schema not in _READ:
            raise ValueError(f"its schema is {schema!r}, this version reads schemas 1 and 2; update SegQualityQC")
        if schema == 1:
            quality = _as_schema_2(quality)
        targets = tuple(TrainedTarget.from_dict(entry) for entry in quality["targets"])
        if not targets:
            raise ValueError("it names no target")
        if not isinstance(quality["estimator"], str):
            raise ValueError("its estimator is not named")
        if not isinstance(quality["family"], dict):
            raise ValueError("the block of its family is not a table")
        checksums = dict(quality["checksums"])
        if not all(isinstance(value, str) for value in checksums.values()):
            raise ValueError("its checksums are not texts")
        return cls(
            **{key: metadata[key] for key in _TEXTS},
            family=quality["estimator"],
            targets=targets,
            checksums=checksums,
            block=quality["family"],
            modality=str(quality.get("modality", "")),
            further={key: value for key, value in metadata.items() if key not in (*_TEXTS, "quality")},
        )


def _as_schema_2(quality: Any) -> dict[str, Any]:
    """Schema 1 had one target, with calibration and evaluation beside it, and the fields of the networks among all."""
    target = quality["target"] | {key: quality[key] for key in ("calibration", "evaluation") if key in quality}
    return {
        "estimator": quality["estimator"],
        "modality": quality.get("modality", ""),
        "targets": [target],
        "checksums": quality["weights"],
        "family": {key: quality[key] for key in _BLOCK_OF_SCHEMA_1 if key in quality},
    }
