"""Candidates of known quality: references of ACDC made wrong, each volume to another degree."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.random import Generator
from numpy.typing import NDArray

from SegQualityQCLib.cohort.manifest import CohortCase
from training.candidates.perturbations import MASK_FAULTS, perturb
from training.data.patients import Volume, find_volumes
from training.study.configuration import DataSource

MYOCARDIUM = 2


@dataclass(frozen=True)
class Candidate:
    """A case, its patient, and the true Dice of its volume."""

    case: CohortCase
    patient: str
    dice: float


def acdc_volumes() -> list[Volume]:
    """The volumes of ACDC, from ACDC_ROOT or beside the checkout."""
    os.environ.setdefault("ACDC_ROOT", str(Path(__file__).resolve().parents[3] / "shared" / "data" / "acdc"))
    return find_volumes(DataSource("acdc", "ACDC_ROOT"))


def write_candidates(volumes: list[Volume], folder: Path, each: int, seed: int = 0) -> list[Candidate]:
    """Write ``each`` wrong myocardia of every volume, and return them with their true Dice."""
    folder.mkdir(parents=True, exist_ok=True)
    candidates = []
    for number, volume in enumerate(volumes):
        reference = sitk.ReadImage(str(volume.reference))
        labels = sitk.GetArrayFromImage(reference).astype(np.uint8)
        for variant in range(each):
            rng = np.random.default_rng([seed, number, variant])
            mask = _made_wrong(labels, rng)
            if not mask.any():
                continue
            name = f"{volume.name}-{variant}"
            image = sitk.GetImageFromArray(mask.astype(np.uint8) * MYOCARDIUM)
            image.CopyInformation(reference)
            path = folder / f"{name}.nii.gz"
            sitk.WriteImage(image, str(path))
            truth = labels == MYOCARDIUM
            dice = 2 * float((mask & truth).sum()) / float(mask.sum() + truth.sum())
            candidates.append(Candidate(CohortCase(name, volume.image, path, MYOCARDIUM), volume.patient, dice))
    return candidates


def _made_wrong(labels: NDArray[np.uint8], rng: Generator) -> NDArray[np.bool_]:
    """The myocardium with a random share of its slices perturbed; each volume has another share."""
    mask = labels == MYOCARDIUM
    share = rng.uniform(0, 1) ** 1.5  # more good volumes than poor ones, as in practice
    for k in range(len(mask)):
        if mask[k].any() and rng.random() < share:
            mask[k] = perturb(mask[k], labels[k], str(rng.choice(list(MASK_FAULTS))), rng)
    return mask
