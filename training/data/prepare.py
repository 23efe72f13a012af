"""Stage 1: cut every patient to windows through the library's own geometry, and split the patients."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from SegQualityQCLib.case.field_of_view import resample_slices
from SegQualityQCLib.errors import InputError
from SegQualityQCLib.estimators.networks.inputs import normalised, percentile_range

from ..study.artifacts import write_json
from ..study.configuration import Study
from ..study.stage_arguments import stage_arguments
from .folds import check_folds
from .patients import Volume, study_volumes
from .split import split_of
from .windows import Windows, margin_window

_LARGEST_LABEL = 255


def prepare(study: Study) -> None:
    """Write windows.npz and split.json into the study's folder.

    Raises:
        InputError: The data cannot be used, or hold nothing of a structure; the message names the case or the label.
    """
    found = study_volumes(study)
    split = split_of(study, found)
    check_folds(study, {volume.patient: volume.hospital for volume in found}, split)
    chosen = {patient for patients in split.values() for patient in patients}
    volumes = [volume for volume in found if volume.patient in chosen]
    study.folder.mkdir(parents=True, exist_ok=True)
    parts, labels_found = [], set()
    for volume in volumes:
        image, labels, drawn = _windows_of(study, volume)
        parts.append((image, labels))
        labels_found |= drawn
    _check_labels(study, labels_found)
    windows = Windows(
        image=np.concatenate([image for image, _ in parts]),
        labels=np.concatenate([labels for _, labels in parts]),
        volume=np.concatenate([np.full(len(image), number) for number, (image, _) in enumerate(parts)]),
        volume_names=tuple(volume.name for volume in volumes),
        volume_patients=tuple(volume.patient for volume in volumes),
        volume_hospitals=tuple(volume.hospital for volume in volumes),
    )
    _check_parts(study, windows, split)
    write_json(study.folder / "split.json", split, indent=2)
    windows.write(study)
    counts = {part: len(patients) for part, patients in split.items()}
    print(f"{len(volumes)} volumes, {sum(len(image) for image, _ in parts)} slices, patients {counts}")


def _check_labels(study: Study, found: set[int]) -> None:
    """Each structure is drawn somewhere; this would otherwise show only after all U-nets were trained."""
    if max(found, default=0) > _LARGEST_LABEL:
        raise InputError(
            f"A reference holds label {max(found)}: number the labels from 1 to {_LARGEST_LABEL}, as nnU-Net does."
        )
    for structure in study.structures:
        if structure.label not in found:
            labels = ", ".join(map(str, sorted(found)))
            raise InputError(f"No reference holds label {structure.label} ({structure.name}): the labels are {labels}.")


def _check_parts(study: Study, windows: Windows, split: dict[str, list[str]]) -> None:
    """Each part of the split shows each structure in its windows."""
    for structure in study.structures:
        for part, patients in split.items():
            if not (windows.labels[windows.rows_of(patients)] == structure.label).any():
                raise InputError(
                    f"No window of a {part} patient holds label {structure.label} ({structure.name}): "
                    "enlarge window_size, or choose another split_seed."
                )


def _windows_of(study: Study, volume: Volume) -> tuple[NDArray[np.float16], NDArray[np.uint8], set[int]]:
    """The windows of the image and of its reference, and the labels that the reference holds anywhere."""
    case, labels = volume.read()
    window = margin_window(study, case)
    indices = np.arange(case.n_slices)
    values = resample_slices(case, case.image, window, indices, sitk.sitkLinear)
    inner = slice(study.margin, study.margin + study.window_size)
    intensity_range = percentile_range(values[:, inner, inner], volume.name)
    label_windows = resample_slices(case, labels, window, indices, sitk.sitkNearestNeighbor)
    drawn = set(np.unique(sitk.GetArrayViewFromImage(labels)).tolist()) - {0}
    return normalised(values, intensity_range).astype(np.float16), label_windows, drawn


if __name__ == "__main__":
    prepare(stage_arguments(__doc__).study)
