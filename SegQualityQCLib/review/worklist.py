"""A worklist: the cases of a cohort, worst first, and what their reviewers decided.

It needs the standard library alone. Every action is one short transaction: two annotators in two windows or on two
machines never get the same case from :meth:`Worklist.next` and never overwrite each other.
"""

from __future__ import annotations

import os
import sqlite3
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

from ..cohort.case_result import CaseResult
from ..cohort.manifest import CohortCase, read_manifest
from ..cohort.results import CohortFolder
from ..errors import WorklistError
from ..storage.portable_paths import portable
from ..storage.saved_versions import publish_version
from .database import PATIENCE_S, WorklistCopy, WorklistStorage, damaged
from .decisions import Decision, ReviewStatus
from .sessions import dead_sessions, sign_of_life
from .worklist_case import FACTS, WorklistCase, case_of_row, facts_of, latest_versions

FILE_NAME = "worklist.sqlite"

_Standing = tuple[str, str | None, float | None]
"""Status of a case, its reviewer, and when it was decided."""

_WORST_FIRST = "ORDER BY urgency, dice, position"
_AS_BEFORE = "status = status_before, reviewer = reviewer_before, opened = opened_before, session = NULL"


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
        self._opened: dict[str, _Standing] = {}  # how each case was when this session opened it
        self._folder = self.path.parent
        self._cohort = CohortFolder(self._folder) if self.path.name == FILE_NAME else None

    @classmethod
    def open(
        cls, source: str | Path, reviewer: str, *, patience_s: float = PATIENCE_S, read_only: bool = False
    ) -> Worklist:
        """Open the worklist of a cohort's result folder or of a CSV manifest; made beside it the first time.

        Changes since then (new cases, new scores, cases that are gone) are taken over; decisions stay.

        Args:
            source: The ``--out`` folder of ``segquality cohort`` or ``cohort.json`` in it, a manifest, or a worklist's
                own file.
            reviewer: Who works.
            patience_s: How long to wait while others write.
            read_only: Work on a copy in memory: nothing is written, and nothing made.

        Raises:
            InputError: The folder does not hold a cohort, or the manifest is wrong.
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

    def files(self) -> list[Path]:
        """The files that the worklist is kept in: its database, and what a run of the cohort wrote beside it."""
        beside = [self.path.with_name(self.path.name + ending) for ending in ("-wal", "-journal", "-shm")]
        return [self.path, *beside, *(self._cohort.files() if self._cohort is not None else ())]

    def cases(self) -> list[WorklistCase]:
        """All cases, worst first: those without a score, scored ones from the lowest Dice, those not assessed yet.

        A case that is gone from the cohort is among them if it was reviewed.
        """
        with self._storage.transaction() as db:
            latest = latest_versions(db)
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

        A case is left out while another session has its segmentation file open as another case.

        Args:
            skipped: Names of cases to leave out.
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
        """Take the case of this name, also a decided one.

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

    def decide(self, name: str, decision: str, comment: str = "") -> WorklistCase:
        """Close a case that this session has open, with a decision.

        Args:
            name: Its name.
            decision: A :class:`~SegQualityQCLib.review.decisions.Decision` or its value.
            comment: The reviewer's words.

        Raises:
            WorklistError: This session does not have it open, for example since another one took it over, or the
                decision is unknown.
        """
        try:
            decision = Decision(decision)
        except ValueError:
            raise WorklistError(f"{str(decision)!r} is not a decision: use {', '.join(Decision)}.") from None
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
        """Put back a case that this session has open, as it was before; one that was taken over stays as it is."""
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
        facts = [facts_of(position, case, result, self._folder) for position, (case, result) in enumerate(cases)]
        renewed = ", ".join(f"{column} = excluded.{column}" for column in FACTS[1:])
        with self._storage.transaction() as db:
            db.executemany(
                f"INSERT INTO cases ({', '.join(FACTS)}) VALUES ({', '.join('?' * len(FACTS))}) "
                f"ON CONFLICT (name) DO UPDATE SET {renewed}, gone = 0",
                facts,
            )
            names = {name for name, *_ in facts}
            gone = [(row["name"],) for row in db.execute("SELECT name FROM cases") if row["name"] not in names]
            db.executemany("UPDATE cases SET gone = 1 WHERE name = ?", gone)
            self._restore_decisions(db)

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
        """Take a case again that was put back while this session was silent, unless it was decided since."""
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

    def _read(self, db: sqlite3.Connection, name: str) -> WorklistCase:
        return self._case(self._row(db, name), latest_versions(db))

    def _case(self, row: sqlite3.Row, latest: Mapping[str, str]) -> WorklistCase:
        try:
            result = self._cohort.result_path(row["name"]) if self._cohort is not None else None
            return case_of_row(row, latest, self._folder, result)
        except (TypeError, ValueError, AttributeError, LookupError) as error:  # SQLite keeps any type in any column
            raise damaged(self.path) from error


def _standing(row: sqlite3.Row, status: str, reviewer: str) -> _Standing:
    """Where the review of a case stands, or stood before it was opened, by the names of two columns."""
    return row[status], row[reviewer], row["decided"]
