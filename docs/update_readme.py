"""Puts the figures into README: ``python docs/update_readme.py``, or with ``--check`` only says whether they are those.

They are the tables of the sections "Goals" of training/results/README.md, which the study writes.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "training" / "results" / "README.md"
BEGIN, END = "<!-- figures: python docs/update_readme.py -->", "<!-- /figures -->"


def figures(results: str) -> str:
    """The sections "Goals" of the results page, one heading level lower."""
    sections = re.findall(r"^## (Goals: .+?)\n(.*?)(?=^## |\Z)", results, re.MULTILINE | re.DOTALL)
    if not sections:
        raise SystemExit(f"{RESULTS} has no section Goals: make the study's results page first.")
    return "\n\n".join(f"### {title}\n\n{table.strip()}" for title, table in sections)


def with_figures(readme: str, results: str) -> str:
    """README with the figures between its two markers."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"README.md lacks the lines {BEGIN} and {END}.")
    return f"{before}{BEGIN}\n\n{figures(results)}\n\n{END}{after}"


def main(only_check: bool) -> int:
    """Write README, or check it; returns 1 where it was found to be out of date."""
    path = ROOT / "README.md"
    old = path.read_text(encoding="utf-8")
    new = with_figures(old, RESULTS.read_text(encoding="utf-8"))
    if only_check:
        print("README.md agrees with training/results" if new == old else "README.md is out of date: make readme")
        return int(new != old)
    path.write_text(new, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
