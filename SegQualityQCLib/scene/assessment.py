"""An assessment of MRML nodes in short steps; the scene is written once, at the end, or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..case.case import Case
from ..errors import EmptySegmentError, InputError, ReportError
from ..estimators.base import MapKind
from ..estimators.loading import EstimatorCache
from ..estimators.selection import ModelSelection
from ..report.report import QualityReport
from .assessed_content import check_shown, shown_by
from .node_cases import case_of, segment_ids, slice_checksums, terminology_code
from .originals import drop_original, keep_original
from .overlays import write_difference, write_overlay, write_surfaces
from .plots import write_chart
from .result_nodes import DIFFERENCE, ROLES, TABLE, existing_node, remove_nodes
from .reviews import Reviews
from .stored_results import Results, read_results, write_results


@dataclass(frozen=True)
class Request:
    """What to assess.

    Attributes:
        volume_node: Scalar volume node.
        segmentation_node: Segmentation node.
        segment_ids: Identifiers; ``None`` takes all. Empty segments are left out, but one of them must be drawn.
        model: Name or folder of a bundle; ``None`` takes the one that fits each segment.
        axis: Slice axis ``"i"``, ``"j"`` or ``"k"``; ``None`` takes that of the largest spacing.
        threshold: Predicted Dice below which a slice is low, drawn as a line in the chart.
        difference: Whether to write the difference image of the first segment.
    """

    volume_node: Any
    segmentation_node: Any
    segment_ids: Sequence[str] | None = None
    model: str | None = None
    axis: str | None = None
    threshold: float = 0.7
    difference: bool = False


@dataclass(frozen=True)
class Progress:
    """Work done in [0, 1] and what is being done; the last step has the reports and, as text, what to know of them."""

    fraction: float
    text: str
    reports: dict[str, QualityReport] | None = None


def iter_assess(request: Request, estimators: EstimatorCache, *, batch_size: int = 2) -> Iterator[Progress]:
    """Assess in steps that each take a fraction of a second; dropping the iterator leaves the scene untouched.

    Raises:
        InputError: The input cannot be assessed.
        BundleError: The model cannot be used.
    """
    cases = {}
    chosen = _chosen_segments(request)
    shown = shown_by(request.volume_node, request.segmentation_node)
    empty: dict[str, EmptySegmentError] = {}
    for key in chosen:
        name = request.segmentation_node.GetSegmentation().GetSegment(key).GetName()
        try:
            cases[key] = case_of(request.volume_node, request.segmentation_node, key, axis=request.axis)
        except EmptySegmentError as error:
            empty[name] = error
        yield Progress(0.0, f"Reading {name}")
    if not cases:
        raise next(iter(empty.values()))
    left_out = f"Empty, and left out: {', '.join(empty)}." if empty else ""
    reports: dict[str, QualityReport] = {}
    difference, note = None, ""
    for done, (key, case) in enumerate(cases.items()):
        estimator = estimators.for_case(case, request.model)
        yield Progress(done / len(cases), f"Assessing {case.segment}")
        for step in estimator.iter_assess(case, batch_size=batch_size):
            fraction = (done + step.done / step.total) / len(cases)
            yield Progress(0.95 * fraction, f"Assessing {case.segment}: slice {step.done} of {step.total}")
            if step.report is not None:
                reports[key] = step.report
        if request.difference and difference is None:
            if MapKind.DIFFERENCE in estimator.gives:
                yield Progress(0.95 * (done + 1) / len(cases), "Computing the difference image")
                difference, note = estimator.maps(case, reports[key])[MapKind.DIFFERENCE], ""
            else:
                note = f"The model {estimator.bundle.name} makes no difference image."
    check_nodes(request)
    check_shown(request.volume_node, request.segmentation_node, shown)
    # In one step, so that a cancel finds all or none of it.
    gone = write_assessment(
        request.segmentation_node, request.volume_node, cases, reports, request.threshold, difference
    )
    note = " ".join(filter(None, (left_out, note, gone)))
    yield Progress(1.0, note, reports)


def check_nodes(request: Request) -> None:
    """Raise an :class:`InputError` if a node of the request is missing or has left the scene."""
    for node, kind in ((request.volume_node, "volume"), (request.segmentation_node, "segmentation")):
        if node is None:
            raise InputError(f"No {kind} is chosen: load one, or choose it in the panel.")
        if node.GetScene() is None:
            raise InputError(f"The {kind} was removed from the scene: choose another one.")


def remove_results(segmentation_node: Any) -> None:
    """Remove everything that assessments of this segmentation wrote into the scene."""
    for role in ROLES:
        remove_nodes(segmentation_node, role)


def _chosen_segments(request: Request) -> list[str]:
    check_nodes(request)
    name = request.segmentation_node.GetName()
    present = segment_ids(request.segmentation_node)
    if not present:
        raise InputError(f"The segmentation {name} has no segments: draw or import one first.")
    if request.segment_ids is None:
        return present
    chosen = list(request.segment_ids)
    if not chosen:
        raise InputError("No segment is chosen: tick at least one.")
    for key in chosen:
        if key not in present:
            raise InputError(f"The segmentation {name} has no segment {key}.")
    return chosen


def model_fits(request: Request, segment_id: str, selection: ModelSelection) -> tuple[str, bool]:
    """Name of the model that a segment would be assessed with, and whether it was trained on that structure."""
    segment = request.segmentation_node.GetSegmentation().GetSegment(segment_id)
    code, name = terminology_code(segment), segment.GetName()
    if request.model:
        bundle = selection.bundle(request.model)
        return bundle.name, bundle.target_for(code, name) is not None
    bundle, fits = selection.best(name, code)
    return bundle.name, fits


def write_assessment(
    segmentation_node: Any,
    volume_node: Any,
    cases: dict[str, Case],
    reports: dict[str, QualityReport],
    threshold: float,
    difference: Any = None,
) -> str:
    """Write reports, by segment identifier, with all that shows them into the scene.

    After an error nothing stays of a first assessment; of a later one, old and new results may stay beside each other.

    Args:
        segmentation_node: The segmentation.
        volume_node: The volume.
        cases: The cases of the reports, as the segments are drawn.
        reports: The reports.
        threshold: Predicted Dice below which a slice is low, drawn as a line in the chart.
        difference: The difference image, where there is one.

    Returns:
        What to know of it: a sentence on decisions about another image, which are gone; else empty.
    """
    first = existing_node(segmentation_node, TABLE) is None
    checksums = {key: slice_checksums(case) for key, case in cases.items()}
    shown = shown_by(volume_node, segmentation_node)
    before = Results({}) if first else _readable_results(segmentation_node)
    elsewhere = shown.differs(before.shown)
    reviews = Reviews() if elsewhere else before.reviews.that_hold(checksums, before.checksums)
    try:
        write_overlay(segmentation_node, volume_node, cases, reports)
        write_surfaces(segmentation_node, volume_node, cases, reports)
        if difference is not None:
            write_difference(segmentation_node, difference)
        else:  # one of an earlier assessment shows another mask, model or frame
            remove_nodes(segmentation_node, DIFFERENCE)
        write_chart(segmentation_node, reports, threshold)
        if elsewhere:  # slices of another frame are not to be restored into this one
            drop_original(segmentation_node)
        keep_original(segmentation_node)
        write_results(segmentation_node, volume_node, Results(reports, checksums, reviews=reviews, shown=shown))
    except Exception:
        if first:
            remove_results(segmentation_node)
        raise
    if elsewhere and before.reviews != Reviews():
        return "Another image was assessed than before: the decisions about that one are gone."
    return ""


def _readable_results(segmentation_node: Any) -> Results:
    try:
        return read_results(segmentation_node)
    except ReportError:
        return Results({})
