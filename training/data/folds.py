"""Folds of the training patients, so that each patient is drawn by networks that never saw the patient."""

from __future__ import annotations

import random
from collections.abc import Mapping

from SegQualityQCLib.errors import InputError

from ..study.configuration import Study
from ..study.paths import EVERY_TRAINING_PATIENT


def fold_patients(study: Study, hospital_of: Mapping[str, str], split: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """The patients that the networks of each fold are trained on.

    A hospital's fold holds its training patients, so that its networks draw those of all other hospitals. The parts
    hold training patients of each hospital in like numbers.

    Args:
        study: The study.
        hospital_of: Hospital of each patient.
        split: Patients of each part of the study.

    Returns:
        Names of patients by the name of the fold.
    """
    nets, train = study.candidate_nets, split["train"]
    folds = {name: [patient for patient in train if hospital_of[patient] == name] for name in nets.hospitals}
    rng = random.Random(study.split_seed)
    in_line = sorted(train)
    rng.shuffle(in_line)
    in_line.sort(key=lambda patient: hospital_of[patient])  # keeps the random order within a hospital
    parts = {f"part{number + 1}": sorted(in_line[number :: nets.parts]) for number in range(nets.parts)}
    return folds | parts | {EVERY_TRAINING_PATIENT: list(train)}


def check_folds(study: Study, hospital_of: Mapping[str, str], split: Mapping[str, list[str]]) -> None:
    """Each training patient is drawn by some network; this would otherwise show only after hours of training.

    Raises:
        InputError: A fold is of an unknown hospital or has no patient, or a patient is in all folds.
    """
    nets = study.candidate_nets
    if not nets.architectures:
        return
    trained = {hospital_of[patient] for patient in split["train"]}
    for hospital in nets.hospitals:
        if hospital not in trained:
            known = ", ".join(sorted(trained))
            raise InputError(
                f"The fold {hospital} of candidate_nets has no training patient: the hospitals with some are {known}."
            )
    folds = fold_patients(study, hospital_of, split)
    del folds[EVERY_TRAINING_PATIENT]
    for name, patients in folds.items():
        if not patients:
            raise InputError(f"The fold {name} of candidate_nets has no training patient: lower parts.")
    for patient in split["train"]:
        if all(patient in patients for patients in folds.values()):
            raise InputError(
                f"All networks would see the patient {patient}: name another hospital, or parts, in candidate_nets."
            )
