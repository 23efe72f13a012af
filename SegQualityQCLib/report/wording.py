"""The words of every code that a report carries, once for all places that show them.

They are plain English without Slicer's translation; a panel may translate what it gets from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .codes import CaseFlag, Measure, SliceFlag, Status
from .report import QualityReport, SliceScore


@dataclass(frozen=True)
class Words:
    """The words of a code.

    Attributes:
        short: For a badge or a column.
        long: For a remark or a sentence, without its full stop. That of a flag of a case may have the places
            ``{segment}``, ``{model}`` and ``{offset}``, which :func:`note` fills.
    """

    short: str
    long: str


WORDS: Mapping[str, Words] = {
    Measure.PREDICTED_DICE: Words("predicted Dice", "predicted Dice"),
    Measure.AGREEMENT: Words("agreement", "mean Dice with the samples"),
    Measure.EXPECTED_DICE: Words("expected Dice", "Dice that the probabilities expect"),
    Status.SCORED: Words("scored", "predicted Dice with its 90 % interval"),
    Status.EMPTY: Words("empty", "nothing is drawn here"),
    Status.GAP: Words("gap", "gap between drawn slices"),
    Status.OUT_OF_WINDOW: Words(
        "outside the field of view", "not scored, since the mask reaches outside the model's field of view"
    ),
    Status.UNFAMILIAR: Words("unfamiliar", "not scored, since the model was not trained for it"),
    SliceFlag.CHECK: Words("check: may continue here", "does the structure go on here?"),
    SliceFlag.IMAGE: Words("image unlike training data", "the image is unlike the training data"),
    SliceFlag.TOO_SMALL: Words("too small", "the mask is too small for the model's resolution"),
    CaseFlag.MODEL_UNMATCHED: Words(
        "model not known to fit",
        "{segment!r} is not known to be what the model {model} was trained on: trust the scores only if it is",
    ),
    CaseFlag.NAME_AMBIGUOUS: Words(
        "ambiguous name",
        "what {segment!r} is called means different structures in different data sets: check that it is the one of the "
        "model {model}",
    ),
    CaseFlag.NAME_AND_CODE_DIFFER: Words(
        "name and code differ",
        "what {segment!r} is called contradicts its code: correct the one that is wrong, and check that it is the one "
        "of the model {model}",
    ),
    CaseFlag.GAPS: Words("gaps", "there are gaps between drawn slices: each lowers the volume's Dice"),
    CaseFlag.PARTLY_SCORED: Words(
        "partly scored",
        "not all drawn slices could be scored; the interval of the volume allows for any Dice of these",
    ),
    CaseFlag.CROPPED_TO_IMAGE: Words(
        "cropped to the image", "the segmentation reaches out of the image: what lies outside is not in these figures"
    ),
    CaseFlag.SEGMENT_LEFT_OUT: Words(
        "other segments left out", "other segments of this file lie wholly outside the image, and were left out"
    ),
    CaseFlag.NOT_CALIBRATED: Words(
        "not calibrated",
        "the numbers show where to look first; they are not a prediction of the Dice with a reference. To get one with "
        "an interval, calibrate on cases of your own (segquality calibrate)",
    ),
    CaseFlag.SAMPLE_LEFT_OUT: Words("sample left out", "a sample is the same as the segmentation, and was left out"),
    CaseFlag.SAMPLES_RESAMPLED: Words(
        "samples resampled", "samples lie on another grid than the image, and were resampled onto it"
    ),
    CaseFlag.PROBABILITIES_RESAMPLED: Words(
        "probabilities resampled", "the probabilities lie on another grid than the image, and were resampled onto it"
    ),
    CaseFlag.FRACTIONAL: Words(
        "cut at one half", "the segmentation holds fractions: voxels of at least one half were taken"
    ),
    CaseFlag.MOVED_AGAINST_IMAGE: Words(
        "moved against the image",
        "the segmentation lies on other voxels than the image, {offset} off: was it moved or resampled?",
    ),
    CaseFlag.QFORM_USED: Words(
        "qform used", "qform and sform of a NIfTI header place it differently: here the qform holds"
    ),
    CaseFlag.SFORM_USED: Words(
        "sform used", "qform and sform of a NIfTI header place it differently: here the sform holds"
    ),
    CaseFlag.DOUBTFUL_SPACING: Words(
        "doubtful spacing",
        "the image has no spacing, or one that is not in mm: areas in mm² and the scores hold only if it is right",
    ),
    CaseFlag.GPU_MEMORY: Words(
        "short of GPU memory", "the GPU ran out of memory: smaller batches or the CPU were used"
    ),
}


def short_words(code: str) -> str:
    """The short words of a code; one that this version does not know stays as it is."""
    return WORDS[code].short if code in WORDS else str(code)


def long_words(code: str) -> str:
    """The long words of a code; one that this version does not know stays as it is."""
    return WORDS[code].long if code in WORDS else str(code)


def number_words(report: QualityReport, value: float) -> str:
    """What a number of a report is, and the number: ``predicted Dice 0.86``, or ``agreement 0.86, not calibrated``."""
    text = f"{short_words(report.measure)} {value:.2f}"
    return text if report.is_calibrated else f"{text}, {short_words(CaseFlag.NOT_CALIBRATED)}"


def remark(score: SliceScore) -> str:
    """What the status of a slice and its flags mean; nothing for a scored slice without flags."""
    status = [] if score.status is Status.SCORED else [score.status]
    return "; ".join(long_words(code) for code in (*status, *score.flags))


def note(flag: str, report: QualityReport) -> str:
    """What a flag of a case means for its report, as a sentence without its full stop."""
    if flag not in WORDS:
        return flag
    offset = report.provenance.parameters.get("offset_mm")
    distance = f"{offset:.1f} mm" if isinstance(offset, (int, float)) else "by more than half a voxel"
    return long_words(flag).format(segment=report.case.segment, model=report.model.name, offset=distance)
