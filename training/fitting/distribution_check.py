"""Stage 2c: fit the distribution check on training and validation patients.

The images are described in the fields of view around candidates of all kinds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from SegQualityQCLib.case.field_of_view import FieldOfView, field_of_view_grid
from SegQualityQCLib.errors import InputError
from SegQualityQCLib.estimators.distribution_check import ImageDistribution, describe, fit_distribution
from SegQualityQCLib.estimators.networks.inputs import extract

from ..candidates.perturbations import MEASURED_VARIANTS, read_perturbed
from ..data.patients import study_volumes
from ..data.split import read_split
from ..data.windows import Windows, margin_window
from ..study.artifacts import read_json, write_json
from ..study.configuration import Structure, Study
from ..study.paths import candidate_files
from ..study.stage_arguments import stage_arguments


def write_distribution(study: Study, structure: Structure) -> None:
    """Write the statistics and the threshold of the distribution check, which all models of a structure share."""
    split = read_split(study)
    fitted = fit_distribution(*describe_windows(study, structure, split["train"] + split["validation"]))
    distribution = replace(fitted, threshold=fitted.threshold * study.familiarity_margin)
    write_json(_path(study, structure), distribution.to_dict(), indent=None)
    print(f"{structure.name}: threshold {distribution.threshold:.3f}")


def read_distribution(study: Study, structure: Structure) -> ImageDistribution:
    """Read what :func:`write_distribution` wrote.

    Raises:
        InputError: It has not been made.
    """
    path = _path(study, structure)
    if not path.is_file():
        raise InputError(
            f"The statistics {path} have not been made: run python -m training.fitting.distribution_check."
        )
    return ImageDistribution.from_dict(read_json(path))


def _path(study: Study, structure: Structure) -> Path:
    return study.folder / f"familiarity-{structure.key}.json"


def describe_windows(
    study: Study, structure: Structure, patients: list[str]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Describe the slices of these patients as the estimator sees them.

    The field of view lies around the candidate, so that a poor candidate shows another part of the image. It is laid
    around the reference, the U-nets' candidates and some perturbed masks; slices count where the candidate is drawn.

    Args:
        study: The study.
        structure: The structure.
        patients: Names of the patients.

    Returns:
        Descriptors of shape (n, d), and the position of each slice's patient in ``patients``, shape (n,).
    """
    windows = Windows.of(study)
    places = [(windows.centroids(m), m.any(axis=(1, 2))) for m in _candidates(study, structure, windows)]
    centres, drawn = (np.stack(part) for part in zip(*places, strict=True))
    described, owners = [], []
    for volume in study_volumes(study):
        if volume.patient not in patients:
            continue
        rows = windows.rows_of_volume(volume.name)
        case, _ = volume.read()
        grid = field_of_view_grid(case, margin_window(study, case))
        for source in np.flatnonzero(drawn[:, rows].any(axis=1)):
            y, x = centres[source, rows[0]]
            centre = grid.TransformContinuousIndexToPhysicalPoint((float(x), float(y), 0.0))
            seen = extract(case, FieldOfView(centre, study.window_size, study.window_spacing_mm))
            described.append(describe(seen.image[drawn[source, rows]]))
            owners += [patients.index(volume.patient)] * len(described[-1])
    return np.concatenate(described), np.array(owners)


def _candidates(study: Study, structure: Structure, windows: Windows) -> Iterator[NDArray[np.bool_]]:
    """Masks of all slices in the cache, one source after the other, since all together would fill the memory."""
    yield windows.labels == structure.label
    for path in candidate_files(study):
        with np.load(path) as stored:
            yield stored["labels"] == structure.label
    yield from read_perturbed(study, structure)[0][:MEASURED_VARIANTS]


if __name__ == "__main__":
    arguments = stage_arguments(__doc__, structure=True)
    write_distribution(arguments.study, arguments.structure)
