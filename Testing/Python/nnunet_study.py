"""A data set in nnU-Net's raw layout, of copies of the demo heart, and a study of it."""

from __future__ import annotations

import json
from pathlib import Path

import SimpleITK as sitk

from SegQualityQCLib.demo import demo_images, demo_reference
from training.study.configuration import Study
from training.study.study_file import read_study


def write_nnunet(folder: Path) -> Path:
    """Write four cases with their references and dataset.json."""
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True)
    image, _ = demo_images()
    for number in range(4):
        sitk.WriteImage(image, str(folder / "imagesTr" / f"heart_{number}_0000.nii.gz"))
        sitk.WriteImage(demo_reference(), str(folder / "labelsTr" / f"heart_{number}.nii.gz"))
    dataset = {"channel_names": {"0": "MR"}, "labels": {"background": 0}, "numTraining": 4, "file_ending": ".nii.gz"}
    (folder / "dataset.json").write_text(json.dumps(dataset), encoding="utf-8")
    return folder


def study_of(repository: Path, tmp_path: Path, data: Path) -> Study:
    """The smoke study, with these data in place of ACDC; its file is ``study.yaml``."""
    text = (repository / "training" / "configs" / "acdc-smoke.yaml").read_text(encoding="utf-8")
    text = text.replace("{layout: acdc, root: ACDC_ROOT, patients: 5}", f"{{layout: nnunet, root: {data}}}")
    path = tmp_path / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return read_study(path, tmp_path / "runs")
