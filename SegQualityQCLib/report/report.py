"""The report: one score a slice, the volume's score, the worst-first order and where the numbers come from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..errors import ReportError
from ..storage.json_numbers import finite_number, index_number
from .codes import Measure, SliceFlag, Status

SCHEMA = 1


# Certain errors first, then what could not be scored, then the scored slices from the lowest Dice on.
_URGENCY = {
    Status.GAP: 0,
    Status.OUT_OF_WINDOW: 1,
    Status.UNFAMILIAR: 2,
    Status.SCORED: 3,
    Status.EMPTY: 4,
}


@dataclass(frozen=True)
class SliceScore:
    """The quality of one slice.

    Attributes:
        index: Index along the slice axis in the image's own grid.
        status: What is known of the slice.
        dice: Predicted Dice in [0, 1], or what the report's measure says; ``None`` unless scored.
        low: Lower end of the 90 % interval; ``None`` unless scored and calibrated.
        high: Upper end of the interval; ``None`` unless scored and calibrated.
        area_mm2: Area of the mask in mm².
        flags: Codes of :class:`.codes.SliceFlag`, or others of a newer version.
        evidence: Further figures of the family, by name; not all families have some.
    """

    index: int
    status: Status
    dice: float | None
    low: float | None
    high: float | None
    area_mm2: float
    flags: tuple[str, ...] = ()
    evidence: Mapping[str, float] = field(default_factory=dict, hash=False)

    @property
    def is_plainly_empty(self) -> bool:
        """Whether nothing is drawn here and no flag says that something may be missing."""
        return self.status is Status.EMPTY and not self.flags

    def is_low(self, threshold: float) -> bool:
        """Whether the slice is a gap, or its predicted Dice below the threshold."""
        return self.status is Status.GAP or (self.dice is not None and self.dice < threshold)


@dataclass(frozen=True)
class ModelIdentity:
    """Which model made a report; ``sha256`` is that of the bundle's metadata, which holds those of the weights."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True)
class CaseDescription:
    """What was assessed: names as the user gave them, slice axis (i, j or k), spacing along i, j, k, slice count."""

    image: str
    segmentation: str
    segment: str
    axis: str
    spacing_mm: tuple[float, float, float]
    slices: int


@dataclass(frozen=True)
class VolumeScore:
    """Predicted Dice of the whole volume with its 90 % interval; ``None`` where no slice could be scored.

    The interval is ``None`` where the report is not calibrated. ``evidence`` holds further figures, by name.
    """

    dice: float | None
    low: float | None
    high: float | None
    evidence: Mapping[str, float] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Provenance:
    """How a report was made: version of the library, UTC time (ISO 8601) and the parameters that repeat it."""

    library_version: str
    created: str
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class QualityReport:
    """The scores of one segment of one segmentation.

    Attributes:
        model: Which model made it.
        case: What was assessed.
        volume: The score of the whole volume.
        slices: One score a slice, in ascending index.
        provenance: How it was made.
        flags: Codes of :class:`.codes.CaseFlag`, or others of a newer version.
        measure: What the numbers of slices and volume are.
    """

    model: ModelIdentity
    case: CaseDescription
    volume: VolumeScore
    slices: tuple[SliceScore, ...]
    provenance: Provenance
    flags: tuple[str, ...] = ()
    measure: Measure = Measure.PREDICTED_DICE

    @property
    def is_calibrated(self) -> bool:
        """Whether the numbers are a predicted Dice with an interval."""
        return self.measure is Measure.PREDICTED_DICE

    @property
    def order(self) -> tuple[int, ...]:
        """All slice indices, worst first: gaps, out of the field of view, unfamiliar, scored, empty."""
        return tuple(score.index for score in sorted(self.slices, key=urgency))

    @property
    def drawn(self) -> int:
        """Number of slices on which something is drawn."""
        return sum(score.area_mm2 > 0 for score in self.slices)

    @property
    def gaps(self) -> int:
        """Number of slices on which nothing is drawn between drawn ones."""
        return sum(score.status is Status.GAP for score in self.slices)

    def slice(self, index: int) -> SliceScore:
        """The score of the slice with this index."""
        return next(score for score in self.slices if score.index == index)

    def below(self, threshold: float) -> tuple[SliceScore, ...]:
        """The scored slices whose predicted Dice is below the threshold, lowest first."""
        low = [score for score in self.slices if score.dice is not None and score.dice < threshold]
        return tuple(sorted(low, key=lambda score: (score.dice, score.index)))

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON types, after the schema in docs/schemas.md."""
        measure = {} if self.is_calibrated else {"measure": self.measure.value}
        return {
            "schema": SCHEMA,
            **measure,
            "model": asdict(self.model),
            "case": asdict(self.case) | {"spacing_mm": list(self.case.spacing_mm)},
            "volume": _with_evidence(asdict(self.volume)),
            "slices": [
                _with_evidence(asdict(score)) | {"status": score.status.value, "flags": list(score.flags)}
                for score in self.slices
            ],
            "order": list(self.order),
            "flags": list(self.flags),
            "provenance": asdict(self.provenance),
        }

    def to_json(self) -> str:
        """The report as JSON text."""
        return reports_to_json([self])

    @classmethod
    def from_dict(cls, content: Any) -> QualityReport:
        """Read a report from JSON types.

        Raises:
            ReportError: It does not follow the schema.
        """
        if not isinstance(content, dict) or content.get("schema") != SCHEMA:
            found = content.get("schema") if isinstance(content, dict) else type(content).__name__
            raise ReportError(f"This is not a quality report of schema {SCHEMA} (found {str(found)[:40]!r}).")
        try:
            measure = Measure(content.get("measure", Measure.PREDICTED_DICE))
            report = cls(
                model=ModelIdentity(**_strings(content["model"], "name", "version", "sha256")),
                case=_case_description(content["case"]),
                volume=VolumeScore(*_interval(content["volume"], measure), _evidence(content["volume"])),
                slices=tuple(_slice_score(entry, measure) for entry in content["slices"]),
                provenance=_provenance(content["provenance"]),
                flags=_flags(content["flags"]),
                measure=measure,
            )
            order = tuple(content["order"])
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ReportError(f"The quality report is damaged: {type(error).__name__}: {str(error)[:120]}.") from error
        indices = [score.index for score in report.slices]
        if indices != sorted(set(indices)) or order != report.order:
            raise ReportError("The quality report is damaged: its slices or their order are inconsistent.")
        return report

    @classmethod
    def from_json(cls, text: str) -> QualityReport:
        """Read a report from JSON text.

        Raises:
            ReportError: It is not JSON, or does not follow the schema.
        """
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ReportError(f"This is not JSON: {str(error)[:120]}.") from error
        return cls.from_dict(content)

    @classmethod
    def read_json(cls, path: str | Path) -> QualityReport:
        """Read a report from a JSON file.

        Raises:
            ReportError: The file is missing, cannot be read, or is not a report.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ReportError(f"The report {path} cannot be read: {error}.") from error
        return cls.from_json(text)


