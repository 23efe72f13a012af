"""The report of a case from the scores of its slices, alike for all families."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from .. import __version__
from ..case.case import Case
from ..case.grids import AXIS_NAMES
from ..case.terminology import contradict, is_ambiguous, says_something
from ..report.calibration import Calibration, IntervalTable
from ..report.codes import CaseFlag, Measure, Status
from ..report.report import CaseDescription, ModelIdentity, Provenance, QualityReport, SliceScore, VolumeScore
from ..report.volume_score import volume_score
from .slice_rules import VolumeEstimate


def build_report(
    case: Case,
    scores: Sequence[SliceScore],
    *,
    model: ModelIdentity,
    calibration: Calibration | None,
    matched: bool,
    parameters: Mapping[str, Any],
    flags: Sequence[str] = (),
    measure: Measure = Measure.PREDICTED_DICE,
    volume: VolumeEstimate | None = None,
) -> QualityReport:
    """Make the report of a case.

    Args:
        case: The case.
        scores: One score a slice, in ascending index.
        model: Which model made them.
        calibration: The intervals of the model for this structure; ``None`` where it is not calibrated.
        matched: Whether the segment is known to be what the model was trained on.
        parameters: What repeats the assessment, as JSON types.
        flags: What the estimator has to say of the whole case.
        measure: What the numbers are.
        volume: The estimator's own estimate of the volume; ``None`` takes it from the slices.
    """
    parameters = {**parameters, "offset_mm": round(case.offset_mm, 2)} if case.offset_mm else parameters
    statuses = {score.status for score in scores}
    said: list[str] = list(case.flags)
    said += [] if matched else [CaseFlag.MODEL_UNMATCHED]
    said += _said_of_the_name(case, matched)
    said += [CaseFlag.GAPS] if Status.GAP in statuses else []
    said += [CaseFlag.PARTLY_SCORED] if statuses & {Status.OUT_OF_WINDOW, Status.UNFAMILIAR} else []
    said += [] if measure is Measure.PREDICTED_DICE else [CaseFlag.NOT_CALIBRATED]
    said += flags
    table = None if calibration is None else calibration.volume
    return QualityReport(
        model=model,
        case=CaseDescription(
            case.image_name,
            case.segmentation_name,
            case.segment,
            AXIS_NAMES[case.axis],
            case.spacing_mm,
            case.n_slices,
        ),
        volume=volume_score(table, list(scores)) if volume is None else _own_score(volume, table),
        slices=tuple(scores),
        provenance=Provenance(__version__, datetime.now(timezone.utc).isoformat(timespec="seconds"), dict(parameters)),
        flags=tuple(said),
        measure=measure,
    )


def _own_score(volume: VolumeEstimate, table: IntervalTable | None) -> VolumeScore:
    low, high = (None, None) if table is None else table.interval(volume.dice)
    return VolumeScore(volume.dice, low, high, volume.evidence)


def _said_of_the_name(case: Case, matched: bool) -> list[str]:
    """What the user should know of the segment's name and code, by which its model is found."""
    if contradict(case.terminology_code, case.structure_name):
        return [CaseFlag.NAME_AND_CODE_DIFFER]
    by_name = matched and not says_something(case.terminology_code)
    return [CaseFlag.NAME_AMBIGUOUS] if by_name and is_ambiguous(case.structure_name) else []
