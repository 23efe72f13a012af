"""Stage 12: measure an evaluated model on volumes of the test patients with a scanner's faults.

The image is corrupted, the candidate and the reference stay. Field of view, intensity rule, networks, intervals and the
distribution check are the library's own; slices that the check calls unfamiliar are measured too, and counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from SegQualityQCLib.case.case import Case
from SegQualityQCLib.case.field_of_view import reaches_outside
from SegQualityQCLib.errors import InputError
from SegQualityQCLib.estimators.distribution_check import is_familiar
from SegQualityQCLib.estimators.networks.network_estimator import NetworkEstimator

from ..attacks.corruptions import CORRUPTIONS, STRENGTHS, corrupt
from ..candidates.pool import net_pool, perturbed_pool
from ..data.patients import study_volumes
from ..data.split import read_split
from ..data.windows import Windows
from ..evaluation.provisional import evaluated_model
from ..evaluation.scoring import onto_image, slices_first
from ..metrics.dice import dice_of_arrays
from ..study.artifacts import write_json
from ..study.configuration import AttackStudy, Structure, Study
from ..study.run import Run
from ..study.stage_arguments import stage_arguments
from .attack_study import settings_of


@dataclass(frozen=True)
class Subject:
    """A test volume with its candidates on the image's grid, and their true Dice slice by slice."""

    image: sitk.Image
    axis: int
    candidates: tuple[sitk.Image, ...]
    dice: tuple[NDArray[np.float64], ...]


def study_corruptions(run: Run) -> None:
    """Write NAME.json into the study's folder ``corruptions``: figures by kind and strength; strength 0 is clean."""
    settings = settings_of(run.study)
    estimator = evaluated_model(run)
    subjects = list(_subjects(run.study, run.structure, settings))
    clean = _measure(estimator, run.structure, [(subject, subject.image) for subject in subjects])
    by_corruption = {}
    for corruption in CORRUPTIONS:
        rows = []
        for strength in range(1, STRENGTHS + 1):
            corrupted = [
                (subject, corrupt(subject.image, corruption, strength, number))
                for number, subject in enumerate(subjects)
            ]
            rows.append(_measure(estimator, run.structure, corrupted))
        by_corruption[corruption] = rows
        print(run.model_name, corruption, [f"{row['mae']:.3f}" for row in rows], flush=True)
    counts = {"volumes": len(subjects), "slices": clean["slices"]}
    path = run.stage_file("corruptions")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"name": run.model_name, **counts, "clean": clean, "kinds": by_corruption})


def _subjects(study: Study, structure: Structure, settings: AttackStudy) -> Iterator[Subject]:
    """Test volumes spread over the patients, each with candidates from the worst to the best."""
    windows = Windows.of(study)
    split = read_split(study)
    pool = (perturbed_pool if settings.perturbed == 1 else net_pool)(study, structure, windows)
    volumes = [volume for volume in study_volumes(study) if volume.patient in split["test"]]
    for place in np.unique(np.linspace(0, len(volumes) - 1, settings.volumes).round().astype(int)):
        volume = volumes[place]
        rows = windows.rows_of_volume(volume.name)
        case, labels = volume.read()
        reference = slices_first(labels, case.axis) == structure.label
        means = np.nan_to_num(pool.dice[:, rows]).mean(axis=1)
        drawn = [source for source in np.argsort(means) if pool.masks[source, rows].any()]
        candidates, dice = [], []
        for rank in np.unique(np.linspace(0, len(drawn) - 1, settings.candidates).round().astype(int)):
            candidate = onto_image(study, case, pool.masks[drawn[rank], rows])
            mask = slices_first(candidate, case.axis).astype(bool)
            if mask.any():
                candidates.append(candidate)
                dice.append(dice_of_arrays(mask, reference, axis=(1, 2)))
        yield Subject(case.image, case.axis, tuple(candidates), tuple(dice))


def _measure(
    estimator: NetworkEstimator, structure: Structure, corrupted: list[tuple[Subject, sitk.Image]]
) -> dict[str, float | None]:
    """Figures over all drawn slices of these images."""
    columns: list[tuple[float, float, float, bool]] = []  # predicted, its expected error, true, familiar
    for subject, image in corrupted:
        for candidate, dice in zip(subject.candidates, subject.dice, strict=True):
            case = Case.from_images(image, candidate, label=1, axis=subject.axis, segment=structure.name)
            seen = estimator.inputs(case)
            rows = seen.mask.any(axis=(1, 2)) & ~reaches_outside(case, seen.field)
            if rows.any():
                scored = estimator.predict(seen.image[rows], seen.mask[rows])
                passed = is_familiar(estimator.settings.distribution, seen.image[rows])
                columns += zip(*scored, dice[rows].tolist(), passed.tolist(), strict=True)
    if not columns:
        raise InputError(f"No candidate of the {structure.name} lies within the window: train longer.")
    predicted, spread, true, familiar = (np.array(column) for column in zip(*columns, strict=True))
    error = np.abs(predicted - true)
    table = estimator.targets[0].calibration.slice
    ends = np.array([table.interval(dice, expected) for dice, expected in zip(predicted, spread, strict=True)])
    held = (ends[:, 0] <= true) & (true <= ends[:, 1])
    varied = len(predicted) > 1 and predicted.std() > 0 and true.std() > 0
    return {
        "slices": len(error),
        "mae": float(error.mean()),
        "r": float(np.corrcoef(predicted, true)[0, 1]) if varied else None,
        "coverage": float(held.mean()),
        "unfamiliar": float(1 - familiar.mean()),
        "mae_familiar": float(error[familiar].mean()) if familiar.any() else None,
    }


if __name__ == "__main__":
    study_corruptions(stage_arguments(__doc__, run=True, variant=True).run)