def reports_to_json(reports: Sequence[QualityReport]) -> str:
    """One report as JSON text, several as a list of them."""
    content = [report.to_dict() for report in reports]
    return json.dumps(content[0] if len(content) == 1 else content, indent=2, allow_nan=False) + "\n"


def urgency(score: SliceScore) -> tuple[int, float, int]:
    """The place of a slice in the worst-first order: the smaller, the worse."""
    within = score.dice if score.dice is not None else float(SliceFlag.CHECK not in score.flags)
    return (_URGENCY[score.status], within, score.index)


def _strings(entry: Any, *keys: str) -> dict[str, str]:
    for key in keys:
        if not isinstance(entry[key], str):
            raise TypeError(f"{key} is not a text")
        entry[key].encode()  # half a character cannot be written again
    return {key: entry[key] for key in keys}


def _flags(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(flag, str) for flag in value):
        raise TypeError("flags are not a list of texts")
    "".join(value).encode()
    return tuple(value)


def _with_evidence(entry: dict[str, Any]) -> dict[str, Any]:
    """A slice or a volume as JSON types; evidence stands there only where there is some."""
    if not entry["evidence"]:
        del entry["evidence"]
    return entry


def _evidence(entry: Any) -> dict[str, float]:
    figures = entry.get("evidence", {})
    "".join(figures).encode()
    return {name: finite_number(value) for name, value in figures.items()}


def _interval(entry: Any, measure: Measure) -> tuple[float | None, float | None, float | None]:
    values = tuple(entry[key] for key in ("dice", "low", "high"))
    if all(value is None for value in values):
        return (None, None, None)
    if measure is not Measure.PREDICTED_DICE:
        dice = finite_number(values[0])
        if values[1:] != (None, None) or not 0 <= dice <= 1:
            raise ValueError(f"the {measure} {dice} has an interval, or is not within 0 and 1")
        return (dice, None, None)
    dice, low, high = (finite_number(value) for value in values)
    if not 0 <= low <= dice <= high <= 1:
        raise ValueError(f"low {low}, dice {dice}, high {high} are not in order within 0 and 1")
    return (dice, low, high)


def _slice_score(entry: Any, measure: Measure) -> SliceScore:
    status = Status(entry["status"])
    dice, low, high = _interval(entry, measure)
    if (status is Status.SCORED) != (dice is not None):
        raise ValueError(f"slice {entry['index']} is {status.value} with Dice {dice}")
    return SliceScore(
        index_number(entry["index"]),
        status,
        *(dice, low, high),
        finite_number(entry["area_mm2"]),
        _flags(entry["flags"]),
        _evidence(entry),
    )


def _case_description(entry: Any) -> CaseDescription:
    x, y, z = (finite_number(value) for value in entry["spacing_mm"])
    if entry["axis"] not in ("i", "j", "k"):
        raise ValueError("the axis is not i, j or k")
    texts = _strings(entry, "image", "segmentation", "segment", "axis")
    return CaseDescription(**texts, spacing_mm=(x, y, z), slices=index_number(entry["slices"]))


def _provenance(entry: Any) -> Provenance:
    if not isinstance(entry["parameters"], dict):
        raise TypeError("the parameters are not a table")
    json.dumps(entry["parameters"], allow_nan=False)
    return Provenance(**_strings(entry, "library_version", "created"), parameters=entry["parameters"])
