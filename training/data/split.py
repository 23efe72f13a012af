"""The patient-level split into training, validation and test, stratified by diagnosis."""

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
_HELD_OUT = 0.1  # share of the patients in validation, and of those in test


def read_split(study: Study) -> dict[str, list[str]]:
    """The names of the patients of each part of a study, as training.data.prepare wrote them."""
    return read_json(study.folder / "split.json")


def split_of(study: Study, volumes: list[Volume]) -> dict[str, list[str]]:
    """The split that a study names in its setting ``split``, else a random one."""
    if study.split is None:
        return split_patients(volumes, study.split_seed)
    return kept_split(Path(study.split), volumes)


def kept_split(path: Path, volumes: Iterable[Volume]) -> dict[str, list[str]]:
    """The split in a file, as far as the data hold its patients; prints who is missing and who is left out.

    A random split changes with the patients of the data, so that a test patient of another release of the same data
    may be one that a network was trained on.

    Raises:
        InputError: The file is not a split, or the data hold none of the patients of a part.
    """
    kept = read_json(path)
    if not isinstance(kept, dict) or set(kept) != set(PARTS) or not all(isinstance(kept[part], list) for part in PARTS):
        raise InputError(f"The split {path} must hold three lists of patients: {', '.join(PARTS)}.")
    found = {volume.patient for volume in volumes}
    named = {patient for part in PARTS for patient in kept[part]}
    for unused, says in ((found - named, "left out, in no part of it"), (named - found, "not in the data")):
        if unused:
            print(f"Split {path}: {says}: {', '.join(sorted(unused))}.")
    split = {part: [patient for patient in kept[part] if patient in found] for part in PARTS}
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
