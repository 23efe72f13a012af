"""The patient-level split into training, validation and test, by hospital and diagnosis, and unseen hospitals."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path

from SegQualityQCLib.errors import InputError

from ..study.artifacts import read_json
from ..study.configuration import Study
from .patients import Volume

SHIPPED_SPLIT = Path(__file__).parents[1] / "configs" / "acdc-split.json"  # of the bundled models' study
PARTS = ("train", "validation", "test")
UNSEEN = "unseen"  # the part of hospitals that nothing is trained on
_HELD_OUT = 0.1  # share of the patients in validation, and of those in test


def read_split(study: Study) -> dict[str, list[str]]:
    """The names of the patients of each part of a study, as training.data.prepare wrote them."""
    return read_json(study.folder / "split.json")


def split_of(study: Study, volumes: list[Volume]) -> dict[str, list[str]]:
    """The split that a study names in its setting ``split``, else one of each hospital.

    Raises:
        InputError: The split does not fit the hospitals; the message names the hospital or the patient.
    """
    hospitals: dict[str, list[Volume]] = {}
    for volume in volumes:
        hospitals.setdefault(volume.hospital, []).append(volume)
    _check_hospitals(study, hospitals)
    if study.split is not None:
        parts = (*PARTS, UNSEEN) if study.unseen_hospitals else PARTS
        split = kept_split(Path(study.split), volumes, parts)
        _check_unseen(study, hospitals, split)
        return split
    return _split_by_hospital(study, hospitals)


def _split_by_hospital(study: Study, hospitals: dict[str, list[Volume]]) -> dict[str, list[str]]:
    """The patients of each hospital by the file that ``hospital_splits`` names, else at random."""
    split: dict[str, list[str]] = {part: [] for part in PARTS}
    for hospital, volumes in hospitals.items():
        if hospital in study.unseen_hospitals:
            split.setdefault(UNSEEN, []).extend(sorted({volume.patient for volume in volumes}))
            continue
        kept = study.hospital_splits.get(hospital)
        own = kept_split(Path(kept), volumes) if kept else split_patients(volumes, study.split_seed)
        for part in PARTS:
            split[part] += own[part]
    return split


def _check_hospitals(study: Study, hospitals: dict[str, list[Volume]]) -> None:
    for setting in ("unseen_hospitals", "hospital_splits"):
        for name in getattr(study, setting):
            if name not in hospitals:
                known = ", ".join(sorted(hospitals))
                raise InputError(f"The data hold no hospital {name!r} of {setting}: the hospitals are {known}.")
    if not set(hospitals) - set(study.unseen_hospitals):
        raise InputError("All hospitals of the data are in unseen_hospitals: one must be left to train on.")
    if len(hospitals) == 1:
        return
    for name, volumes in hospitals.items():
        count, needed = len({volume.patient for volume in volumes}), 2 if name in study.unseen_hospitals else 3
        if count < needed:
            says = "one patient" if count == 1 else f"{count} patients"
            raise InputError(f"The hospital {name} has {says} only: give it at least {needed}, or take it out.")


def _check_unseen(study: Study, hospitals: dict[str, list[Volume]], split: dict[str, list[str]]) -> None:
    """The part of unseen hospitals holds their patients and no others."""
    hidden = {volume.patient for name in study.unseen_hospitals for volume in hospitals[name]}
    for part, patients in split.items():
        wrong = set(patients) - hidden if part == UNSEEN else set(patients) & hidden
        if wrong:
            says = "is of no unseen hospital" if part == UNSEEN else "is of an unseen hospital"
            raise InputError(f"The split {study.split} has patient {min(wrong)} in {part}, who {says}: correct it.")


def kept_split(path: Path, volumes: Iterable[Volume], parts: tuple[str, ...] = PARTS) -> dict[str, list[str]]:
    """The split in a file, as far as the data hold its patients; prints who is missing and who is left out.

    A random split changes with the patients of the data, so that a test patient of another release of the same data
    may be one that a network was trained on.

    Raises:
        InputError: The file is not a split, names a patient twice, or the data hold none of the patients of a part.
    """
    kept, count = read_json(path), {3: "three", 4: "four"}[len(parts)]
    if not isinstance(kept, dict) or set(kept) != set(parts) or not all(isinstance(kept[part], list) for part in parts):
        raise InputError(f"The split {path} must hold {count} lists of patients: {', '.join(parts)}.")
    in_line = [patient for part in parts for patient in kept[part]]
    twice = {patient for patient in in_line if in_line.count(patient) > 1}
    if twice:
        raise InputError(f"The split {path} names patient {min(twice)} twice: a patient is in one part only.")
    found = {volume.patient for volume in volumes}
    named = set(in_line)
    for unused, says in ((found - named, "left out, in no part of it"), (named - found, "not in the data")):
        if unused:
            print(f"Split {path}: {says}: {', '.join(sorted(unused))}.")
    split = {part: [patient for patient in kept[part] if patient in found] for part in parts}
    for part, patients in split.items():
        if not patients:
            raise InputError(
                f"No {part} patient of the split {path} is in the data: name other data, or leave out split."
            )
    return split


def split_patients(volumes: Iterable[Volume], seed: int) -> dict[str, list[str]]:
    """Split patients 80 / 10 / 10 so that each part holds the diagnoses in similar shares.

    The patients of each group are shuffled and laid end to end; every n-th then goes to validation and to test, so that
    the shares hold over all groups together, however small each is.

    Raises:
        InputError: There are fewer than three patients.
    """
    by_group: dict[str, set[str]] = {}
    for volume in volumes:
        by_group.setdefault(volume.group, set()).add(volume.patient)
    rng = random.Random(seed)
    in_line = []
    for group in sorted(by_group):
        members = sorted(by_group[group])
        rng.shuffle(members)
        in_line += members
    if len(in_line) < 3:
        raise InputError(f"A split needs at least three patients: there are {len(in_line)}.")
    held_out = max(1, round(_HELD_OUT * len(in_line)))
    step = len(in_line) / held_out
    validation = {in_line[int(step * turn)] for turn in range(held_out)}
    test = {in_line[int(step * turn + step / 2)] for turn in range(held_out)}
    train = [patient for patient in in_line if patient not in validation | test]
    return {"train": sorted(train), "validation": sorted(validation), "test": sorted(test)}
