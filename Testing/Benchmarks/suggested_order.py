"""Prints how fast the true volume Dice rises when slices are corrected as suggested, lowest first, or at random.

The cases are held-out ACDC patients. The reference of each slice is made wrong with a probability of one half, in a
random way (see training/candidates/perturbations.py). Correcting a slice puts its reference back. Needs ACDC_ROOT and
the training extra.

    python Testing/Benchmarks/suggested_order.py [MODEL]
"""

import os
import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from SegQualityQCLib.case.case import Case
from SegQualityQCLib.estimators.base import Estimator
from SegQualityQCLib.estimators.loading import load_estimator
from SegQualityQCLib.reading.images import read_image
from SegQualityQCLib.report.correction_priority import suggestion_key
from training.candidates.perturbations import MASK_FAULTS, perturb
from training.data.patients import Volume, find_volumes
from training.data.split import SHIPPED_SPLIT, kept_split
from training.study.configuration import DataSource

MYOCARDIUM, THRESHOLD, SEED, RANDOM_ORDERS = 2, 0.7, 0, 50
STEPS = (0, 1, 2, 3, 4, 6, 8)


def damaged(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The reference masks of a volume, about half of its drawn slices made wrong."""
    masks = labels == MYOCARDIUM
    result = masks.copy()
    for index in np.flatnonzero(masks.any(axis=(1, 2))):
        if rng.random() < 0.5:
            result[index] = perturb(masks[index], labels[index], str(rng.choice(list(MASK_FAULTS))), rng)
    return result


def curve(candidate: np.ndarray, reference: np.ndarray, order: list[int]) -> np.ndarray:
    """True volume Dice after 0, 1, 2, ... corrected slices."""
    drawn = (candidate.sum(axis=(1, 2)), reference.sum(axis=(1, 2)), (candidate & reference).sum(axis=(1, 2)))
    mine, theirs, both = (np.array(values, float) for values in drawn)
    dice = [2 * both.sum() / (mine.sum() + theirs.sum())]
    for index in order:
        mine[index] = both[index] = theirs[index]
        dice.append(2 * both.sum() / (mine.sum() + theirs.sum()))
    return np.array(dice)[np.minimum(STEPS, len(order))]


def held_out_volumes(parts: tuple[str, ...] = ("validation", "test")) -> list[Volume]:
    """Volumes of patients that no bundled network was trained on; nothing at all was fitted on the test patients."""
    volumes = find_volumes(DataSource("acdc", "ACDC_ROOT"))
    split = kept_split(SHIPPED_SPLIT, volumes)
    held_out = {patient for part in parts for patient in split[part]}
    return [volume for volume in volumes if volume.patient in held_out]


def correction_curves(estimator: Estimator, volumes: list[Volume]) -> dict[str, np.ndarray]:
    """Mean true volume Dice after each number of corrected slices in ``STEPS``, by order."""
    rng = np.random.default_rng(SEED)
    curves: dict[str, list[np.ndarray]] = {"suggested": [], "lowest first": [], "random": [], "ideal": []}
    for volume in volumes:
        labels_image = read_image(volume.reference)
        labels = sitk.GetArrayFromImage(labels_image)
        reference, candidate = labels == MYOCARDIUM, damaged(labels, rng)
        mask = sitk.GetImageFromArray(candidate.astype(np.uint8))
        mask.CopyInformation(labels_image)
        report = estimator.assess(Case.from_images(read_image(volume.image), mask, label=1, segment="LV myocardium"))
        everywhere = list(report.order)
        suggested = sorted(report.slices, key=lambda score: suggestion_key(report, score, THRESHOLD))
        orders = {
            "suggested": [score.index for score in suggested],
            "lowest first": everywhere,
            "ideal": np.argsort([-(c ^ r).sum() for c, r in zip(candidate, reference, strict=True)]).tolist(),
        }
        for name, order in orders.items():
            curves[name].append(curve(candidate, reference, order))
        shuffled = [curve(candidate, reference, rng.permutation(everywhere).tolist()) for _ in range(RANDOM_ORDERS)]
        curves["random"].append(np.mean(shuffled, axis=0))
    return {name: np.mean(values, axis=0) for name, values in curves.items()}


def main() -> None:
    """Print the curves of one model."""
    if not os.environ.get("ACDC_ROOT"):
        sys.exit("Set ACDC_ROOT to the folder of the ACDC data set.")
    estimator = load_estimator(sys.argv[1] if len(sys.argv) > 1 else None)
    volumes = held_out_volumes()
    print(f"{len(volumes)} volumes of held-out patients, model {estimator.bundle.name}")
    print("mean true volume Dice after each number of corrected slices, and the mean of these figures")
    print(f"{'order':14}" + "".join(f"{step:>8}" for step in STEPS) + "    mean")
    for name, values in correction_curves(estimator, volumes).items():
        print(f"{name:14}" + "".join(f"{value:8.3f}" for value in (*values, values.mean())))


if __name__ == "__main__":
    main()
