"""A worklist: the cases of a cohort, worst first, and what their reviewers decided.

It needs the standard library alone. Every action is one short transaction, so that two annotators in two windows or on
two machines never get the same case from :meth:`Worklist.next` and never overwrite each other.
"""

from __future__ import annotations

import os
import sqlite3
import time
import uuid
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from ..cohort.manifest import CohortCase, read_manifest
from ..cohort.results import CaseResult, CohortFolder, urgency
from ..errors import WorklistError
from ..storage.portable_paths import absolute, portable
from ..storage.saved_versions import publish_version, version_number
from .database import PATIENCE_S, WorklistCopy, WorklistStorage, damaged
from .sessions import dead_sessions, sign_of_life

FILE_NAME = "worklist.sqlite"

_WORST_FIRST = "ORDER BY urgency, dice, position"
_AS_BEFORE = "status = status_before, reviewer = reviewer_before, opened = opened_before, session = NULL"


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
        dice: Predicted volume Dice of its worst segment, with ``low`` and ``high``; ``None`` where there is none. A
            segment that no model is known to fit counts only where there is no other.
        scored_segment: That segment.
        worst_slice: Where to look first.
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
        self._opened: dict[str, tuple] = {}  # how each case was when this session opened it
        self._folder = self.path.parent
        self._cohort = CohortFolder(self._folder) if self.path.name == FILE_NAME else None

    @classmethod
    def open(
        cls, source: str | Path, reviewer: str, *, patience_s: float = PATIENCE_S, read_only: bool = False
    ) -> Worklist:
        """Open the worklist of a cohort's result folder or of a CSV manifest; made at the first time beside it.

        What changed there since (new cases, new scores, cases that are gone) is taken over; decisions stay.

        Args:
            source: The ``--out`` folder of ``segquality cohort`` or ``cohort.json`` in it, a manifest, or a worklist's
                own file.
            reviewer: Who works.
            patience_s: How long to wait while others write.
            read_only: Work on a copy in memory: nothing is written, and nothing made.

        Raises:
            InputError: The folder holds no cohort, or the manifest is wrong.
            WorklistError: The worklist is locked, damaged or cannot be written.
        """
        source = Path(source).absolute()
        if source.name == "cohort.json":
            source = source.parent
        storage = WorklistCopy if read_only else WorklistStorage
        if source.name.endswith(".sqlite"):
            if not os.path.isfile(source):  # noqa: PTH113 - Path.is_file raises where a folder above is forbidden
                raise WorklistError(f"The worklist {source} does not exist: give a cohort's folder or a manifest.")
            return cls(storage(source, patience_s), reviewer)
        if os.path.isdir(source):  # noqa: PTH112 - as above
            cohort = CohortFolder(source)
            cases = [(case, cohort.read(case.name)) for case in cohort.cases()]
            path = source / FILE_NAME
        else:
            cases = [(case, None) for case in read_manifest(source)]
            path = source.with_name(f"{source.stem}.{FILE_NAME}")
        worklist = cls(storage(path, patience_s), reviewer)
        worklist._take_over(cases)
        return worklist

    def cases(self) -> list[WorklistCase]:
        """All cases, worst first: what nobody vouches for, scored ones from the lowest Dice, those not scored yet.

        A case that is gone from the cohort is among them if it was reviewed.
        """
        with self._storage.transaction() as db:
            latest = self._latest(db)
            rows = db.execute(f"SELECT * FROM cases WHERE NOT gone OR status != 'to do' {_WORST_FIRST}")
            return [self._case(row, latest) for row in rows]

    def case(self, name: str) -> WorklistCase:
        """A case by its name.

        Raises:
            WorklistError: There is none.
        """
        with self._storage.transaction() as db:
            return self._read(db, name)

    def next(self, skipped: Collection[str] = ()) -> WorklistCase | None:
        """Take the worst case left: one to do, or one that a dead session left open. ``None`` when all are taken.

        A case whose segmentation file somebody has open as another case waits.

        Args:
            skipped: Names of cases that are not wanted now.
        """
        with self._storage.transaction() as db:
            sign_of_life(db, self.session, self.reviewer)
            self._restore_decisions(db)
            dead = dead_sessions(db)
            elsewhere = self._open_elsewhere(db)
            for row in db.execute(
                f"SELECT * FROM cases WHERE NOT gone AND status IN ('to do', 'in progress') {_WORST_FIRST}"
            ):
                free = row["status"] == ReviewStatus.TODO.value or row["session"] in dead
                if free and row["segmentation"] not in elsewhere and row["name"] not in skipped:
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
            self._restore_decisions(db)
            row = self._row(db, name)
            theirs = row["status"] == ReviewStatus.IN_PROGRESS.value and row["session"] != self.session
            if theirs and not take_over and row["session"] not in dead_sessions(db):
                raise WorklistError(f"The case {name} is open at {row['reviewer']}'s: take another, or take it over.")
            other = self._open_elsewhere(db).get(row["segmentation"])
            if other is not None and other["name"] != name:
                raise WorklistError(
                    f"The segmentation of the case {name} is open at {other['reviewer']}'s, as the case "
                    f"{other['name']}: take another, or wait."
                )
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
            self._take_back(db, name)
            self._require_own(db, name)
            db.execute(
                "UPDATE cases SET status = ?, decided = ?, comment = ?, session = NULL WHERE name = ?",
                (decision.value, time.time(), comment, name),
            )
            self._note(db, name, decision.value, comment)
            return self._read(db, name)

    def release(self, name: str) -> None:
        """Put back a case that this session has open, as it was before; one that was taken over stays the other's."""
        self._opened.pop(name, None)
        with self._storage.transaction() as db:
            if self._is_own(self._row(db, name)):
                db.execute(f"UPDATE cases SET {_AS_BEFORE} WHERE name = ?", (name,))
                self._note(db, name, "released", "")

    def save(self, name: str, write: Callable[[Path], None]) -> Path:
        """Save a new version of a case's segmentation, see :func:`publish_version`.

        It counts as the case's version while this session has the case open. If another one took the case over, the
        file is written and noted all the same, so that no work is lost.

        Raises:
            WorklistError: Nothing can be written.
        """
        with self._storage.transaction() as db:
            self._take_back(db, name)
            segmentation = self._read(db, name).segmentation
        saved = publish_version(segmentation, write)  # it may take long: outside of the transaction
        with self._storage.transaction() as db:
            sign_of_life(db, self.session, self.reviewer)
            stored = portable(saved, self._folder)
            db.execute("UPDATE cases SET saved = ? WHERE name = ? AND session = ?", (stored, name, self.session))
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
                f"ON CONFLICT (name) DO UPDATE SET {renewed}, gone = 0",
                facts,
            )
            names = {name for name, *_ in facts}
            gone = [(row["name"],) for row in db.execute("SELECT name FROM cases") if row["name"] not in names]
            db.executemany("UPDATE cases SET gone = 1 WHERE name = ?", gone)
            self._restore_decisions(db)

    def _facts(self, position: int, case: CohortCase, result: CaseResult | None) -> tuple:
        known = (case.name, position, portable(case.image, self._folder), portable(case.segmentation, self._folder))
        asked = (case.label, case.segment)
        if result is None:
            return (*known, *asked, 2, None, None, None, None, None, None)
        if not result.reports:
            return (*known, *asked, 0, None, None, None, None, None, result.error)
        # A score of a model that was made for something else must not decide where the case stands.
        matched = [report for report in result.reports if "model_unmatched" not in report.flags]
        report = min(matched or result.reports, key=urgency)
        volume = report.volume
        scores = (volume.dice, volume.low, volume.high, report.case.segment, report.order[0], None)
        return (*known, *asked, int(urgency(report)[0]), *scores)

    def _claimed(self, db: sqlite3.Connection, row: sqlite3.Row) -> WorklistCase:
        open_before = row["status"] == ReviewStatus.IN_PROGRESS.value
        if not open_before:
            db.execute(
                "UPDATE cases SET status_before = status, reviewer_before = reviewer, opened_before = opened "
                "WHERE name = ?",
                (row["name"],),
            )
        db.execute(
            "UPDATE cases SET status = ?, session = ?, reviewer = ?, opened = ? WHERE name = ?",
            (ReviewStatus.IN_PROGRESS.value, self.session, self.reviewer, time.time(), row["name"]),
        )
        self._opened[row["name"]] = _standing(self._row(db, row["name"]), "status_before", "reviewer_before")
        theirs = open_before and row["session"] != self.session
        self._note(db, row["name"], "taken over" if theirs else "opened", row["reviewer"] or "" if theirs else "")
        return self._read(db, row["name"])

    def _take_back(self, db: sqlite3.Connection, name: str) -> None:
        """Have a case again that was put back while this session was silent, if nobody decided on it since."""
        row = self._row(db, name)
        if row["session"] is None and _standing(row, "status", "reviewer") == self._opened.get(name):
            self._claimed(db, row)

    def _restore_decisions(self, db: sqlite3.Connection) -> None:
        """Put decided cases back that a dead session had open again."""
        dead = dead_sessions(db)
        for row in db.execute(
            "SELECT * FROM cases WHERE status = 'in progress' AND status_before != 'to do'"
        ).fetchall():
            if row["session"] in dead:
                db.execute(f"UPDATE cases SET {_AS_BEFORE} WHERE name = ?", (row["name"],))
                self._note(db, row["name"], "restored", row["reviewer"] or "")

    def _open_elsewhere(self, db: sqlite3.Connection) -> dict[str, sqlite3.Row]:
        """The cases that living sessions other than this one have open, by their segmentation file."""
        dead = dead_sessions(db)
        rows = db.execute("SELECT * FROM cases WHERE status = 'in progress' AND session != ?", (self.session,))
        return {row["segmentation"]: row for row in rows if row["session"] not in dead}

    def _row(self, db: sqlite3.Connection, name: str) -> sqlite3.Row:
        row = db.execute("SELECT * FROM cases WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise WorklistError(f"The worklist {self.path.name} has no case {name!r}.")
        return row

    def _require_own(self, db: sqlite3.Connection, name: str) -> None:
        row = self._row(db, name)
        if not self._is_own(row):
            raise WorklistError(
                f"The case {name} is not open in this window any more (it is {row['status']}, reviewer "
                f"{row['reviewer'] or 'none'}): open it again."
            )

    def _is_own(self, row: sqlite3.Row) -> bool:
        return row["session"] == self.session and row["status"] == ReviewStatus.IN_PROGRESS.value

    def _note(self, db: sqlite3.Connection, name: str, action: str, detail: str) -> None:
        db.execute(
            "INSERT INTO events (time, name, reviewer, session, action, detail) VALUES (?, ?, ?, ?, ?, ?)",
            (time.time(), name, self.reviewer, self.session, action, detail),
        )

    def _latest(self, db: sqlite3.Connection) -> dict[str, str]:
        """The latest version saved of each segmentation file, of whichever case."""
        latest: dict[str, str] = {}
        for row in db.execute("SELECT segmentation, saved FROM cases WHERE saved IS NOT NULL"):
            versions = (row["saved"], latest.get(row["segmentation"], row["saved"]))
            latest[row["segmentation"]] = max(versions, key=version_number)
        return latest

    def _read(self, db: sqlite3.Connection, name: str) -> WorklistCase:
        return self._case(self._row(db, name), self._latest(db))

    def _case(self, row: sqlite3.Row, latest: dict[str, str]) -> WorklistCase:
        try:
            return self._checked_case(row, latest)
        except (TypeError, ValueError, AttributeError, LookupError) as error:  # SQLite keeps any type in any column
            raise damaged(self.path) from error

    def _checked_case(self, row: sqlite3.Row, latest: dict[str, str]) -> WorklistCase:
        result = self._cohort.result_path(row["name"]) if self._cohort is not None else None
        return WorklistCase(
            name=row["name"],
            image=absolute(row["image"], self._folder),
            segmentation=absolute(row["segmentation"], self._folder),
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
            saved=None if row["saved"] is None else absolute(row["saved"], self._folder),
            latest=absolute(latest.get(row["segmentation"], row["segmentation"]), self._folder),
        )


def _standing(row: sqlite3.Row, status: str, reviewer: str) -> tuple:
    """Where the review of a case stands or stood: status, reviewer, and when it was decided."""
    return row[status], row[reviewer], row["decided"]
