"""Decisions of reviewers, and where the review of a case stands; the values are stored, and are the words to show."""

from __future__ import annotations

from ..report.codes import Code


class Decision(Code):
    """What a reviewer decides on a slice or on a case."""

    ACCEPTED = "accepted"
    CORRECTED = "corrected"
    FLAGGED = "flagged"


class ReviewStatus(Code):
    """Where the review of a case stands."""

    TODO = "to do"
    IN_PROGRESS = "in progress"
    ACCEPTED = Decision.ACCEPTED.value
    CORRECTED = Decision.CORRECTED.value
    FLAGGED = Decision.FLAGGED.value

    @property
    def is_decided(self) -> bool:
        """Whether a reviewer decided on the case."""
        return self not in (ReviewStatus.TODO, ReviewStatus.IN_PROGRESS)
