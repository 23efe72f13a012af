"""Sessions (windows) that work with a worklist, and which of them are still alive."""

from __future__ import annotations

import os
import socket
import sqlite3
import sys
import time
import uuid
from contextlib import suppress
from pathlib import Path

# A session without a sign of life for so long counts as dead; a living one gives a sign each minute.
SILENCE_S = 15 * 60.0


def sign_of_life(db: sqlite3.Connection, session: str, reviewer: str) -> None:
    """Note that a session of this process is alive now."""
    db.execute(
        "INSERT INTO sessions VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET seen = excluded.seen",
        (session, _machine(), os.getpid(), reviewer, time.time()),
    )


def dead_sessions(db: sqlite3.Connection) -> set[str]:
    """The sessions that were silent for :data:`SILENCE_S`, or whose process on this machine is gone."""
    now, machine = time.time(), _machine()
    return {
        row["id"]
        for row in db.execute("SELECT * FROM sessions")
        if now - row["seen"] > SILENCE_S or (row["machine"] == machine and not _is_running(row["pid"]))
    }


def _machine() -> str:
    """Tells machines apart, and containers of one machine, whose processes have numbers of their own."""
    with suppress(OSError):
        return f"{socket.gethostname()} {uuid.getnode():x} {Path('/proc/self/ns/pid').readlink()}"
    return f"{socket.gethostname()} {uuid.getnode():x}"


def _is_running(pid: int) -> bool:
    """Whether a process of this machine runs; where that cannot be asked safely, yes."""
    if sys.platform == "win32":  # os.kill would end it
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
