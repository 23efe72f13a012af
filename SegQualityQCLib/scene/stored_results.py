"""Results in a table node that is saved with the scene, and results from such a table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import vtk

from ..errors import InputError, ReportError
from ..report.report import QualityReport, Status
from .assessed_content import Shown, check_shown
from .node_cases import ijk_to_world
from .result_nodes import TABLE, existing_node, node_for
from .reviews import Review, Reviews

COLUMNS = (
    "Segment",
    "Slice",
    "Position [mm]",
    "Status",
    "Predicted Dice",
    "Low",
    "High",
    "Flags",
    "Before",
    "Decision",
    "Comment",
    "Reviewer",
    "Reviewed",
)

_REPORTS = "SegQualityQC.Reports"
_BEFORE = "SegQualityQC.Before"
_CHECKSUMS = "SegQualityQC.Checksums"
_REVIEWS = "SegQualityQC.Reviews"
_VOLUME = "SegQualityQC.Volume"
_SHOWN = "SegQualityQC.Shown"


@dataclass(frozen=True)
class Results:
    """What is known of a segmentation, by segment identifier.

    Attributes:
        reports: The reports as they are now.
        checksums: One number a slice that tells whether its mask is still the one that was scored.
        before: Predicted Dice, by slice index, before the first edit since the assessment; ``None`` where the slice
            had none.
        reviews: What reviewers decided.
        shown: What volume and segmentation showed when they were assessed.
    """

    reports: Mapping[str, QualityReport]
    checksums: Mapping[str, Sequence[int]] = field(default_factory=dict)
    before: Mapping[str, Mapping[int, float | None]] = field(default_factory=dict)
    reviews: Reviews = field(default_factory=Reviews)
    shown: Shown = field(default_factory=Shown)

    def edited(
        self,
        reports: Mapping[str, QualityReport],
        checksums: Mapping[str, Sequence[int]],
        changed: Mapping[str, Iterable[int]],
    ) -> Results:
        """The results after edits: reports scored anew, the scores before the edits, and decisions that still hold.

        Args:
            reports: Reports after the edits; those of removed segments are gone.
            checksums: Checksums after the edits.
            changed: Slices whose mask changed, by segment identifier.
        """
        before = {key: dict(self.before.get(key, {})) for key in reports}
        for key in reports:
            for index in changed.get(key, ()):
                old, new = self.reports[key].slice(index), reports[key].slice(index)
                # A gap is certainly wrong: its Dice is 0, not a prediction.
                first = before[key].setdefault(index, 0.0 if old.status is Status.GAP else old.dice)
                now = 0.0 if new.status is Status.GAP else new.dice
                if now == first or (now is not None and first is not None and abs(now - first) < 1e-6):  # undone
                    del before[key][index]
        reviews = self.reviews.that_hold(checksums, self.checksums)
        return replace(self, reports=reports, checksums=checksums, before=before, reviews=reviews)


def slice_positions(volume_node: Any, axis: str) -> np.ndarray:
    """World RAS of the middle of each slice in mm, shape (slices, 3)."""
    direction = "ijk".index(axis)
    size = volume_node.GetImageData().GetDimensions()
    index = np.tile([(n - 1) / 2 for n in size] + [1.0], (size[direction], 1))
    index[:, direction] = np.arange(size[direction])
    return (index @ ijk_to_world(volume_node).T)[:, :3]


def position_along_normal(volume_node: Any, axis: str) -> np.ndarray:
    """Position of each slice in mm along the slice normal, in world coordinates, shape (slices,)."""
    directions = ijk_to_world(volume_node)[:3, :3]
    direction = "ijk".index(axis)
    in_plane = [a for a in range(3) if a != direction]
    normal = np.cross(directions[:, in_plane[0]], directions[:, in_plane[1]])
    return slice_positions(volume_node, axis) @ as_sliders_count(normal / np.linalg.norm(normal))


def as_sliders_count(normal: np.ndarray) -> np.ndarray:
    """A slice normal in the direction in which Slicer's nearest view counts its slices: superior, anterior or left."""
    main = int(np.argmax(np.abs(normal)))
    return normal if (normal[main] > 0) == (main != 0) else -normal


