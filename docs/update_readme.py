"""Puts the figures into README and docs/accuracy.md: ``python docs/update_readme.py``; ``--check`` only compares them.

The figures are the tables in the sections "Goals" of training/results/README.md, which the study writes.
docs/accuracy.md gets all of them, README the rows of ``README_ROWS`` of the first one.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "training" / "results" / "README.md"
BEGIN, END = "<!-- figures: python docs/update_readme.py -->", "<!-- /figures -->"
README_ROWS = (
    "MAE, uniform Dice",
    "Pearson r",
    "volume Dice MAE, all drawn slices scored",
    "90 % interval: coverage",
    "90 % interval: mean width",
)


def goals(results: str) -> list[tuple[str, str]]:
    """Title and content of each section "Goals" of the results page."""
    sections = re.findall(r"^## (Goals: .+?)\n(.*?)(?=^## |\Z)", results, re.MULTILINE | re.DOTALL)
    if not sections:
        raise SystemExit(f"{RESULTS} has no section Goals: make the study's results page first.")
    return [(title, content.strip()) for title, content in sections]


def all_figures(results: str) -> str:
    """The sections "Goals" of the results page, one heading level lower."""
    return "\n\n".join(f"### {title}\n\n{content}" for title, content in goals(results))


def chosen_figures(results: str) -> str:
    """The rows of ``README_ROWS`` of the first section, with the head of its table."""
    _, content = goals(results)[0]
    head, rule, *rows = [line for line in content.splitlines() if line.startswith("|")]
    by_name = {row.split("|")[1].strip(): row for row in rows}
    missing = [name for name in README_ROWS if name not in by_name]
    if missing:
        raise SystemExit(f"{RESULTS} has no row {', '.join(missing)}: change README_ROWS in {Path(__file__).name}.")
    return "\n".join([head, rule, *(by_name[name] for name in README_ROWS)])


def with_figures(page: str, name: str, figures: str) -> str:
    """A page with the figures between its two markers."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{name} has no lines {BEGIN} and {END}.")
    return f"{before}{BEGIN}\n\n{figures}\n\n{END}{after}"


def main(only_check: bool) -> int:
    """Write both pages, or check them; returns 1 if one was out of date."""
    results = RESULTS.read_text(encoding="utf-8")
    out_of_date = False
    for name, figures in (("README.md", chosen_figures(results)), ("docs/accuracy.md", all_figures(results))):
        path = ROOT / name
        old = path.read_text(encoding="utf-8")
        new = with_figures(old, name, figures)
        if not only_check:
            path.write_text(new, encoding="utf-8", newline="\n")
            continue
        print(f"{name} is out of date: make readme" if new != old else f"{name} agrees with training/results")
        out_of_date |= new != old
    return int(out_of_date)


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
