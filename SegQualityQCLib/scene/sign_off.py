"""Decisions on slices and cases, each kept with a checksum of what was drawn then."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..errors import InputError
from .assessed_content import check_shown
from .node_cases import segment_ids, slice_checksums
from .rescoring import EditedCases
from .reviews import Review, checksum_of_case
from .stored_results import Results, present_volume, read_results, write_reviews


def sign_slice(segmentation_node: Any, edited: EditedCases, segment_id: str, index: int, review: Review) -> None:
    """Keep a decision on a slice of an assessed segmentation, as it is drawn now.

    Args:
        segmentation_node: The segmentation.
        edited: The cases of earlier calls.
        segment_id: Identifier of the segment.
        index: Slice index.
        review: The decision.

    Raises:
        InputError: The segment or the volume is gone, or another image is shown than was assessed.
    """
    results = read_results(segmentation_node)
    if segment_id not in segment_ids(segmentation_node):
        raise InputError("This segment was removed: there is nothing to decide on.")
    drawn = _drawn(segmentation_node, edited, results, segment_id)[index]
    write_reviews(segmentation_node, results.reviews.with_slice(segment_id, index, replace(review, drawn=drawn)))


def sign_case(segmentation_node: Any, edited: EditedCases, review: Review) -> None:
    """Keep a decision on the whole case as it is drawn now; see :func:`sign_slice`."""
    results = read_results(segmentation_node)
    present = segment_ids(segmentation_node)
    drawn = {key: _drawn(segmentation_node, edited, results, key) for key in results.reports if key in present}
    review = replace(review, drawn=checksum_of_case(drawn))
    write_reviews(segmentation_node, results.reviews.with_case(review))


def _drawn(segmentation_node: Any, edited: EditedCases, results: Results, segment_id: str) -> list[int]:
    volume_node, report = present_volume(segmentation_node), results.reports[segment_id]
    check_shown(volume_node, segmentation_node, results.shown)
    checksums = slice_checksums(edited.get(volume_node, segmentation_node, segment_id, report.case.axis))
    if len(checksums) != report.case.slices:
        raise InputError(f"The volume {volume_node.GetName()} has other slices than when it was assessed.")
    return checksums
