"""Stage 1: cut every patient to windows through the library's own geometry, and split the patients."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from SegQualityQCLib.window import normalised, percentile_range, resample_slices

from .configuration import Study, stage_arguments
from .files import write_json
from .patients import Volume, find_volumes
from .split import split_of
from .windows import Windows, margin_window


def prepare(study: Study) -> None:
    """Write windows.npz and split.json into the study's folder."""
    found = find_volumes(study.data)
    split = split_of(study, found)
    chosen = {patient for patients in split.values() for patient in patients}
    volumes = [volume for volume in found if volume.patient in chosen]
    study.folder.mkdir(parents=True, exist_ok=True)
    write_json(study.folder / "split.json", split, indent=2)
    parts = [_windows_of(study, volume) for volume in volumes]
    Windows(
        image=np.concatenate([image for image, _ in parts]),
        labels=np.concatenate([labels for _, labels in parts]),
        volume=np.concatenate([np.full(len(image), number) for number, (image, _) in enumerate(parts)]),
        volume_names=tuple(volume.name for volume in volumes),
        volume_patients=tuple(volume.patient for volume in volumes),
    ).write(study)
    counts = {part: len(patients) for part, patients in split.items()}
    print(f"{len(volumes)} volumes, {sum(len(image) for image, _ in parts)} slices, patients {counts}")


def _windows_of(study: Study, volume: Volume) -> tuple[np.ndarray, np.ndarray]:
    case, labels = volume.read()
    window = margin_window(study, case)
    indices = np.arange(case.n_slices)
    values = resample_slices(case, case.image, window, indices, sitk.sitkLinear)
    inner = slice(study.margin, study.margin + study.window_size)
    intensity_range = percentile_range(values[:, inner, inner], volume.name)
    label_windows = resample_slices(case, labels, window, indices, sitk.sitkNearestNeighbor)
    return normalised(values, intensity_range).astype(np.float16), label_windows


if __name__ == "__main__":
    prepare(stage_arguments(__doc__).study)
