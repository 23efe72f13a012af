"""The tables of the corruption study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..study.artifacts import read_json
from ..study.configuration import Structure, Study
from ..study.run import attacked_runs
from .attack_cells import percent
from .markdown import markdown_table


def corruption_section(study: Study, structure: Structure) -> list[str]:
    """MAE, r, coverage and share called unfamiliar, by corruption and strength."""
    lines = ["## Faults of a scanner", ""]
    for path in corruption_files(study, structure):
        measured = read_json(path)
        rows = [("none", "0", *_cells(measured["clean"]))]
        for kind, strengths in measured["kinds"].items():
            rows += [(kind, str(number), *_cells(row)) for number, row in enumerate(strengths, 1)]
        head = (
            "corruption",
            "strength",
            "MAE",
            "r",
            "coverage of the 90 % interval",
            "called unfamiliar",
            "MAE of the rest",
        )
        lines += [
            f"### {measured['name']}: {measured['slices']} slices of {measured['volumes']} volumes",
            "",
            *markdown_table(head, rows),
            "",
        ]
    return lines


def corruption_files(study: Study, structure: Structure) -> list[Path]:
    """The figures of the corruption study, one file for each measured model."""
    paths = [run.stage_file("corruptions") for run in attacked_runs(study, structure) if run.is_main]
    return [path for path in paths if path.is_file()]


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    cells = ["-" if row[key] is None else f"{row[key]:.3f}" for key in ("mae", "r", "coverage")]
    rest = "-" if row["mae_familiar"] is None else f"{row['mae_familiar']:.3f}"
    return (*cells, percent(row["unfamiliar"]), rest)
