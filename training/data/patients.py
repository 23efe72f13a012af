"""Patients of a data set on disk: the challenge layout of ACDC, and nnU-Net's raw layout."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from SegQualityQCLib.case.case import Case
from SegQualityQCLib.case.checks import checked_labelmap
from SegQualityQCLib.case.grids import same_grid
from SegQualityQCLib.errors import InputError
from SegQualityQCLib.reading.images import read_image

from ..study.configuration import DataSource


@dataclass(frozen=True)
class Volume:
    """One image with its reference labelmap.

    Attributes:
        name: Name of the case.
        patient: Name of its patient; several volumes may be of one.
        group: Diagnosis of the patient, for the split.
        image: File of the image.
        reference: File of the reference labelmap.
    """

    name: str
    patient: str
    group: str
    image: Path
    reference: Path

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
        drawn = sitk.Cast(labels > 0, sitk.sitkUInt8)
        return Case.from_images(image, drawn, label=1, image_name=self.name), labels


def find_volumes(source: DataSource) -> list[Volume]:
    """All volumes of a data set, sorted by name.

    Raises:
        InputError: The folder is missing, or a patient lacks its reference; the message names the case.
    """
    root = data_root(source)
    layouts = {"acdc": _acdc, "nnunet": _nnunet}
    if source.layout not in layouts:
        raise InputError(f"The data layout {source.layout!r} is not known: use {' or '.join(layouts)}.")
    volumes = layouts[source.layout](root)
    if not volumes:
        raise InputError(f"The data folder {root} does not hold a case in the layout {source.layout}.")
    if source.patients is not None:
        volumes = _first_patients(volumes, source.patients)
    for volume in volumes:
        if not volume.reference.is_file():
            raise InputError(f"The case {volume.name} has no reference: {volume.reference} is missing.")
    return volumes


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
            volumes.append(Volume(name, patient.name, group, image, patient / f"{name}_gt.nii.gz"))
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
