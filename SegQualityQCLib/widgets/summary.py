"""The text above the table: the predicted Dice of each volume, and what to know of it."""

from __future__ import annotations

from collections.abc import Mapping

from slicer.i18n import tr as _

from ..report.report import QualityReport


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
    """What each flag of a report means; flags that the table shows are left out."""
    sentences = {
        "model_unmatched": _("The model {model} was made for another structure.").format(model=report.model.name),
        "cropped_to_image": _("It reaches out of the image: what lies outside is not in these figures."),
        "gpu_memory": _("The GPU ran out of memory: smaller batches or the CPU were used."),
    }
    return [sentence for flag, sentence in sentences.items() if flag in report.flags]
