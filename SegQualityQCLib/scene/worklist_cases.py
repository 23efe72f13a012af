"""Cases of a worklist in the scene: loaded with their stored scores, saved as new versions, and closed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import slicer

from ..case.checks import checked_geometry, name_of_label
from ..case.grids import AXIS_NAMES
from ..cohort.case_result import CaseResult
from ..errors import InputError
from ..reading.images import read_image
from ..reading.seg_nrrd import has_segments
from ..report.report import QualityReport
from ..review.worklist import WorklistCase
from .assessment import remove_results, write_assessment
from .images import add_volume
from .node_cases import edited_case, segment_ids, unmarked_case
from .result_nodes import remove_from_scene, with_parts


def load_case(scene: Any, case: WorklistCase, threshold: float) -> tuple[Any, Any]:
    """Load image, latest segmentation and, for a segmentation that was not changed since, the stored scores.

    Args:
        scene: The scene.
        case: The case.
        threshold: Predicted Dice below which a slice is low.

    Returns:
        The volume node and the segmentation node.

    Raises:
        InputError: A file is missing, cannot be read or is no volume; the scene is left as it was.
    """
    image = checked_geometry(read_image(case.image), case.image.name, "image")
    if not os.path.isfile(case.latest):  # noqa: PTH113 - Path.is_file raises where a folder above is forbidden
        raise InputError(f"The segmentation {case.latest} does not exist: was it moved?")
    segmentation_node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", f"{case.name} segmentation")
    segmentation_node.AddDefaultStorageNode()
    storage = segmentation_node.GetStorageNode()
    storage.SetFileName(str(case.latest))
    if not storage.ReadData(segmentation_node) or not segment_ids(segmentation_node):
        scene.RemoveNode(storage)
        scene.RemoveNode(segmentation_node)
        raise InputError(f"The segmentation {case.latest} cannot be read: is it damaged?")
    if not has_segments(case.latest):
        _name_by_label(segmentation_node)
    segmentation_node.CreateDefaultDisplayNodes()
    volume_node = add_volume(scene, image, case.name)
    segmentation_node.SetReferenceImageGeometryParameterFromVolumeNode(volume_node)
    if case.result is not None:
        _show_stored_scores(volume_node, segmentation_node, case, case.result, threshold)
    return volume_node, segmentation_node


def chosen_segments(segmentation_node: Any, case: WorklistCase) -> list[str]:
    """The segments that the manifest chose: that of a label or a name, else all."""
    ids = segment_ids(segmentation_node)
    segments = {key: segmentation_node.GetSegmentation().GetSegment(key) for key in ids}
    if case.label is not None:
        chosen = [key for key, segment in segments.items() if segment.GetLabelValue() == case.label]
    else:
        chosen = [key for key, segment in segments.items() if segment.GetName() == case.segment]
    return chosen or ids


def save_segmentation(segmentation_node: Any, path: Path) -> None:
    """Write a segmentation as ``.seg.nrrd``.

    Raises:
        InputError: It cannot be written.
    """
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(str(path))
    if not storage.WriteData(segmentation_node):
        raise InputError(f"The segmentation cannot be written to {path.parent}: is the disk full or read-only?")


def drawing_times(segmentation_node: Any) -> dict[str, int]:
    """VTK's modification time of each segment as it is drawn: one grows with each edit, none with a view or a colour.

    The latest of them would not tell that a segment was removed.
    """
    segmentation = segmentation_node.GetSegmentation()
    name = segmentation.GetSourceRepresentationName()
    parts = {key: segmentation.GetSegment(key).GetRepresentation(name) for key in segment_ids(segmentation_node)}
    return {key: part.GetMTime() for key, part in parts.items() if part is not None}


def close_case(scene: Any, volume_node: Any, segmentation_node: Any) -> None:
    """Remove a case and its results from the scene."""
    if segmentation_node is not None and segmentation_node.GetScene() is scene:
        remove_results(segmentation_node)
    for node in (segmentation_node, volume_node):
        if node is not None and node.GetScene() is scene:
            remove_from_scene(scene, with_parts(node))


def _name_by_label(segmentation_node: Any) -> None:
    """Call the segments of a plain labelmap as the command line does."""
    segmentation = segmentation_node.GetSegmentation()
    for key in segment_ids(segmentation_node):
        segment = segmentation.GetSegment(key)
        segment.SetName(name_of_label(segment.GetLabelValue()))


def _show_stored_scores(
    volume_node: Any, segmentation_node: Any, case: WorklistCase, path: Path, threshold: float
) -> None:
    """Show the scores that a cohort's run stored; none if they cannot be read or are those of other files."""
    result = CaseResult.read(path)
    if result is None or not result.is_of(case.image, case.latest):
        return
    stored = result.reports
    segmentation = segmentation_node.GetSegmentation()
    by_name = {segmentation.GetSegment(key).GetName(): key for key in segment_ids(segmentation_node)}
    reports: dict[str, QualityReport] = {by_name[r.case.segment]: r for r in stored if r.case.segment in by_name}
    cases = {}
    for key, report in reports.items():
        drawn = edited_case(unmarked_case(volume_node, report.case.axis), segmentation_node, key)
        if AXIS_NAMES[drawn.axis] != report.case.axis or drawn.n_slices != report.case.slices:
            return
        cases[key] = drawn
    if reports:
        write_assessment(segmentation_node, volume_node, cases, reports, threshold)
