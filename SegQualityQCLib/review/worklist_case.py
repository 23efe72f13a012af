"""A case of a worklist, and how it is read from the rows of the database."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..cohort.case_result import CaseResult
from ..cohort.manifest import CohortCase
from ..cohort.results import urgency
from ..report.codes import CaseFlag
from ..storage.portable_paths import absolute, portable
from ..storage.saved_versions import version_number
from .decisions import ReviewStatus

FACTS = (
    *("name", "position", "image", "segmentation", "label", "segment"),
    *("urgency", "dice", "low", "high", "scored_segment", "worst_slice", "reason"),
)
"""The columns that a cohort determines; the others belong to the review."""

_NOT_SCORED_YET = 2  # behind what failed or has no score (0) and what is scored (1)
_FAILED = 0


@dataclass(frozen=True)
class WorklistCase:
    """A case of a worklist.

    Attributes:
        name: Its name.
        image: Image file or DICOM folder.
        segmentation: The original segmentation.
        label: Label value of the segment, where the manifest chose one.
        segment: Name of the segment, where the manifest chose one.
        dice: Predicted volume Dice of its worst segment, with ``low`` and ``high``; ``None`` where there is none. A
            segment that no model is known to fit counts only where there is no other.
        scored_segment: That segment.
        worst_slice: The slice to look at first.
        reason: Why it cannot be scored.
        result: The stored scores (a :class:`~SegQualityQCLib.cohort.results.CaseResult` in JSON).
        status: Where its review stands.
        reviewer: Who has it open or decided.
        opened: When it was opened last, seconds since 1970.
        decided: When it was decided.
        comment: The reviewer's words.
        saved: The latest version that was saved of it.
        latest: The segmentation to go on with: the latest version saved of it, or of another case with the same file,
            else the original.
    """

    name: str
    image: Path
    segmentation: Path
    label: int | None
    segment: str | None
    dice: float | None
    low: float | None
    high: float | None
    scored_segment: str | None
    worst_slice: int | None
    reason: str | None
    result: Path | None
    status: ReviewStatus
    reviewer: str | None
    opened: float | None
    decided: float | None
    comment: str
    saved: Path | None
    latest: Path


def case_of_row(row: sqlite3.Row, latest: Mapping[str, str], folder: Path, result: Path | None) -> WorklistCase:
    """The case of a row of the database.

    Args:
        row: The row.
        latest: See :func:`latest_versions`.
        folder: The folder of the worklist, which stored paths are relative to.
        result: The file of its stored scores, where there can be one.

    Raises:
        ValueError, TypeError, AttributeError, LookupError: A cell holds what no worklist writes.
    """
    return WorklistCase(
        name=row["name"],
        image=absolute(row["image"], folder),
        segmentation=absolute(row["segmentation"], folder),
        label=row["label"],
        segment=row["segment"],
        dice=row["dice"],
        low=row["low"],
        high=row["high"],
        scored_segment=row["scored_segment"],
        worst_slice=row["worst_slice"],
        reason=row["reason"],
        result=result if result is not None and result.is_file() else None,
        status=ReviewStatus(row["status"]),
        reviewer=row["reviewer"],
        opened=row["opened"],
        decided=row["decided"],
        comment=row["comment"],
        saved=None if row["saved"] is None else absolute(row["saved"], folder),
        latest=absolute(latest.get(row["segmentation"], row["segmentation"]), folder),
    )


def latest_versions(db: sqlite3.Connection) -> dict[str, str]:
    """The latest version saved of each segmentation file, whichever case it was saved for."""
    latest: dict[str, str] = {}
    for row in db.execute("SELECT segmentation, saved FROM cases WHERE saved IS NOT NULL"):
        versions = (row["saved"], latest.get(row["segmentation"], row["saved"]))
        latest[row["segmentation"]] = max(versions, key=version_number)
    return latest


def facts_of(
    position: int, case: CohortCase, result: CaseResult | None, folder: Path
) -> tuple[str | float | None, ...]:
    """The cells of :data:`FACTS` of a case.

    Args:
        position: Its place in the manifest.
        case: The case.
        result: Its result, where there is one yet.
        folder: The folder of the worklist.
    """
    known = (case.name, position, portable(case.image, folder), portable(case.segmentation, folder))
    asked = (case.label, case.segment)
    if result is None:
        return (*known, *asked, _NOT_SCORED_YET, None, None, None, None, None, None)
    if not result.reports:
        return (*known, *asked, _FAILED, None, None, None, None, None, result.error)
    # The score of a model that was made for another structure must not decide the place of the case.
    matched = [report for report in result.reports if CaseFlag.MODEL_UNMATCHED not in report.flags]
    report = min(matched or result.reports, key=urgency)
    volume = report.volume
    scores = (volume.dice, volume.low, volume.high, report.case.segment, report.order[0], None)
    return (*known, *asked, int(urgency(report)[0]), *scores)
