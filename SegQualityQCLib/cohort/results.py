"""What a cohort leaves on disk: one JSON file a case as a journal, and tables made from it.

A case's file is written whole or not at all, as soon as the case is done. The tables are made from these files in the
order of the manifest, so a run that was interrupted and resumed ends with the same tables as one that was not. Reading
needs the standard library alone, so 3D Slicer can read it too.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import InputError, ReportError
from ..report.codes import CaseFlag
from ..report.csv_table import CSV_COLUMNS, csv_rows, four_digits
from ..report.report import QualityReport
from ..storage.atomic_files import write_text_atomically
from ..storage.portable_paths import absolute, portable
from ..storage.safe_text import spreadsheet_safe
from .case_result import SCHEMA, CaseResult
from .manifest import CohortCase

SLICE_COLUMNS = ("case", *CSV_COLUMNS)
CASE_COLUMNS = (
    *("case", "segment", "dice", "low", "high", "worst_slice", "worst_dice", "below_threshold", "drawn_slices"),
    *("gaps", "flags", "model", "seconds"),
)
ERROR_COLUMNS = ("case", "reason")
UNUSED_COLUMNS = ("file", "reason")
WRITTEN = ("slices.csv", "cases.csv", "errors.csv", "unused.csv", "index.html", "cohort.json")
"""The files that a run replaces; those in the folders ``cases`` and ``pictures`` have names that none else has."""
LOCK = ".running.lock"


class Judged(NamedTuple):
    """How many segments were scored, how many of them by a model that is not known to fit, and how many have a number
    that is not calibrated.
    """

    segments: int
    unmatched: int
    uncalibrated: int = 0


class CohortFolder:
    """The folder of a cohort's results.

    Attributes:
        path: The folder: ``cohort.json`` names the cases, ``cases/`` holds a result each, ``pictures/`` what the page
            shows of them.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()

    def create(self, cases: Sequence[CohortCase]) -> None:
        """Make the folder and write which cases it is about.

        Raises:
            ReportError: It cannot be written.
        """
        try:
            for folder in (self.path, self.path / "cases", self.path / "pictures"):
                folder.mkdir(parents=True, exist_ok=True)
                for partial in folder.glob(".*.partial"):  # left by a run that was killed while writing
                    partial.unlink()
        except OSError as error:
            raise ReportError(f"The folder {self.path} cannot be made: {error.strerror or error}.") from error
        content = {"schema": SCHEMA, "cases": [self._described(case) for case in cases]}
        write_text_atomically(self.path / "cohort.json", json.dumps(content, indent=1) + "\n")

    def write_unused(self, unused: Mapping[Path, str]) -> None:
        """Write ``unused.csv``: the files of the cohort's folder that are not used, and why.

        Raises:
            ReportError: It cannot be written.
        """
        table = [[spreadsheet_safe(portable(path, self.path)), reason] for path, reason in sorted(unused.items())]
        write_text_atomically(self.path / "unused.csv", _csv(UNUSED_COLUMNS, table))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other runs out of the folder, on this machine and on others that see it; a killed run keeps nobody out.

        Raises:
            InputError: Another run is writing there.
            ReportError: The folder cannot be made or written to.
        """
        from filelock import FileLock, Timeout  # Slicer reads results without it

        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path / LOCK, timeout=0)
            lock.acquire()
        except Timeout:
            raise InputError(
                f"Another run is writing to the folder {self.path}: wait for its end, or write elsewhere."
            ) from None
        except OSError as error:
            raise ReportError(f"The folder {self.path} cannot be made: {error.strerror or error}.") from error
        try:
            yield
        finally:
            lock.release()

    def exists(self) -> bool:
        """Whether the folder holds a cohort."""
        return (self.path / "cohort.json").is_file()

    def files(self) -> Iterator[Path]:
        """The files of a cohort; none where the folder holds none."""
        if _is_ours(self.path / "cohort.json"):
            yield from (self.path / name for name in WRITTEN)
            for folder in ("cases", "pictures"):
                yield from (self.path / folder).glob("*.json")

    def foreign_file(self) -> Path | None:
        """A file that a run would replace and that no run has written; ``None`` where there is none."""
        if _is_ours(self.path / "cohort.json"):
            return None
        return next((self.path / name for name in WRITTEN if (self.path / name).is_file()), None)

    def cases(self) -> tuple[CohortCase, ...]:
        """The cases, in the order of the manifest.

        Raises:
            InputError: The folder does not hold a cohort, or a damaged one.
        """
        try:
            content = json.loads((self.path / "cohort.json").read_text(encoding="utf-8"))
            return tuple(self._case(entry) for entry in content["cases"])
        except FileNotFoundError:
            raise InputError(
                f"The folder {self.path} does not hold a cohort: give the --out folder of segquality cohort."
            ) from None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            reason = str(error)[:120]
            raise InputError(f"The file cohort.json in {self.path} cannot be read: {reason}.") from error

    def with_places(self, request: dict[str, Any], case: CohortCase) -> dict[str, Any]:
        """A case's request with the places of its files: two files may have the same size and time."""
        further = (*case.samples, *([case.probabilities] if case.probabilities is not None else []))
        files = (case.image, case.segmentation, *further)
        return request | {"files": [portable(file, self.path) for file in files]}

    def result_path(self, case: str) -> Path:
        """Where the result of a case is."""
        return self.path / "cases" / f"{_file_name(case)}.json"

    def write(self, result: CaseResult, pictures: list[dict[str, Any]]) -> None:
        """Store a result; it counts from the moment its own file is there, which is the last thing written.

        Raises:
            ReportError: It cannot be written.
        """
        if pictures:
            write_text_atomically(self._picture_path(result.case), json.dumps(pictures))
        write_text_atomically(self.result_path(result.case), json.dumps(result.to_dict()) + "\n")

    def read(self, case: str) -> CaseResult | None:
        """The result of a case; ``None`` where there is none yet, or none that can be read."""
        return CaseResult.read(self.result_path(case))

    def pictures(self, case: str) -> list[dict[str, Any]]:
        """The pictures of a case; none where there are none."""
        try:
            content = json.loads(self._picture_path(case).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return []
        return content if isinstance(content, list) else []

    def results(self) -> Iterator[tuple[CohortCase, CaseResult]]:
        """The cases that have a result, in the order of the manifest."""
        for case in self.cases():
            result = self.read(case.name)
            if result is not None:
                yield case, result

    def write_tables(self, threshold: float) -> Judged:
        """Write ``slices.csv``, ``cases.csv`` (worst first) and ``errors.csv`` anew.

        Returns:
            How many segments they hold.

        Raises:
            ReportError: They cannot be written.
        """
        rows, errors = [], []
        unmatched = uncalibrated = 0
        slices = io.StringIO()  # text takes less memory than rows
        slices_writer = _csv_writer(slices, SLICE_COLUMNS)
        cases = self.cases()
        extra = list(dict.fromkeys(name for case in cases for name in case.extra))
        for case in cases:
            result = self.read(case.name)
            if result is None:
                if self.result_path(case.name).exists():
                    errors.append([spreadsheet_safe(case.name), "Its result cannot be read: go on with --resume."])
                continue
            if result.error is not None:
                errors.append([spreadsheet_safe(case.name), spreadsheet_safe(result.error)])
            for report in result.reports:
                slices_writer.writerows([spreadsheet_safe(case.name), *row] for row in csv_rows(report))
                row = case_row(case.name, report, result.seconds, threshold)
                carried = [spreadsheet_safe(case.extra.get(name, "")) for name in extra]
                rows.append((urgency(report), [*row, *carried]))
                unmatched += CaseFlag.MODEL_UNMATCHED in report.flags
                uncalibrated += not report.is_calibrated
        rows.sort(key=lambda pair: pair[0])
        header = [*CASE_COLUMNS, *(spreadsheet_safe(_own(name)) for name in extra)]
        tables = {
            "slices.csv": slices.getvalue(),
            "cases.csv": _csv(header, [row for _, row in rows]),
            "errors.csv": _csv(ERROR_COLUMNS, errors),
        }
        with ExitStack() as each:  # is written even if another cannot be, which a spreadsheet may have open
            for name, text in tables.items():
                each.callback(write_text_atomically, self.path / name, text)
        return Judged(len(rows), unmatched, uncalibrated)

    def _picture_path(self, case: str) -> Path:
        return self.path / "pictures" / f"{_file_name(case)}.json"

    def _described(self, case: CohortCase) -> dict[str, Any]:
        paths = {"image": portable(case.image, self.path), "segmentation": portable(case.segmentation, self.path)}
        described = asdict(case) | paths
        described["samples"] = [portable(sample, self.path) for sample in case.samples]
        described["probabilities"] = portable(case.probabilities, self.path) if case.probabilities else None
        for name in ("structures", "samples", "probabilities", "frame"):
            if not described[name]:
                del described[name]
        return described

    def _case(self, entry: dict[str, Any]) -> CohortCase:
        case = CohortCase(**entry)
        if not isinstance(case.samples, (list, tuple)):
            raise TypeError("the samples of a case are not a list")
        texts = [case.name, entry["image"], entry["segmentation"], case.segment or "", case.model or ""]
        texts += [*case.samples, case.probabilities or ""]
        for table in (case.extra, case.structures):
            texts += [*table, *table.values()] if isinstance(table, dict) else [None]
        if not all(isinstance(text, str) and "\0" not in text for text in texts):
            raise TypeError("a case is not described in texts")
        if not all(label.isdecimal() for label in case.structures):
            raise TypeError(f"the labels of the case {case.name[:40]!r} are not whole numbers")
        if not case.name or not (case.label is None or type(case.label) is int):
            raise TypeError(f"the case {case.name[:40]!r} has no name or no whole label")
        if not (case.frame is None or type(case.frame) is int):
            raise TypeError(f"the case {case.name[:40]!r} has no whole frame")
        image, segmentation = (absolute(entry[key], self.path) for key in ("image", "segmentation"))
        samples = tuple(absolute(str(sample), self.path) for sample in case.samples)
        probabilities = absolute(str(case.probabilities), self.path) if case.probabilities else None
        return replace(case, image=image, segmentation=segmentation, samples=samples, probabilities=probabilities)


def _is_ours(path: Path) -> bool:
    """Whether a file is the list of cases that a run wrote, whole or damaged since."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return '"schema"' in text and '"cases"' in text


def urgency(report: QualityReport) -> tuple[float, float]:
    """Sort key of reports, worst first: those without a score, then from the lowest volume Dice on."""
    dice = report.volume.dice
    return (0, 0.0) if dice is None else (1, dice)


def case_row(case: str, report: QualityReport, seconds: float, threshold: float) -> list[Any]:
    """The row of ``cases.csv`` for a report, without the manifest's further columns."""
    worst = report.slice(report.order[0])
    volume = report.volume
    return [
        *(spreadsheet_safe(case), spreadsheet_safe(report.case.segment)),
        *(four_digits(value) for value in (volume.dice, volume.low, volume.high)),
        *(worst.index, four_digits(worst.dice)),
        *(len(report.below(threshold)), report.drawn, report.gaps),
        *(spreadsheet_safe(" ".join(report.flags)), spreadsheet_safe(f"{report.model.name} {report.model.version}")),
        f"{seconds:.2f}",
    ]


def _file_name(case: str) -> str:
    """A file name for any case name: readable, and on any file system another one for each name."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "_", case)[:60].strip("._-")
    return f"{readable or 'case'}-{hashlib.sha256(case.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"


def _own(name: str) -> str:
    """The name of a manifest's column, changed where a column of ours has it."""
    return f"manifest_{name}" if name in CASE_COLUMNS else name


def _csv_writer(text: io.StringIO, columns: Sequence[str]) -> Any:
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    return writer


def _csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    _csv_writer(text, columns).writerows(rows)
    return text.getvalue()