def write_results(segmentation_node: Any, volume_node: Any, results: Results) -> Any:
    """Write the results of a segmentation into its table node; the same node each time.

    Returns:
        The vtkMRMLTableNode, referenced from the segmentation node.
    """
    node = node_for(segmentation_node, TABLE, "vtkMRMLTableNode", f"{segmentation_node.GetName()} quality")
    columns: list[list[str]] = [[] for _ in COLUMNS]
    for key, report in results.reports.items():
        positions = position_along_normal(volume_node, report.case.axis)
        before = results.before.get(key, {})
        for score in report.slices:
            review = results.reviews.of(key, score.index)
            cells = (
                report.case.segment,
                str(score.index),
                f"{positions[score.index]:.2f}",
                score.status.value,
                *("" if value is None else f"{value:.3f}" for value in (score.dice, score.low, score.high)),
                " ".join(score.flags),
                "" if before.get(score.index) is None else f"{before[score.index]:.3f}",
                *(("", "", "", "") if review is None else _review_cells(review)),
            )
            for column, cell in zip(columns, cells, strict=True):
                column.append(cell)
    node.SetLocked(True)
    modified = node.StartModify()
    node.SetAndObserveTable(_vtk_table(columns))
    models = [report.model for report in results.reports.values()]
    for name, values in (
        ("Model", {model.name for model in models}),
        ("ModelVersion", {model.version for model in models}),
        ("ModelSHA256", {model.sha256 for model in models}),
    ):
        node.SetAttribute(f"SegQualityQC.{name}", ", ".join(sorted(values)))
    created = max((report.provenance.created for report in results.reports.values()), default="")
    node.SetAttribute("SegQualityQC.Created", created)
    node.SetAttribute(_REPORTS, json.dumps({key: report.to_dict() for key, report in results.reports.items()}))
    node.SetAttribute(_CHECKSUMS, json.dumps({key: list(sums) for key, sums in results.checksums.items()}))
    node.SetAttribute(_BEFORE, json.dumps(results.before))
    node.SetAttribute(_REVIEWS, json.dumps(results.reviews.to_dict()))
    node.SetAttribute(_SHOWN, json.dumps(asdict(results.shown)))
    if node.GetNodeReference(_VOLUME) is not volume_node:
        node.SetNodeReferenceID(_VOLUME, volume_node.GetID())
    node.EndModify(modified)
    return node


def _review_cells(review: Review) -> tuple[str, str, str, str]:
    return (review.decision.value, review.comment, review.reviewer, review.time)


def _vtk_table(columns: list[list[str]]) -> Any:
    table = vtk.vtkTable()
    for name, cells in zip(COLUMNS, columns, strict=True):
        column = vtk.vtkStringArray()
        column.SetName(name)
        column.SetNumberOfValues(len(cells))
        for row, cell in enumerate(cells):
            column.SetValue(row, cell)
        table.AddColumn(column)
    return table


def read_results(segmentation_node: Any) -> Results:
    """The results that a segmentation's table node keeps; without such a node they have no reports.

    Raises:
        ReportError: The table was changed by hand and can no longer be read.
    """
    node = existing_node(segmentation_node, TABLE)
    if node is None or not node.GetAttribute(_REPORTS):
        return Results({})
    try:
        reports, checksums, before, reviews, shown = (
            json.loads(node.GetAttribute(key) or "{}") for key in (_REPORTS, _CHECKSUMS, _BEFORE, _REVIEWS, _SHOWN)
        )
        return Results(
            {str(key): QualityReport.from_dict(entry) for key, entry in reports.items()},
            {str(key): [int(value) for value in sums] for key, sums in checksums.items()},
            {
                str(key): {int(index): None if dice is None else float(dice) for index, dice in entries.items()}
                for key, entries in before.items()
            },
            Reviews.from_dict(reviews) if reviews else Reviews(),
            Shown(**shown),
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise ReportError(f"The results in the table {node.GetName()} are damaged: assess again.") from error


def write_reviews(segmentation_node: Any, reviews: Reviews) -> None:
    """Keep decisions with the results of a segmentation.

    Raises:
        InputError: It has no results, or their volume is gone.
    """
    volume_node = present_volume(segmentation_node)
    write_results(segmentation_node, volume_node, replace(read_results(segmentation_node), reviews=reviews))


def check_assessed(segmentation_node: Any) -> None:
    """Check that the nodes of the results still show what was assessed; without results nothing is checked.

    Raises:
        InputError: The volume is gone, or volume or segmentation show another frame of a sequence.
    """
    results = read_results(segmentation_node)
    if results.reports:
        check_shown(present_volume(segmentation_node), segmentation_node, results.shown)


def assessed_volume(segmentation_node: Any) -> Any | None:
    """The volume node that the reports of a segmentation were made with."""
    node = existing_node(segmentation_node, TABLE)
    return node.GetNodeReference(_VOLUME) if node is not None else None


def present_volume(segmentation_node: Any) -> Any:
    """The volume node of :func:`assessed_volume`.

    Raises:
        InputError: It is gone.
    """
    volume_node = assessed_volume(segmentation_node)
    if volume_node is None:
        raise InputError("The volume of these results is no longer in the scene: choose one and assess again.")
    return volume_node
