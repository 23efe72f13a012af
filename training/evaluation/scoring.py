"""Scores candidates through the library's own estimator, so that the figures are those of the clinic."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from SegQualityQCLib.case.case import Case
from SegQualityQCLib.case.field_of_view import field_of_view_grid
from SegQualityQCLib.errors import InputError
from SegQualityQCLib.estimators.networks.network_estimator import NetworkEstimator
from SegQualityQCLib.report.report import Status
from SegQualityQCLib.report.volume_score import scored_share

from ..candidates.perturbations import ALL_MASK_FAULTS, MEASURED_VARIANTS, read_perturbed
from ..data.patients import Volume, study_volumes
from ..data.windows import Windows, margin_window
from ..metrics.dice import dice_of_arrays
from ..study.artifacts import write_arrays
from ..study.configuration import Structure, Study
from ..study.paths import candidate_files

NET = -1  # the kind of a candidate that a U-net drew; the others are positions in ALL_MASK_FAULTS
REFERENCE, PERTURBED = -2, -3  # of whole volumes: the reference itself, and one whose slices are perturbed in many ways


@dataclass(frozen=True)
class Scores:
    """Predicted and true Dice of slices, and of whole volumes.

    Attributes:
        patient: Number of each slice's patient, shape (n,).
        kind: -1 for a U-net's candidate, else the position of its fault in :data:`ALL_MASK_FAULTS`.
        predicted: Predicted Dice; NaN where the slice was not scored.
        true: True Dice on the image's own grid.
        low: Lower end of the interval.
        high: Upper end.
        unfamiliar: Whether the distribution check called the image unfamiliar.
        volume_patient, volume_predicted, volume_true, volume_low, volume_high: The same for whole volumes.
        volume_kind: -1 for a U-net's, -2 for the reference itself, -3 for a perturbed one.
        volume_share: Share of the drawn area whose slices were scored.
    """

    patient: NDArray
    kind: NDArray
    predicted: NDArray
    true: NDArray
    low: NDArray
    high: NDArray
    unfamiliar: NDArray
    volume_patient: NDArray
    volume_predicted: NDArray
    volume_true: NDArray
    volume_low: NDArray
    volume_high: NDArray
    volume_share: NDArray
    volume_kind: NDArray

    def write(self, path: Path) -> None:
        """Write as .npz, whole or not at all."""
        write_arrays(path, {entry.name: getattr(self, entry.name) for entry in fields(self)})

    @classmethod
    def read(cls, path: Path) -> Scores:
        """Read what :meth:`write` wrote."""
        with np.load(path) as stored:
            return cls(**{entry.name: stored[entry.name] for entry in fields(cls)})


@dataclass(frozen=True)
class _Candidate:
    """A mask in the windows of one volume, and the kind of each of its slices."""

    mask: NDArray[np.bool_]
    kind: NDArray[np.int64]

    @property
    def kind_of_volume(self) -> int:
        first = int(self.kind[0])
        return first if first < 0 and (self.kind == first).all() else PERTURBED


def score_patients(study: Study, structure: Structure, estimator: NetworkEstimator, patients: list[str]) -> Scores:
    """Score all U-net candidates and some perturbed masks of these patients; as volumes, the references too.

    Raises:
        InputError: No candidate could be scored.
    """
    windows = Windows.of(study)
    chosen = [volume for volume in study_volumes(study) if volume.patient in patients]
    candidates = _candidates(study, structure, windows, chosen)
    slices: list[tuple[float, ...]] = []
    volumes: list[tuple[float, ...]] = []
    for volume in chosen:
        number = patients.index(volume.patient)
        case, labels = volume.read()
        for candidate in candidates[volume.name]:
            of_slices, of_volume = _score_candidate(study, structure, estimator, case, labels, candidate)
            slices += [(number, *row) for row in of_slices]
            volumes += [(number, *row) for row in of_volume]
    if not slices:
        raise InputError(f"No candidate of the {structure.name} could be scored on these patients: train longer.")
    columns = [np.array(column) for column in zip(*slices, strict=True)]
    return Scores(*columns, *np.array(volumes, float).reshape(-1, 7).T)


def _candidates(
    study: Study, structure: Structure, windows: Windows, volumes: list[Volume]
) -> dict[str, list[_Candidate]]:
    """All candidates of each volume, by its name."""
    rows = {volume.name: windows.rows_of_volume(volume.name) for volume in volumes}
    candidates: dict[str, list[_Candidate]] = {volume.name: [] for volume in volumes}
    for path in candidate_files(study):
        with np.load(path) as stored:
            labels, saw = stored["labels"], stored["saw"] if "saw" in stored else np.zeros(len(windows.volume), bool)
        for name, places in rows.items():
            if saw[places].any():
                continue
            candidates[name].append(_Candidate(labels[places] == structure.label, np.full(len(places), NET)))
    masks, faults = (part[:MEASURED_VARIANTS] for part in read_perturbed(study, structure))
    for name, places in rows.items():
        candidates[name] += [_Candidate(mask[places], fault[places]) for mask, fault in zip(masks, faults, strict=True)]
        reference = windows.labels[places] == structure.label
        candidates[name].append(_Candidate(reference, np.full(len(places), REFERENCE)))
    return candidates


def _score_candidate(
    study: Study,
    structure: Structure,
    estimator: NetworkEstimator,
    case: Case,
    labels: sitk.Image,
    candidate: _Candidate,
) -> tuple[list[tuple[float, ...]], list[tuple[float, ...]]]:
    """Rows of the slices and of the volume of one candidate, in the order of the columns of :class:`Scores`."""
    drawn = onto_image(study, case, candidate.mask)
    if not sitk.GetArrayViewFromImage(drawn).any():
        return [], []
    report = estimator.assess(Case.from_images(case.image, drawn, label=1, axis=case.axis, segment=structure.name))
    reference = slices_first(labels, case.axis) == structure.label
    mask = slices_first(drawn, case.axis).astype(bool)
    slices: list[tuple[float, ...]] = []
    for score, s, g, kind in zip(report.slices, mask, reference, candidate.kind, strict=True):
        if kind != REFERENCE and s.any() and (score.dice is not None or score.status is Status.UNFAMILIAR):
            dice, low, high = (np.nan if v is None else v for v in (score.dice, score.low, score.high))
            true = float(dice_of_arrays(s, g))
            slices.append((int(kind), dice, true, low, high, score.status is Status.UNFAMILIAR))
    volume = report.volume
    if volume.dice is None or volume.low is None or volume.high is None:
        return slices, []
    true, share = float(dice_of_arrays(mask, reference)), scored_share(report.slices)
    return slices, [(volume.dice, true, volume.low, volume.high, share, candidate.kind_of_volume)]


def onto_image(study: Study, case: Case, drawn: NDArray) -> sitk.Image:
    """A mask in the margin window of the cache, on the image's own grid; the case is what :meth:`Volume.read` gave."""
    mask = sitk.GetImageFromArray(drawn.astype(np.uint8))
    mask.CopyInformation(field_of_view_grid(case, margin_window(study, case)))
    return sitk.Resample(mask, case.image, sitk.Transform(), sitk.sitkNearestNeighbor, 0, sitk.sitkUInt8)


def slices_first(image: sitk.Image, axis: int) -> NDArray:
    """The array of an image with its slices first."""
    return np.moveaxis(sitk.GetArrayViewFromImage(image), 2 - axis, 0)


def kind_name(kind: int) -> str:
    """The name of a candidate's kind."""
    return "U-net" if kind == NET else ALL_MASK_FAULTS[kind]


def balanced(scores: Scores, chosen: NDArray[np.bool_], count: int, seed: int) -> NDArray[np.int64]:
    """Positions of slices: the same number from each of ten equal bins of true Dice, fewer where a bin runs out.

    Args:
        scores: The scores.
        chosen: Which slices may be drawn, shape (n,).
        count: Slices wanted in all.
        seed: Of the draw.

    Returns:
        Positions in the scores, at most ``count``.
    """
    rng = np.random.default_rng(seed)
    bins = np.minimum((scores.true * 10).astype(int), 9)
    usable = chosen & np.isfinite(scores.predicted)
    parts = []
    for number in range(10):
        places = np.flatnonzero(usable & (bins == number))
        parts.append(rng.choice(places, min(count // 10, len(places)), replace=False))
    return np.concatenate(parts)
