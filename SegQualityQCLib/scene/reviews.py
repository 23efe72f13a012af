"""Decisions of reviewers on slices and cases, as the results in the scene keep them."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from ..errors import InputError, ReportError
from ..report.report import QualityReport
from ..review.decisions import Decision

Checksums = Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class Review:
    """A reviewer's decision.

    Attributes:
        decision: What was decided.
        reviewer: Who decided.
        time: When, UTC, ISO 8601.
        comment: The reviewer's words.
        drawn: Checksum of what was drawn on the slice, or in the whole case, when it was decided; ``None`` where that
            was not kept: then the decision is taken to be about what was scored last.
    """

    decision: Decision
    reviewer: str
    time: str
    comment: str = ""
    drawn: int | None = None

    @classmethod
    def now(cls, decision: str, reviewer: str, comment: str = "") -> Review:
        """A decision made now.

        Raises:
            InputError: The decision is unknown, or the reviewer has no name.
        """
        try:
            known = Decision(decision)
        except ValueError:
            raise InputError(f"The decision {decision!r} is not known: use one of {', '.join(Decision)}.") from None
        if not reviewer.strip():
            raise InputError("The decision has no reviewer: enter your name first.")
        return cls(known, reviewer.strip(), datetime.now(timezone.utc).isoformat(timespec="seconds"), comment)

    @classmethod
    def from_dict(cls, content: Any) -> Review:
        """Read a review from JSON types.

        Raises:
            ReportError: They are not those of a review.
        """
        try:
            review = cls(**content)
            review = replace(review, decision=Decision(review.decision))
        except (TypeError, ValueError) as error:
            raise ReportError(f"A review is damaged: {error}.") from error
        texts = (review.reviewer, review.time, review.comment)
        is_checksum = review.drawn is None or isinstance(review.drawn, int)
        if not is_checksum or not all(isinstance(text, str) for text in texts):
            raise ReportError("A review is damaged: assess again.")
        return review


@dataclass(frozen=True)
class Reviews:
    """Reviews of one segmentation: of slices, by segment identifier and slice index, and of the whole case."""

    slices: Mapping[str, Mapping[int, Review]] = field(default_factory=dict)
    case: Review | None = None

    def of(self, segment_id: str, index: int) -> Review | None:
        """The review of a slice; ``None`` before there is one."""
        return self.slices.get(segment_id, {}).get(index)

    def with_slice(self, segment_id: str, index: int, review: Review | None) -> Reviews:
        """The reviews with this one of a slice; given ``None``, without the one of that slice."""
        slices = {key: dict(entries) for key, entries in self.slices.items()}
        entries = slices.setdefault(segment_id, {})
        if review is None:
            entries.pop(index, None)
        else:
            entries[index] = review
        return Reviews(slices, self.case)

    def with_case(self, review: Review | None) -> Reviews:
        """The reviews with a decision on the whole case."""
        return Reviews(self.slices, review)

    def that_hold(self, drawn: Checksums, scored: Checksums) -> Reviews:
        """The reviews of slices that are drawn as they were when decided; a flagged slice stays flagged.

        Args:
            drawn: Checksums of the slices as they are drawn now, by segment identifier; others have no reviews.
            scored: Checksums of the slices as they were scored last.
        """

        def holds(key: str, index: int, review: Review) -> bool:
            now, was = list(drawn[key])[index : index + 1], list(scored.get(key, ()))[index : index + 1]
            return bool(now) and (
                review.decision is Decision.FLAGGED or now == (was if review.drawn is None else [review.drawn])
            )

        slices = {
            key: {index: review for index, review in entries.items() if holds(key, index, review)}
            for key, entries in self.slices.items()
            if key in drawn
        }
        case = self.case
        if case is not None and case.drawn != checksum_of_case(drawn):
            of_the_scored = case.drawn is None or case.drawn == checksum_of_case(scored)
            same = all(list(scored.get(key, ())) == list(sums) for key, sums in drawn.items())
            case = case if of_the_scored and same else None
        return Reviews(slices, case)

    def to_dict(self) -> dict[str, Any]:
        """The reviews as JSON types."""
        slices = {
            key: {str(index): asdict(review) for index, review in entries.items()}
            for key, entries in self.slices.items()
        }
        return {"slices": slices, "case": None if self.case is None else asdict(self.case)}

    @classmethod
    def from_dict(cls, content: Any) -> Reviews:
        """Read reviews from JSON types.

        Raises:
            ReportError: They are damaged.
        """
        try:
            slices = {
                str(key): {int(index): Review.from_dict(entry) for index, entry in entries.items()}
                for key, entries in content["slices"].items()
            }
            case = content["case"]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ReportError("The reviews in the scene are damaged: assess again.") from error
        return cls(slices, None if case is None else Review.from_dict(case))


def checksum_of_case(checksums: Checksums) -> int:
    """One number for the checksums of all slices of all segments."""
    return zlib.crc32(json.dumps({key: list(sums) for key, sums in checksums.items()}, sort_keys=True).encode())


def low_slices(report: QualityReport, before: Mapping[int, float | None], threshold: float) -> tuple[int, ...]:
    """The slices to check: gaps, and those below the threshold now or before they were edited.

    Args:
        report: The report as it is now.
        before: Predicted Dice of edited slices before their first edit, where they had one.
        threshold: Dice below which a slice is low.
    """
    return tuple(
        score.index
        for score in report.slices
        if score.is_low(threshold) or _was_below(before.get(score.index), threshold)
    )


def _was_below(dice: float | None, threshold: float) -> bool:
    return dice is not None and dice < threshold
