"""The result of one case of a cohort, and what was asked of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import InputError, ReportError
from ..reading.patterns import listed_files
from ..report.report import QualityReport
from ..storage.json_numbers import finite_number
from .manifest import CohortCase

SCHEMA = 1

_ROUNDED_NS = 2 * 10**9


@dataclass(frozen=True)
class CaseResult:
    """The result of one case.

    Attributes:
        case: Its name.
        request: What was asked: place, size and time of its files, label, segment, model, library version.
        reports: One a segment; none where it failed.
        error: Why it failed, in a sentence.
        seconds: How long reading and scoring took.
    """

    case: str
    request: dict[str, Any]
    reports: tuple[QualityReport, ...]
    error: str | None
    seconds: float

    def is_of(self, image: Path, segmentation: Path) -> bool:
        """Whether these files are as they were when the result was made, as far as size and time tell."""
        return all(
            _alike(self.request.get(key), _stamp(path))
            for key, path in (("image", image), ("segmentation", segmentation))
        )

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON types."""
        return {
            "schema": SCHEMA,
            "case": self.case,
            "request": self.request,
            "reports": [report.to_dict() for report in self.reports],
            "error": self.error,
            "seconds": self.seconds,
        }

    @classmethod
    def from_dict(cls, content: Any) -> CaseResult:
        """Read a result from JSON types.

        Raises:
            ReportError: It does not follow the schema.
        """
        try:
            if content["schema"] != SCHEMA:
                raise ReportError(f"This is not a result of schema {SCHEMA}.")
            reports = tuple(QualityReport.from_dict(entry) for entry in content["reports"])
            error, seconds = content["error"], finite_number(content["seconds"])
            return cls(
                str(content["case"]), dict(content["request"]), reports, None if error is None else str(error), seconds
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ReportError(
                f"The result of a case is damaged: {type(error).__name__}: {str(error)[:120]}."
            ) from error

    @classmethod
    def read(cls, path: Path) -> CaseResult | None:
        """The result in a file; ``None`` where there is none, or none that can be read."""
        try:
            return cls.from_dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, RecursionError, ReportError):
            return None


def request_of(case: CohortCase, model: str | None, method: str = "auto") -> dict[str, Any]:
    """What is asked of a case: a result made for the same request need not be made again."""
    asked: dict[str, Any] = {
        "image": _stamp(case.image),
        "segmentation": _stamp(case.segmentation),
        "label": case.label,
        "segment": case.segment,
        "model": case.model or model,
        "library": __version__,
    }
    asked |= {"structures": case.structures} if case.structures else {}
    asked |= {"method": method} if method != "auto" else {}
    asked |= {"samples": [_stamp(file) for sample in case.samples for file in _fitting(sample)]} if case.samples else {}
    if case.probabilities is not None:
        maps = case.probabilities.with_name(case.probabilities.name.replace("{label}", "*"))
        asked |= {"probabilities": [_stamp(file) for file in _fitting(maps)]}
    return asked | ({"frame": case.frame} if case.frame is not None else {})


def _fitting(sample: Path) -> list[Path]:
    """The files that a sample's wildcard fits; none is a matter of the reader, which says so."""
    try:
        return listed_files(str(sample))
    except InputError:
        return []


def _stamp(path: Path) -> list[int] | None:
    """Bytes and modification time (ns) of a file, or of a folder's files taken together; ``None`` for neither."""
    try:
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        facts = [file.stat() for file in files]
        return [sum(fact.st_size for fact in facts), max((fact.st_mtime_ns for fact in facts), default=0)]
    except OSError:
        return None


def _alike(before: Any, now: list[int] | None) -> bool:
    """Whether two stamps are those of the same file; network drives round the time to at most two seconds."""
    if now is None or not isinstance(before, list) or len(before) != 2:
        return False
    (size, time), (size_now, time_now) = before, now
    return size == size_now and isinstance(time, int) and abs(time - time_now) <= _ROUNDED_NS
