"""The text above the table: the predicted Dice of each volume, and what to know of it."""

from __future__ import annotations

from collections.abc import Mapping

from slicer.i18n import tr as _

from ..report.codes import CaseFlag
from ..report.report import QualityReport
from ..report.wording import note

_SHOWN_ELSEWHERE = {CaseFlag.GAPS, CaseFlag.PARTLY_SCORED}


def summary(reports: Mapping[str, QualityReport], threshold: float) -> str:
    """One line a segment, and one for each flag of its report.

    Args:
        reports: Reports by segment identifier.
        threshold: Predicted Dice in [0, 1] below which a slice is low.
    """
    lines = [line for report in reports.values() for line in (_volume_line(report, threshold), *_flag_lines(report))]
    return "\n".join(lines) if lines else _("Not assessed yet.")


def _volume_line(report: QualityReport, threshold: float) -> str:
    """Predicted Dice of the volume with its interval, and how many slices are low or missing."""
    volume = report.volume
    if volume.dice is None:
        return _("{segment}: no slice could be scored.").format(segment=report.case.segment)
    return _("{segment}: Dice {dice:.2f} ({from_:.2f} – {to:.2f}), {low} slices low, {gaps} missing.").format(
        segment=report.case.segment,
        dice=volume.dice,
        from_=volume.low,
        to=volume.high,
        low=len(report.below(threshold)),
        gaps=report.gaps,
    )


def _flag_lines(report: QualityReport) -> list[str]:
    """What each flag of a report means; flags that the table or the line above show are left out."""
    notes = [_(note(flag, report)) for flag in report.flags if flag not in _SHOWN_ELSEWHERE]
    return [f"{text[:1].upper()}{text[1:]}." for text in notes]
