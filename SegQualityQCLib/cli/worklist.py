"""``segquality worklist`` and ``segquality review``: progress and decisions of a review, compared with the scores."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..reading.input_files import files_of
from ..report.codes import CaseFlag, Measure
from ..report.wording import short_words
from ..review.decisions import ReviewStatus
from ..review.statistics import ReviewStatistics, decisions_csv, review_statistics
from ..review.worklist import Worklist
from ..review.worklist_case import WorklistCase
from ..storage.outputs import OutputGuard
from .assess import STANDARD_OUTPUT, Threshold, write_result
from .failing import one_sentence_on_bad_input

worklist_app = typer.Typer(help="Progress and decisions of a review.", no_args_is_help=True)

Source = Annotated[Path, typer.Argument(help="Result folder of a cohort, manifest, or .sqlite file of a worklist.")]


@worklist_app.command("status")
def worklist_status(source: Source) -> None:
    """Print how many cases are in which state, by whom, and which comes next."""
    with one_sentence_on_bad_input():
        cases = Worklist.open(source, "", read_only=True).cases()
    counts = Counter(case.status for case in cases)
    table = Table("Status", "Cases", "Reviewers")
    for status in ReviewStatus:
        who = Counter(case.reviewer for case in cases if case.status is status and case.reviewer)
        names = ", ".join(f"{name} {count}" for name, count in who.most_common())
        table.add_row(status.value, str(counts[status]), escape(names) if status is not ReviewStatus.TODO else "")
    Console(emoji=False).print(table)
    left = [case for case in cases if case.status is ReviewStatus.TODO]
    decided = sum(case.status.is_decided for case in cases)
    line = f"{decided} of {len(cases)} cases decided"
    if left:
        line += f"; the worst one left is {left[0].name} ({_number(left[0])})"
    typer.echo(line)


def _number(case: WorklistCase) -> str:
    """The number of a case; without an interval it is not calibrated, and no prediction."""
    if case.dice is None:
        return "no score"
    if case.low is None:
        return f"{case.dice:.2f}, {short_words(CaseFlag.NOT_CALIBRATED)}"
    return f"{short_words(Measure.PREDICTED_DICE)} {case.dice:.2f}"


@worklist_app.command("export")
def worklist_export(
    source: Source,
    csv_file: Annotated[Optional[Path], typer.Option("--csv", help="Write here; by default to the terminal.")] = None,  # noqa: UP045
) -> None:
    """Export decisions, comments, reviewers and times as CSV."""
    with one_sentence_on_bad_input():
        worklist = Worklist.open(source, "", read_only=True)
        cases = worklist.cases()
        guard = OutputGuard()
        guard.keep("worklist", [source, *worklist.files()])
        for role in ("image", "segmentation"):
            guard.keep(role, (file for case in cases for file in files_of(getattr(case, role))))
        guard.keep("corrected segmentation", (case.latest for case in cases))
        guard.check({"--csv": csv_file if csv_file != STANDARD_OUTPUT else None})
        text = decisions_csv(cases)
        write_result(csv_file or STANDARD_OUTPUT, text)


def review_command(
    source: Source,
    threshold: Threshold = 0.7,
    miss: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the corrected cases that the best threshold may miss.")
    ] = 0.0,
) -> None:
    """Compare the reviewers' decisions so far with the predicted scores."""
    with one_sentence_on_bad_input():
        statistics = review_statistics(Worklist.open(source, "", read_only=True).cases(), threshold, miss)
    for line in review_lines(statistics):
        typer.echo(line)


def review_lines(statistics: ReviewStatistics) -> list[str]:
    """The statistics in sentences."""
    s = statistics
    accepted, corrected = s.accepted_above + s.accepted_below, s.corrected_above + s.corrected_below
    compared = accepted + corrected
    lines = [
        f"{compared} reviewed case{'' if compared == 1 else 's'} with a score; {s.flagged} flagged, "
        f"{s.without_score} decided without a score, {s.left} left"
    ]
    if s.agreement is None:
        return [*lines, "Nothing can be said before cases are accepted or corrected."]
    lines += [
        f"Threshold {s.threshold:g}: agrees with {s.agreement:.0%} of the decisions",
        f"  accepted although below it (opened for nothing): {s.accepted_below} of {accepted}",
        f"  corrected although above it (would be missed): {s.corrected_above} of {corrected}",
    ]
    if s.ranking is not None:
        lines.append(f"A corrected case was predicted lower than an accepted one in {s.ranking:.0%} of the pairs")
    if s.best is not None:
        lines.append(
            f"Threshold that would have saved most work: {s.best.threshold:.3f} ({s.best.saved} accepted cases need "
            f"not have been opened, {s.best.missed} corrected ones would have been missed)"
        )
    if s.left and s.reviewed_up_to is not None:
        lines.append(f"Cases predicted above {s.reviewed_up_to:.2f} have not been reviewed: nothing is known of them")
    if compared < 20:
        lines.append("Fewer than 20 decisions: take the figures with care")
    return lines
