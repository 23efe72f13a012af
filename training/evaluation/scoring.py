"""Scores candidates through the library's own estimator: what is measured is what the clinic gets."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from SegQualityQCLib.case.case import Case
from SegQualityQCLib.case.field_of_view import window_grid
from SegQualityQCLib.errors import InputError
from SegQualityQCLib.estimators.networks.network_estimator import DirectEstimator
from SegQualityQCLib.report.report import Status
from SegQualityQCLib.report.volume_score import scored_share

from ..candidates.perturbations import ALL_KINDS, MEASURED_VARIANTS, read_perturbed
from ..data.patients import find_volumes
from ..data.windows import Windows, margin_window
from ..metrics.dice import dice_of_arrays
from ..study.artifacts import write_arrays
from ..study.configuration import Structure, Study
from ..study.paths import candidate_files

NET = -1  # the kind of a candidate that a U-net drew; others are positions in ALL_KINDS
REFERENCE, PERTURBED = -2, -3  # of whole volumes: the reference itself, and one whose slices are perturbed in many ways


@dataclass(frozen=True)
class Scores:
    """Predicted and true Dice of slices, and of whole volumes.

    Attributes:
        patient: Number of each slice's patient, shape (n,).
        kind: -1 for a U-net's candidate, else the kind of perturbation.
        predicted: Predicted Dice; NaN where the slice was not scored.
        true: True Dice on the image's own grid.
        low: Lower end of the interval.
        high: Upper end.
        unfamiliar: Whether the image was called unfamiliar.
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


def score_patients(study: Study, structure: Structure, estimator: DirectEstimator, patients: list[str]) -> Scores:
    """Score all U-net candidates and some perturbed masks of these patients; as volumes, the references too."""
    windows = Windows.of(study)
    chosen = [v for v in find_volumes(study.data) if v.patient in patients]
    rows = {v.name: windows.rows_of_volume(v.name) for v in chosen}
    candidates: dict[str, list[tuple[NDArray, NDArray]]] = {v.name: [] for v in chosen}
    for path in candidate_files(study):
        with np.load(path) as stored:
            labels = stored["labels"]
        for volume in chosen:
            drawn = labels[rows[volume.name]] == structure.label
            candidates[volume.name].append((drawn, np.full(len(drawn), NET)))
    masks, kinds = (part[:MEASURED_VARIANTS] for part in read_perturbed(study, structure))
    for volume in chosen:
        candidates[volume.name] += [
            (mask[rows[volume.name]], kind[rows[volume.name]]) for mask, kind in zip(masks, kinds, strict=True)
        ]
        drawn = windows.labels[rows[volume.name]] == structure.label
        candidates[volume.name].append((drawn, np.full(len(drawn), REFERENCE)))
    slices: list[tuple] = []
    volumes: list[tuple] = []
    for volume in chosen:
        number = patients.index(volume.patient)
        case, labels = volume.read()
        for drawn, kind in candidates[volume.name]:
            _score_volume(study, structure, estimator, case, labels, number, drawn, kind, slices, volumes)
    if not slices:
        raise InputError(f"No candidate of the {structure.name} could be scored on these patients: train longer.")
    columns = [np.array(column) for column in zip(*slices, strict=True)]
    return Scores(*columns, *np.array(volumes, float).reshape(-1, 7).T)


def _score_volume(
    study: Study,
    structure: Structure,
    estimator: DirectEstimator,
    case: Case,
    labels: sitk.Image,
    number: int,
    drawn: NDArray,
    kind: NDArray,
    slices: list[tuple],
    volumes: list[tuple],
) -> None:
    """Assess one candidate of one volume and append its figures."""
    candidate = onto_image(study, case, drawn)
    if not sitk.GetArrayViewFromImage(candidate).any():
        return
    report = estimator.assess(Case.from_images(case.image, candidate, label=1, axis=case.axis, segment=structure.name))
    reference = np.moveaxis(sitk.GetArrayViewFromImage(labels) == structure.label, 2 - case.axis, 0)
    mask = np.moveaxis(sitk.GetArrayViewFromImage(candidate).astype(bool), 2 - case.axis, 0)
    nan = float("nan")
    for score, s, g, k in zip(report.slices, mask, reference, kind, strict=True):
        if k != REFERENCE and s.any() and (score.dice is not None or score.status is Status.UNFAMILIAR):
            true = dice_of_arrays(s, g)
            values = (score.dice, score.low, score.high)
            dice, low, high = (nan if v is None else v for v in values)
            slices.append((number, int(k), dice, true, low, high, score.status is Status.UNFAMILIAR))
    if report.volume.dice is not None:
        true = dice_of_arrays(mask, reference)
        volume, whole = report.volume, int(kind[0]) if (kind == kind[0]).all() and kind[0] < 0 else PERTURBED
        volumes.append((number, volume.dice, true, volume.low, volume.high, scored_share(report.slices), whole))


def onto_image(study: Study, case: Case, drawn: NDArray) -> sitk.Image:
    """A mask in the margin window of the cache, on the image's own grid; the case is what :meth:`Volume.read` gave."""
    mask = sitk.GetImageFromArray(drawn.astype(np.uint8))
    mask.CopyInformation(window_grid(case, margin_window(study, case)))
    return sitk.Resample(mask, case.image, sitk.Transform(), sitk.sitkNearestNeighbor, 0, sitk.sitkUInt8)


def kind_name(kind: int) -> str:
    """The name of a candidate's kind."""
    return "U-net" if kind == NET else ALL_KINDS[kind]


def balanced(scores: Scores, chosen: NDArray[np.bool_], count: int, seed: int) -> NDArray[np.int64]:
    """Slices with the same number from each of ten equal bins of true Dice, as many as the fullest request allows.

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
