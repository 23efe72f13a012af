"""Scoring again the slices of an assessed segmentation that were edited, by whatever tool."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..case.case import Case
from ..errors import InputError
from ..estimators.loading import EstimatorCache
from .assessed_content import check_shown
from .assessment import Progress
from .node_cases import edited_case, ijk_to_world, segment_ids, slice_checksums, unmarked_case
from .overlays import update_overlay, write_overlay, write_surfaces
from .plots import write_chart
from .stored_results import present_volume, read_results, write_results


@dataclass
class EditedCases:
    """Cases of assessed segments as they are drawn now: the volume is read once, the masks each time."""

    _volumes: dict[tuple, Case] = field(default_factory=dict)

    def get(self, volume_node: Any, segmentation_node: Any, segment_id: str, axis: str) -> Case:
        """The case of a segment; its mask may be empty."""
        geometry = ijk_to_world(volume_node).tobytes()
        key = (volume_node.GetID(), id(volume_node), volume_node.GetImageData().GetMTime(), geometry, axis)
        if key not in self._volumes:
            self._volumes.clear()  # one volume is corrected at a time
            self._volumes[key] = unmarked_case(volume_node, axis)
        return edited_case(self._volumes[key], segmentation_node, segment_id)


def iter_rescore(
    segmentation_node: Any,
    estimators: EstimatorCache,
    edited: EditedCases,
    *,
    threshold: float,
    batch_size: int = 4,
) -> Iterator[Progress]:
    """Score the slices whose masks changed since they were scored; the scene is written once, at the end.

    Segments that were removed leave the results. Nothing is yielded where nothing changed.

    Args:
        segmentation_node: An assessed segmentation.
        estimators: The loaded models.
        edited: The cases of earlier calls.
        threshold: Predicted Dice below which a slice is low, drawn as a line in the chart.
        batch_size: Slices that go through the networks in one step.

    Raises:
        InputError: The volume or the model of the results is gone, or was changed, or another frame of a sequence is
            shown than was assessed.
    """
    results = read_results(segmentation_node)
    if not results.reports:
        return
    volume_node = present_volume(segmentation_node)
    check_shown(volume_node, segmentation_node, results.shown)
    present = segment_ids(segmentation_node)
    reports = {key: report for key, report in results.reports.items() if key in present}
    cases, checksums, changed = {}, {}, {}
    for key, report in reports.items():
        cases[key] = edited.get(volume_node, segmentation_node, key, report.case.axis)
        checksums[key] = slice_checksums(cases[key])
        known = results.checksums.get(key, ())
        if len(known) != len(checksums[key]):
            raise InputError(f"The volume {volume_node.GetName()} has other slices than when it was assessed.")
        changed[key] = [n for n, (old, new) in enumerate(zip(known, checksums[key], strict=True)) if old != new]
    if len(reports) == len(results.reports) and not any(changed.values()):
        if results.edited(reports, checksums, changed).reviews != results.reviews:  # signed for what was taken back
            write_results(segmentation_node, volume_node, results.edited(reports, checksums, changed))
        return
    total, done = max(1, sum(map(len, changed.values()))), 0
    for key, indices in changed.items():
        if not indices:
            continue
        estimator = estimators.for_report(reports[key].model)
        prepared = estimator.prepare(cases[key], reports[key].provenance.parameters)
        for first in range(0, len(indices), batch_size):
            batch = indices[first : first + batch_size]
            reports[key] = estimator.rescore(cases[key], reports[key], batch, prepared)
            done += len(batch)
            yield Progress(0.95 * done / total, f"Scoring {reports[key].case.segment} again: slice {done} of {total}")
    if len(reports) < len(results.reports):  # a removed segment's colours may lie anywhere
        write_overlay(segmentation_node, volume_node, cases, reports)
    else:
        update_overlay(segmentation_node, cases, reports, changed)
    touched = {key for key, indices in changed.items() if indices}
    write_surfaces(segmentation_node, volume_node, cases, reports, only=touched)
    write_chart(segmentation_node, reports, threshold)
    now = read_results(segmentation_node)  # with decisions that were made while the networks ran
    write_results(segmentation_node, volume_node, now.edited(reports, checksums, changed))
    yield Progress(1.0, "", reports)
