"""``segquality demo``: score a sample case that the package makes by itself."""

from __future__ import annotations

from ..demo import demo_case
from .assess import Device, Model, Quiet, Threshold, assess_cases, print_reports
from .failing import one_sentence_on_bad_input


def demo_command(
    model: Model = None, device: Device = "auto", threshold: Threshold = 0.7, quiet: Quiet = False
) -> None:
    """Score a synthetic short-axis heart with well and badly drawn slices; needs no data and no network."""
    with one_sentence_on_bad_input():
        reports = assess_cases([demo_case()], model, device, quiet=quiet)
    if not quiet:
        print_reports(reports, threshold)
