"""The cached windows of all patients, and augmented crops of them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from SegQualityQCLib.case.case import Case
from SegQualityQCLib.case.field_of_view import FieldOfView, field_of_view_around_mask
from SegQualityQCLib.errors import InputError

from ..study.artifacts import write_arrays
from ..study.configuration import Study


@dataclass(frozen=True)
class Windows:
    """Windows of all slices of all volumes: the networks' field of view with a margin around it.

    Attributes:
        image: Shape (n, side, side), float16 in [-1, 1].
        labels: Shape (n, side, side), uint8 reference labels.
        volume: Number of each slice's volume, shape (n,).
        volume_names: Name of each volume.
        volume_patients: Patient of each volume.
        volume_hospitals: Hospital of each volume; empty in caches of before hospitals were kept.
    """

    image: NDArray[np.float16]
    labels: NDArray[np.uint8]
    volume: NDArray[np.int64]
    volume_names: tuple[str, ...]
    volume_patients: tuple[str, ...]
    volume_hospitals: tuple[str, ...] = ()

    def write(self, study: Study) -> None:
        """Write the cache into the study's folder, whole or not at all."""
        write_arrays(_path(study), {entry.name: getattr(self, entry.name) for entry in fields(self)})

    @classmethod
    def of(cls, study: Study) -> Windows:
        """Read the cache of a study.

        Raises:
            InputError: It has not been made.
        """
        path = _path(study)
        if not path.is_file():
            raise InputError(f"The windows {path} have not been made: run python -m training.data.prepare first.")
        with np.load(path) as stored:
            return cls(
                stored["image"],
                stored["labels"],
                stored["volume"],
                tuple(stored["volume_names"].tolist()),
                tuple(stored["volume_patients"].tolist()),
                tuple(stored["volume_hospitals"].tolist()) if "volume_hospitals" in stored else (),
            )

    def rows_of(self, patients: list[str]) -> NDArray[np.int64]:
        """The slices of these patients, shape (m,)."""
        chosen = np.isin(np.array(self.volume_patients), patients)
        return np.flatnonzero(chosen[self.volume])

    @property
    def hospital_of(self) -> dict[str, str]:
        """The hospital of each patient.

        Raises:
            InputError: The cache is of before hospitals were kept.
        """
        if len(self.volume_hospitals) < len(self.volume_patients):
            raise InputError("The windows do not name the hospitals: delete windows.npz and prepare the study again.")
        return dict(zip(self.volume_patients, self.volume_hospitals, strict=True))

    def rows_of_volume(self, name: str) -> NDArray[np.int64]:
        """The slices of this volume, in order, shape (m,)."""
        return np.flatnonzero(self.volume == self.volume_names.index(name))

    def centroids(self, masks: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Centre (y, x) of the masks of each volume, given for each slice, shape (n, 2).

        It is the centre of the window for a volume in which nothing is drawn.
        """
        side = self.image.shape[1]
        centres = np.full((len(self.volume_names), 2), (side - 1) / 2)
        pixels = np.arange(side)
        for number in range(len(centres)):
            part = masks[self.volume == number]
            total = part.sum()
            if total:
                centres[number] = (part.sum((0, 2)) @ pixels / total, part.sum((0, 1)) @ pixels / total)
        return centres[self.volume]


def _path(study: Study) -> Path:
    return study.folder / "windows.npz"


def margin_window(study: Study, case: Case) -> FieldOfView:
    """The field of view of a volume's windows in the cache, with the margin, for the case of :meth:`Volume.read`."""
    size = study.window_size + 2 * study.margin
    return field_of_view_around_mask(case, size=size, spacing_mm=study.window_spacing_mm)
