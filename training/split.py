"""The patient-level split into training, validation and test, stratified by diagnosis."""

from __future__ import annotations

import random
from collections.abc import Iterable

from SegQualityQCLib.errors import InputError

from .configuration import Study
from .files import read_json
from .patients import Volume

_HELD_OUT = 0.1  # share of the patients in validation, and of those in test


def read_split(study: Study) -> dict[str, list[str]]:
    """The names of the patients of each part of a study, as training.prepare wrote them."""
    return read_json(study.folder / "split.json")


def split_patients(volumes: Iterable[Volume], seed: int) -> dict[str, list[str]]:
    """Split patients 80 / 10 / 10 such that each part holds the diagnoses in like numbers.

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
