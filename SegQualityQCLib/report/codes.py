"""The codes that a report carries: what its numbers are, the status of a slice, the flags of slices and of the case.

Their values are what JSON, CSV and scenes hold, so they never change; their words are in :mod:`.wording`. A report
keeps flags as texts, since a file of a newer version may hold others.
"""

from __future__ import annotations

from enum import Enum


class Code(str, Enum):
    """A text with a fixed meaning; it is written as its value on every version of Python."""

    def __str__(self) -> str:
        return str(self.value)


class Status(Code):
    """What is known of a slice."""

    SCORED = "scored"
    EMPTY = "empty"
    """Nothing is drawn here, and the slice is not between drawn ones."""
    GAP = "gap"
    """Nothing is drawn here, between drawn slices."""
    OUT_OF_WINDOW = "out_of_window"
    """The mask reaches outside the field of view of the networks."""
    UNFAMILIAR = "unfamiliar"
    """The image is unlike the training data, or the mask is too small to be seen at the model's resolution."""


class Measure(Code):
    """What the number of a slice or a volume is."""

    PREDICTED_DICE = "predicted_dice"
    """The Dice that the candidate is expected to have with a reference, with a calibrated interval."""
    AGREEMENT = "agreement"
    """The mean Dice with other segmentations of the image; no interval."""
    EXPECTED_DICE = "expected_dice"
    """The Dice expected under the probabilities of a network; no interval."""


class SliceFlag(Code):
    """Why a slice has its status, or what to check there."""

    CHECK = "check"
    """An empty slice beside a large end slice: the structure may go on here."""
    IMAGE = "image"
    """The image is unlike the training data."""
    TOO_SMALL = "too_small"
    """The mask vanishes at the model's resolution."""


class CaseFlag(Code):
    """What the user should know of the whole case."""

    MODEL_UNMATCHED = "model_unmatched"
    """The segment is not known, by code or name, to be what the model was trained on."""
    NAME_AMBIGUOUS = "name_ambiguous"
    """The segment's name means different structures in different data sets; the model is chosen by it."""
    NAME_AND_CODE_DIFFER = "name_and_code_differ"
    """The segment's name is known for one structure, its code for another."""
    GAPS = "gaps"
    """There are gaps; each lowers the volume's Dice."""
    PARTLY_SCORED = "partly_scored"
    """Some drawn slices could not be scored."""
    CROPPED_TO_IMAGE = "cropped_to_image"
    """Part of the segmentation lies outside the image and was left out."""
    SEGMENT_LEFT_OUT = "segment_left_out"
    """Other segments of the file lie wholly outside the image and were left out."""
    NOT_CALIBRATED = "not_calibrated"
    """The numbers are not a predicted Dice and have no interval; the measure of the report says what they are."""
    SAMPLE_LEFT_OUT = "sample_left_out"
    """A sample is the candidate itself and was left out."""
    SAMPLES_RESAMPLED = "samples_resampled"
    """Samples lie on another grid than the image and were resampled."""
    PROBABILITIES_RESAMPLED = "probabilities_resampled"
    """The probabilities lie on another grid than the image and were resampled."""
    FRACTIONAL = "fractional"
    """The segmentation holds fractions; voxels of at least one half were taken."""
    MOVED_AGAINST_IMAGE = "moved_against_image"
    """The segmentation was moved or resampled against the image by more than half a voxel."""
    QFORM_USED = "qform_used"
    """The qform and the sform of a NIfTI header differ; the qform was used."""
    SFORM_USED = "sform_used"
    """The qform and the sform of a NIfTI header differ; the sform was used."""
    DOUBTFUL_SPACING = "doubtful_spacing"
    """The spacing of the image is 1 x 1 x 1 as in a file without one, or not in mm."""
    GPU_MEMORY = "gpu_memory"
    """The GPU ran out of memory: smaller batches or the CPU were used."""
