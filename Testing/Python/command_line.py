"""The installed command, run as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def segquality(*arguments: object, columns: int = 120, **options) -> subprocess.CompletedProcess:
    """Run ``segquality`` in a terminal of so many columns; what it prints is kept as text."""
    command = [str(Path(sys.executable).with_name("segquality")), *map(str, arguments)]
    environment = {**os.environ, "COLUMNS": str(columns), "NO_COLOR": "1"}
    return subprocess.run(command, capture_output=True, encoding="utf-8", env=environment, check=False, **options)
