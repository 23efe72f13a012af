"""A data set in the layout of M&Ms, of copies of the demo heart, and a study of it."""

from __future__ import annotations

from pathlib import Path

import SimpleITK as sitk

from SegQualityQCLib.demo import demo_images, demo_reference
from training.study.configuration import Study
from training.study.study_file import read_study

CENTRES = {"A1": 1, "A2": 1, "A3": 1, "A4": 1, "B1": 2, "B2": 2, "B3": 2, "C1": 3, "C2": 3}


def write_mnms(folder: Path) -> Path:
    """Write nine patients of three hospitals with both phases, their references and patients.csv."""
    image, _ = demo_images()
    for patient in CENTRES:
        (folder / patient).mkdir(parents=True)
        for phase in ("ED", "ES"):
            sitk.WriteImage(image, str(folder / patient / f"{patient}_{phase}.nii.gz"))
            sitk.WriteImage(demo_reference(), str(folder / patient / f"{patient}_{phase}_gt.nii.gz"))
    rows = [f"{patient},{'A' if centre == 1 else 'B'},{centre}" for patient, centre in CENTRES.items()]
    (folder / "patients.csv").write_text("\n".join(["patient,vendor,centre", *rows]) + "\n", encoding="utf-8")
    return folder


def mnms_study(repository: Path, tmp_path: Path, data: Path) -> Study:
    """The smoke study of several hospitals, with these data alone; its file is ``study.yaml``."""
    text = (repository / "training" / "configs" / "heart-smoke.yaml").read_text(encoding="utf-8")
    text = text.replace("{layout: acdc, root: ACDC_ROOT, patients: 4}", f"{{layout: mnms, root: {data}}}")
    text = text.replace("further_data:\n  - {layout: mnms, root: MNMS_ROOT, patients: 9}\n", "")
    text = text.replace("hospitals: [acdc]", "hospitals: [mnms-1]").replace("readouts: [2, 12]", "readouts: [1, 2]")
    path = tmp_path / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return read_study(path, tmp_path / "runs")
