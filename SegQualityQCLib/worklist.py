"""A worklist: the cases of a cohort, worst first, and what their reviewers decided.

It needs the standard library alone. Every action is one short transaction, so that two annotators in two windows or on
two machines never get the same case from :meth:`Worklist.next` and never overwrite each other.
"""

from __future__ import annotations

import os
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from .cohort.manifest import CohortCase, read_manifest
from .cohort.results import CaseResult, CohortFolder, urgency
from .errors import WorklistError
from .versions import publish_version
from .worklist_sessions import dead_sessions, sign_of_life
from .worklist_storage import PATIENCE_S, WorklistStorage, damaged

FILE_NAME = "worklist.sqlite"

_WORST_FIRST = "ORDER BY urgency, dice, position"


class ReviewStatus(str, Enum):
    """Where the review of a case stands."""

    TODO = "to do"
    IN_PROGRESS = "in progress"
    ACCEPTED = "accepted"
    CORRECTED = "corrected"
    FLAGGED = "flagged"


DECISIONS = (ReviewStatus.ACCEPTED, ReviewStatus.CORRECTED, ReviewStatus.FLAGGED)


@dataclass(frozen=True)
class WorklistCase:
    """A case of a worklist.

    Attributes:
        name: Its name.
        image: Image file or DICOM folder.
        segmentation: The original segmentation.
        label: Label value of the segment, where the manifest chose one.
        segment: Name of the segment, where the manifest chose one.
        dice: Predicted volume Dice of its worst segment, with ``low`` and ``high``; ``None`` where there is none.
        scored_segment: That segment.
        worst_slice: Where to look first.
        reason: Why it cannot be scored.
        result: The stored scores (a :class:`~SegQualityQCLib.cohort.results.CaseResult` in JSON).
        status: Where its review stands.
        reviewer: Who has it open or decided.
        opened: When it was opened last, seconds since 1970.
        decided: When it was decided.
        comment: The reviewer's words.
        saved: The latest saved version.
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

    @property
    def latest(self) -> Path:
        """The segmentation to go on with: the latest version, else the original."""
        return self.saved or self.segmentation


class Worklist:
    """A session with a worklist; make one with :meth:`open`.

    Attributes:
        path: The SQLite file.
        reviewer: Who works in this session.
        session: Tells this session from all others.
    """

    def __init__(self, storage: WorklistStorage, reviewer: str) -> None:
        self.path = storage.path
        self.reviewer = reviewer
        self.session = uuid.uuid4().hex
        self._storage = storage
        self._folder = self.path.parent
        self._cohort = CohortFolder(self._folder) if self.path.name == FILE_NAME else None

    @classmethod
    def open(cls, source: str | Path, reviewer: str, *, patience_s: float = PATIENCE_S) -> Worklist:
        """Open the worklist of a cohort's result folder or of a CSV manifest; made at the first time beside it.

        What changed there since (new cases, new scores) is taken over; decisions stay.

        Args:
            source: The ``--out`` folder of ``segquality cohort``, a manifest, or a worklist's own file.
            reviewer: Who works.
            patience_s: How long to wait while others write.

        Raises:
            InputError: The folder holds no cohort, or the manifest is wrong.
            WorklistError: The worklist is locked, damaged or cannot be written.
        """
        source = Path(source).absolute()
        if source.name.endswith(".sqlite"):
            if not source.is_file():
                raise WorklistError(f"The worklist {source} does not exist: give a cohort's folder or a manifest.")
            return cls(WorklistStorage(source, patience_s), reviewer)
        if source.is_dir():
            cohort = CohortFolder(source)
            cases = [(case, cohort.read(case.name)) for case in cohort.cases()]
            path = source / FILE_NAME
        else:
            cases = [(case, None) for case in read_manifest(source)]
            path = source.with_name(f"{source.stem}.{FILE_NAME}")
        worklist = cls(WorklistStorage(path, patience_s), reviewer)
        worklist._take_over(cases)
        return worklist

    def cases(self) -> list[WorklistCase]:
        """All cases, worst first: what nobody vouches for, scored ones from the lowest Dice, those not scored yet."""
        with self._storage.transaction() as db:
            return [self._case(row) for row in db.execute(f"SELECT * FROM cases {_WORST_FIRST}")]

    def case(self, name: str) -> WorklistCase:
        """A case by its name.

        Raises:
            WorklistError: There is none.
        """
        with self._storage.transaction() as db:
            return self._case(self._row(db, name))

    def next(self) -> WorklistCase | None:
        """Take the worst case left: one to do, or one that a dead session left open. ``None`` when all are taken."""
        with self._storage.transaction() as db:
            sign_of_life(db, self.session, self.reviewer)
            dead = dead_sessions(db)
            for row in db.execute(f"SELECT * FROM cases WHERE status IN ('to do', 'in progress') {_WORST_FIRST}"):
                if row["status"] == ReviewStatus.TODO.value or row["session"] in dead:
                    return self._claimed(db, row)
            return None

    def open_case(self, name: str, *, take_over: bool = False) -> WorklistCase:
        """Take a certain case, also a decided one.

        Args:
            name: Its name.
            take_over: Take it even from a session that seems alive; that session cannot decide it any more.

        Raises:
            WorklistError: There is none, or another session has it open.
        """
        with self._storage.transaction() as db:
            sign_of_life(db, self.session, self.reviewer)
            row = self._row(db, name)
            theirs = row["status"] == ReviewStatus.IN_PROGRESS.value and row["session"] != self.session
            if theirs and not take_over and row["session"] not in dead_sessions(db):
                raise WorklistError(f"The case {name} is open at {row['reviewer']}'s: take another, or take it over.")
            return self._claimed(db, row)

    def decide(self, name: str, decision: ReviewStatus, comment: str = "") -> WorklistCase:
        """Close a case that this session has open, with a decision.

        Raises:
            WorklistError: This session does not have it open, for example since another one took it over.
        """
        if decision not in DECISIONS:
            raise WorklistError(f"{decision.value!r} is no decision: use {', '.join(d.value for d in DECISIONS)}.")
        with self._storage.transaction() as db:
            sign_of_life(db, self.session, self.reviewer)
            self._own(db, name)
            db.execute(
                "UPDATE cases SET status = ?, decided = ?, comment = ?, session = NULL WHERE name = ?",
                (decision.value, time.time(), comment, name),
            )
            self._note(db, name, decision.value, comment)
            return self._case(self._row(db, name))

    def release(self, name: str) -> None:
        """Put back a case that this session has open, as it was before.

        Raises:
            WorklistError: This session does not have it open.
        """
        with self._storage.transaction() as db:
            self._own(db, name)
            db.execute("UPDATE cases SET status = status_before, session = NULL WHERE name = ?", (name,))
            self._note(db, name, "released", "")

    def save(self, name: str, write: Callable[[Path], None]) -> Path:
        """Save a new version of the segmentation of a case that this session has open; see
        :func:`~SegQualityQCLib.versions.publish_version`.

        Raises:
            WorklistError: This session does not have it open, or nothing can be written.
        """
        with self._storage.transaction() as db:
            segmentation = self._case(self._own(db, name)).segmentation
        saved = publish_version(segmentation, write)  # it may take long: outside of the transaction
        with self._storage.transaction() as db:
            sign_of_life(db, self.session, self.reviewer)
            # Taken over while it was written, the file is there and noted, but the other one's version counts.
            db.execute(
                "UPDATE cases SET saved = ? WHERE name = ? AND session = ?", (self._portable(saved), name, self.session)
            )
            self._note(db, name, "saved", saved.name)
        return saved

    def keep_alive(self) -> None:
        """Show that this session is alive; a window calls it once a minute."""
        with self._storage.transaction() as db:
            sign_of_life(db, self.session, self.reviewer)

    def _take_over(self, cases: Iterable[tuple[CohortCase, CaseResult | None]]) -> None:
        """Add new cases and renew the scores of known ones."""
        facts = [self._facts(position, case, result) for position, (case, result) in enumerate(cases)]
        columns = (
            *("name", "position", "image", "segmentation", "label", "segment"),
            *("urgency", "dice", "low", "high", "scored_segment", "worst_slice", "reason"),
        )
        renewed = ", ".join(f"{column} = excluded.{column}" for column in columns[1:])
        with self._storage.transaction() as db:
            db.executemany(
                f"INSERT INTO cases ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))}) "
                f"ON CONFLICT (name) DO UPDATE SET {renewed}",
                facts,
            )

    def _facts(self, position: int, case: CohortCase, result: CaseResult | None) -> tuple:
        known = (case.name, position, self._portable(case.image), self._portable(case.segmentation))
        asked = (case.label, case.segment)
        if result is None:
            return (*known, *asked, 2, None, None, None, None, None, None)
        if not result.reports:
            return (*known, *asked, 0, None, None, None, None, None, result.error)
        report = min(result.reports, key=urgency)
        volume = report.volume
        scores = (volume.dice, volume.low, volume.high, report.case.segment, report.order[0], None)
        return (*known, *asked, int(urgency(report)[0]), *scores)

    def _claimed(self, db: sqlite3.Connection, row: sqlite3.Row) -> WorklistCase:
        open_before = row["status"] == ReviewStatus.IN_PROGRESS.value
        db.execute(
            "UPDATE cases SET status = ?, status_before = ?, session = ?, reviewer = ?, opened = ? WHERE name = ?",
            (
                ReviewStatus.IN_PROGRESS.value,
                row["status_before"] if open_before else row["status"],
                *(self.session, self.reviewer, time.time(), row["name"]),
            ),
        )
        theirs = open_before and row["session"] != self.session
        self._note(db, row["name"], "taken over" if theirs else "opened", row["reviewer"] or "" if theirs else "")
        return self._case(self._row(db, row["name"]))

    def _row(self, db: sqlite3.Connection, name: str) -> sqlite3.Row:
        row = db.execute("SELECT * FROM cases WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise WorklistError(f"The worklist {self.path.name} has no case {name!r}.")
        return row

    def _own(self, db: sqlite3.Connection, name: str) -> sqlite3.Row:
        row = self._row(db, name)
        if row["session"] != self.session or row["status"] != ReviewStatus.IN_PROGRESS.value:
            raise WorklistError(
                f"The case {name} is not open in this window any more (it is {row['status']}, reviewer "
                f"{row['reviewer'] or 'none'}): open it again."
            )
        return row

    def _note(self, db: sqlite3.Connection, name: str, action: str, detail: str) -> None:
        db.execute(
            "INSERT INTO events (time, name, reviewer, session, action, detail) VALUES (?, ?, ?, ?, ?, ?)",
            (time.time(), name, self.reviewer, self.session, action, detail),
        )

    def _case(self, row: sqlite3.Row) -> WorklistCase:
        try:
            return self._checked_case(row)
        except (TypeError, ValueError, AttributeError, LookupError) as error:  # SQLite keeps any type in any column
            raise damaged(self.path) from error

    def _checked_case(self, row: sqlite3.Row) -> WorklistCase:
        result = self._cohort.result_path(row["name"]) if self._cohort is not None else None
        return WorklistCase(
            name=row["name"],
            image=self._absolute(row["image"]),
            segmentation=self._absolute(row["segmentation"]),
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
            saved=None if row["saved"] is None else self._absolute(row["saved"]),
        )

    def _portable(self, path: Path) -> str:
        """A path relative to the worklist: two machines may mount the same drive elsewhere."""
        try:
            return Path(os.path.relpath(path, self._folder)).as_posix()
        except ValueError:  # another drive of Windows
            return str(path)

    def _absolute(self, path: str) -> Path:
        return Path(os.path.normpath(self._folder / path))
