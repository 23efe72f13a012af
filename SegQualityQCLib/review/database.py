"""Where a worklist is stored: one SQLite file, opened for each action and closed after it.

Two machines may share the file over a network drive. SQLite's write-ahead log needs memory that all its users share, so
it is used only on a disk known to be of this machine, and never again once the file was opened from elsewhere.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import WorklistError

SCHEMA = 2
PATIENCE_S = 10.0
_PAUSE_S = 0.1  # between tries to copy it while others write

_TABLES = """
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE cases (
    name TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    image TEXT NOT NULL,
    segmentation TEXT NOT NULL,
    label INTEGER,
    segment TEXT,
    urgency INTEGER NOT NULL,      -- 0: without a score, 1: scored, 2: not assessed yet
    dice REAL, low REAL, high REAL,
    scored_segment TEXT,
    worst_slice INTEGER,
    reason TEXT,                   -- why it cannot be scored
    status TEXT NOT NULL DEFAULT 'to do',
    session TEXT,
    reviewer TEXT,
    opened REAL,                   -- seconds since 1970, UTC
    status_before TEXT NOT NULL DEFAULT 'to do',  -- while it is open: what a release puts back
    reviewer_before TEXT,
    opened_before REAL,
    decided REAL,
    comment TEXT NOT NULL DEFAULT '',
    gone INTEGER NOT NULL DEFAULT 0,  -- not among the cohort's cases any more
    saved TEXT                     -- latest version, relative to this file
);
CREATE TABLE sessions (id TEXT PRIMARY KEY, machine TEXT, pid INTEGER, reviewer TEXT, seen REAL);
CREATE TABLE events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    time REAL, name TEXT, reviewer TEXT, session TEXT, action TEXT, detail TEXT
);
"""

_SINCE_SCHEMA_1 = (
    "ALTER TABLE cases ADD COLUMN reviewer_before TEXT",
    "ALTER TABLE cases ADD COLUMN opened_before REAL",
    "ALTER TABLE cases ADD COLUMN gone INTEGER NOT NULL DEFAULT 0",
)

_LOCAL_FILE_SYSTEMS = {"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "tmpfs", "overlay", "bcachefs"}


class WorklistStorage:
    """The file of a worklist.

    Args:
        path: The file; made if it is missing.
        patience_s: How long to wait while others write.
    """

    def __init__(self, path: Path, patience_s: float = PATIENCE_S) -> None:
        self.path = path.absolute()
        self.patience_s = patience_s
        with self.transaction() as db:
            self._bring_up_to_date(db)
            shared = db.execute("SELECT value FROM settings WHERE key = 'shared'").fetchone() is not None
            local = is_local(self.path.parent)
            if not local and not shared:
                db.execute("INSERT INTO settings VALUES ('shared', 'opened over a network')")
        self._choose_journal("wal" if local and not shared else "delete")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing: others see the changes when the block ends well, and none of them when it does not.

        Raises:
            WorklistError: The file is locked for too long, damaged, or cannot be written.
        """
        with self._errors_told(), contextlib.closing(self._connection()) as db:  # closed, it is rolled back
            db.execute("PRAGMA synchronous = FULL")  # a decision outlives a power cut
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")

    def _connection(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, timeout=self.patience_s, isolation_level=None)
        db.row_factory = sqlite3.Row
        return db

    def _bring_up_to_date(self, db: sqlite3.Connection) -> None:
        """Make the tables, or add what an older version lacked."""
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA:
            raise WorklistError(
                f"The worklist {self.path} is of schema {version}, this version knows {SCHEMA}: update SegQualityQC."
            )
        for statement in {0: _TABLES.split(";\n"), 1: _SINCE_SCHEMA_1}.get(version, ()):
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {SCHEMA}")

    @contextmanager
    def _errors_told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._told(error) from error
        except OSError as error:
            raise WorklistError(f"The worklist {self.path} cannot be read: {error.strerror or error}.") from error
        except (TypeError, ValueError, OverflowError, LookupError) as error:  # other cells than the table has
            raise damaged(self.path) from error

    def _choose_journal(self, mode: str) -> None:
        with contextlib.suppress(sqlite3.Error):  # others are using it: it stays as it is
            db = sqlite3.connect(self.path, timeout=0.2)
            try:
                db.execute(f"PRAGMA journal_mode = {mode}")
            finally:
                db.close()

    def _told(self, error: sqlite3.Error) -> WorklistError:
        if "locked" in str(error) or "busy" in str(error):
            return WorklistError(
                f"The worklist {self.path} has been locked by another program for {self.patience_s:g} seconds: nothing "
                "was changed; try again."
            )
        if "unable to open" in str(error) or "readonly" in str(error):
            return WorklistError(f"The worklist {self.path} cannot be written: check the folder and your rights.")
        if "not a database" in str(error) or "malformed" in str(error):
            return damaged(self.path)
        return WorklistError(f"The worklist {self.path} cannot be used: {error}. Nothing was changed.")


class WorklistCopy(WorklistStorage):
    """A copy of a worklist in memory, for reading: the file is not changed, and not made where it is missing."""

    def __init__(self, path: Path, patience_s: float = PATIENCE_S) -> None:
        self.path = path.absolute()
        self.patience_s = patience_s
        self._copy = sqlite3.connect(":memory:", isolation_level=None)
        self._copy.row_factory = sqlite3.Row
        with self._errors_told():
            if self.path.is_file():
                self._read()
            self._bring_up_to_date(self._copy)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """The copy; its changes are lost.

        Raises:
            WorklistError: The file was damaged.
        """
        with self._errors_told():
            yield self._copy

    def _read(self) -> None:
        """Copy the file with what lies beside it, and let SQLite put the copy in order as it would the original."""
        deadline = time.monotonic() + self.patience_s
        while True:
            with tempfile.TemporaryDirectory(prefix="segquality-") as folder:
                before = self._parts()
                for part in before:
                    shutil.copyfile(part, Path(folder) / part.name)
                if self._parts() == before:  # no other session wrote meanwhile
                    with contextlib.closing(sqlite3.connect(Path(folder) / self.path.name)) as db:
                        db.backup(self._copy)
                    return
            if time.monotonic() > deadline:
                raise sqlite3.OperationalError("the worklist is busy")
            time.sleep(_PAUSE_S)

    def _parts(self) -> dict[Path, tuple[int, int]]:
        """The file and its logs, as far as they are there, each with size and time."""
        parts = {}
        for ending in ("", "-wal", "-journal"):
            part = self.path.with_name(self.path.name + ending)
            with contextlib.suppress(FileNotFoundError):
                fact = part.stat()
                parts[part] = (fact.st_size, fact.st_mtime_ns)
        return parts


def damaged(path: Path) -> WorklistError:
    """The error for a file that holds what a worklist never writes."""
    return WorklistError(f"The worklist {path} is damaged: restore it from a backup.")


def is_local(folder: Path) -> bool:
    """Whether a folder is known to lie on a disk of this machine; where that is not known, no."""
    if sys.platform == "win32":
        import ctypes

        fixed = 3
        anchor = Path(folder).resolve().anchor
        return ctypes.windll.kernel32.GetDriveTypeW(anchor) == fixed
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    device = f"{os.major(folder.stat().st_dev)}:{os.minor(folder.stat().st_dev)}"
    kinds = {line.split(" - ", 1)[1].split()[0] for line in lines if line.split()[2] == device}
    return bool(kinds) and kinds <= _LOCAL_FILE_SYSTEMS
