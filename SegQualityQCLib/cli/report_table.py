"""A report as a table in the terminal, worst slice first, coloured against the threshold."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..report.report import QualityReport, SliceScore, Status
from ..report.wording import number_words, remark, short_words

_NARROW = 60  # columns of a terminal that a table with lines does not fit in


def print_report(console: Console, report: QualityReport, threshold: float) -> None:
    """Print the slices that are not plainly empty as a table, then one line for the volume."""
    title = escape(f"{report.case.segment} in {report.case.segmentation}")
    table = Table(title=title, title_justify="left", box=box.HEAVY_HEAD if console.width >= _NARROW else None)
    table.add_column(f"Slice ({report.case.axis})", justify="right", min_width=4)
    name = "Dice" if report.is_calibrated else short_words(report.measure).capitalize()
    table.add_column(name, justify="right", min_width=4)
    if report.is_calibrated:
        table.add_column("90 % interval", justify="center", min_width=12)
    table.add_column("Area mm²", justify="right", min_width=5)
    table.add_column("Remark", overflow="fold")
    for index in report.order:
        score = report.slice(index)
        if score.is_plainly_empty:
            continue
        style = slice_style(score, threshold)
        dice = "-" if score.dice is None else f"{score.dice:.2f}"
        table.add_row(
            str(index),
            f"[{style}]{dice}[/]",
            *([_interval_text(score.low, score.high)] if report.is_calibrated else []),
            f"{score.area_mm2:.0f}",
            remark(score),
        )
    console.print(table)
    console.print(volume_line(report, threshold), markup=False, highlight=False)


def slice_style(score: SliceScore, threshold: float) -> str:
    """Red below the threshold or certainly wrong, yellow where the interval reaches below it, green above.

    A number without an interval is never green: how sure it is, is not known.
    """
    if score.status in (Status.GAP, Status.OUT_OF_WINDOW):
        return "bold red"
    if score.dice is None:
        return "magenta"
    if score.dice < threshold:
        return "red"
    if score.low is None:
        return "default"
    return "yellow" if score.low < threshold else "green"


def volume_line(report: QualityReport, threshold: float) -> str:
    """One line on the whole volume."""
    volume = report.volume
    if volume.dice is None:
        score = "no slice could be scored"
    else:
        score = number_words(report, volume.dice)
        score += f", 90 % interval {_interval_text(volume.low, volume.high)}" if report.is_calibrated else ""
    below = len(report.below(threshold))
    gaps = report.gaps
    scored = sum(1 for s in report.slices if s.dice is not None)
    unscored = sum(1 for s in report.slices if s.area_mm2 > 0 and s.dice is None)
    parts = [f"Volume: {score}", f"{below} of {scored} scored slices below {threshold:g}"]
    parts += [f"{unscored} drawn slice{'s' if unscored > 1 else ''} not scored"] if unscored else []
    parts += [f"{gaps} {short_words(Status.GAP)}{'s' if gaps > 1 else ''}"] if gaps else []
    parts.append(f"model {report.model.name} {report.model.version}")
    return "; ".join(parts)


def _interval_text(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{low:.2f} to {high:.2f}"
