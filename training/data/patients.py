"""Patients of a data set on disk: the layouts of the challenges ACDC and M&Ms, and nnU-Net's raw layout."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from SegQualityQCLib.case.case import Case
from SegQualityQCLib.case.checks import checked_labelmap
from SegQualityQCLib.case.grids import same_grid
from SegQualityQCLib.errors import InputError
from SegQualityQCLib.reading.images import read_image

from ..study.configuration import DataSource, Study

_PHASES = ("ED", "ES")


@dataclass(frozen=True)
class Volume:
    """One image with its reference labelmap.

    Attributes:
        name: Name of the case.
        patient: Name of its patient; several volumes may be of one.
        group: Diagnosis of the patient, for the split.
        image: File of the image.
        reference: File of the reference labelmap.
        hospital: Name of the hospital.
        short_axis: Whether it is a stack of short-axis slices, which has several slices and is never of 1 mm all round.
    """

    name: str
    patient: str
    group: str
    image: Path
    reference: Path
    hospital: str = ""
    short_axis: bool = False

    def read(self) -> tuple[Case, sitk.Image]:
        """The image with all labels of its reference as one mask, and the reference.

        The windows of the cache lie around that mask, so that they are the same for all structures.

        Raises:
            InputError: A file cannot be used, or the reference is empty or lies on another grid.
        """
        image, labels = read_image(self.image), read_image(self.reference)
        if not sitk.GetArrayViewFromImage(labels).any():
            raise InputError(f"The reference of case {self.name} is empty: take the case out of the data set.")
        labels = checked_labelmap(labels, self.reference.name)
        if labels.GetSize() != image.GetSize() or not same_grid(labels, image):
            raise InputError(f"The reference of case {self.name} lies on another grid than its image.")
        if self.short_axis:
            self._check_stack(image)
        drawn = sitk.Cast(labels > 0, sitk.sitkUInt8)
        return Case.from_images(image, drawn, label=1, image_name=self.name), labels

    def _check_stack(self, image: sitk.Image) -> None:
        """Refuse one slice, and the spacing that a file without voxel size is read with."""
        if min(image.GetSize()) < 2:
            raise InputError(f"The case {self.name} has one slice only: a stack is needed, take the case out.")
        if all(abs(spacing - 1) < 1e-6 for spacing in image.GetSpacing()):
            raise InputError(
                f"The case {self.name} has no voxel size (1 x 1 x 1 mm is what is read where there is none): "
                "write its spacing into the files, or take the case out."
            )


def find_volumes(source: DataSource) -> list[Volume]:
    """All volumes of a data set, sorted by name.

    Raises:
        InputError: The folder is missing, or a patient lacks its reference; the message names the case.
    """
    root = data_root(source)
    layouts = {"acdc": _acdc, "mnms": _mnms, "nnunet": _nnunet}
    if source.layout not in layouts:
        raise InputError(f"The data layout {source.layout!r} is not known: use {' or '.join(layouts)}.")
    volumes = [
        replace(volume, hospital=volume.hospital or source.hospital or source.layout)
        for volume in layouts[source.layout](root)
    ]
    if not volumes:
        raise InputError(f"The data folder {root} does not hold a case in the layout {source.layout}.")
    if source.patients is not None:
        volumes = _first_patients(volumes, source.patients)
    for volume in volumes:
        if not volume.reference.is_file():
            raise InputError(f"The case {volume.name} has no reference: {volume.reference} is missing.")
    return volumes


def study_volumes(study: Study) -> list[Volume]:
    """All volumes of a study, one data source after the other.

    Raises:
        InputError: As of :func:`find_volumes`, or two sources have patients, cases or hospitals of the same name.
    """
    found = [find_volumes(source) for source in study.sources]
    for what in ("patient", "name", "hospital"):
        known: set[str] = set()
        for volumes in found:
            names = {getattr(volume, what) for volume in volumes}
            if names & known:
                raise InputError(
                    f"Two data sources of the study {study.name} have a {what} {min(names & known)!r}: rename one."
                )
            known |= names
    return [volume for volumes in found for volume in volumes]


def data_root(source: DataSource) -> Path:
    """The folder of a data set.

    Raises:
        InputError: It does not exist.
    """
    root = Path(os.environ.get(source.root, source.root)).expanduser()
    if not root.is_dir():
        raise InputError(f"The data folder {root} does not exist: set {source.root} or change data.root.")
    return root


def nnunet_description(root: Path) -> dict[str, Any]:
    """What nnU-Net's ``dataset.json`` says of a data set.

    Raises:
        InputError: It is missing, cannot be read or does not name the ``file_ending``.
    """
    try:
        content = json.loads((root / "dataset.json").read_text(encoding="utf-8"))
        return content | {"file_ending": str(content["file_ending"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"The data folder {root} has no usable dataset.json: {error}.") from error


def _first_patients(volumes: list[Volume], count: int) -> list[Volume]:
    """The volumes of ``count`` patients, taken in turn from the groups, so that few patients still hold all groups."""
    by_group: dict[str, list[str]] = {}
    for volume in volumes:
        members = by_group.setdefault(volume.group, [])
        if volume.patient not in members:
            members.append(volume.patient)
    turns = sorted(
        (rank, group, patient) for group, members in by_group.items() for rank, patient in enumerate(members)
    )
    chosen = {patient for _, _, patient in turns[:count]}
    return [volume for volume in volumes if volume.patient in chosen]


def _acdc(root: Path) -> list[Volume]:
    folder = root / "training" if (root / "training").is_dir() else root
    volumes = []
    for patient in sorted(folder.glob("patient*")):
        if not patient.is_dir():
            continue
        group = _acdc_group(patient)
        for image in sorted(patient.glob("*_frame*.nii.gz")):
            if image.name.endswith("_gt.nii.gz"):
                continue
            name = image.name.removesuffix(".nii.gz")
            reference = patient / f"{name}_gt.nii.gz"
            volumes.append(Volume(name, patient.name, group, image, reference, short_axis=True))
    return volumes


def _acdc_group(patient: Path) -> str:
    info = patient / "Info.cfg"
    if not info.is_file():
        raise InputError(f"The case {patient.name} has no Info.cfg, which names its diagnosis.")
    for line in info.read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "Group":
            return value.strip()
    raise InputError(f"The case {patient.name} has no Group in its Info.cfg.")


def _mnms(root: Path) -> list[Volume]:
    """M&Ms 2020: a folder for each patient, with both phases; a table names vendor and centre."""
    centres = _mnms_centres(root / "patients.csv")
    folders = {path.name for path in root.iterdir() if path.is_dir()}
    for lacking, says in (
        (folders - set(centres), "has a folder but no row in patients.csv"),
        (set(centres) - folders, "has a row in patients.csv but no folder"),
    ):
        if lacking:
            raise InputError(f"The patient {min(lacking)} of {root} {says}.")
    volumes = []
    for patient, hospital in sorted(centres.items()):
        for phase in _PHASES:
            name = f"{patient}_{phase}"
            image, reference = (root / patient / f"{name}{end}.nii.gz" for end in ("", "_gt"))
            if not image.is_file():
                raise InputError(f"The case {name} has no image: {image} is missing.")
            volumes.append(Volume(name, patient, hospital, image, reference, hospital, short_axis=True))
    return volumes


def _mnms_centres(path: Path) -> dict[str, str]:
    """The hospital of each patient."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"The table {path}, which names vendor and centre of the patients, cannot be read.") from error
    centres: dict[str, str] = {}
    for number, row in enumerate(rows):
        for column in ("patient", "vendor", "centre"):
            if not row.get(column):
                raise InputError(f"The table {path} has no column {column}, or nothing in it in row {number + 2}.")
        hospital = f"mnms-{row['centre']}"
        if centres.setdefault(row["patient"], hospital) != hospital:
            raise InputError(f"The table {path} names two centres of patient {row['patient']}: correct it.")
    return centres


def _nnunet(root: Path) -> list[Volume]:
    """nnU-Net's raw layout; the first channel is used, and each case counts as a patient of its own."""
    ending = nnunet_description(root)["file_ending"]
    volumes = []
    for reference in sorted((root / "labelsTr").glob(f"*{ending}")):
        name = reference.name.removesuffix(ending)
        image = root / "imagesTr" / f"{name}_0000{ending}"
        if not image.is_file():
            raise InputError(f"The case {name} lacks its channel 0: {image} is missing.")
        volumes.append(Volume(name, name, "all", image, reference))
    unlabelled = {path.name.removesuffix(f"_0000{ending}") for path in (root / "imagesTr").glob(f"*_0000{ending}")}
    missing = sorted(unlabelled - {volume.name for volume in volumes})
    if missing:
        raise InputError(f"The case {missing[0]} has no reference in {root / 'labelsTr'}.")
    return volumes
