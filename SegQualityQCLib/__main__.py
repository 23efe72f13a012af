"""``python -m SegQualityQCLib`` is the command ``segquality``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command; Ctrl-C while it is still being loaded ends it as later, without a traceback."""
    try:
        from .cli.main import app
    except KeyboardInterrupt:
        sys.exit(130)
    app(prog_name="segquality")


if __name__ == "__main__":
    main()
