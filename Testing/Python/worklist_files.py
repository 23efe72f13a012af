"""Manifests and result folders of cohorts, for tests of worklists."""

from __future__ import annotations

from pathlib import Path

from SegQualityQCLib.cohort.case_result import CaseResult
from SegQualityQCLib.cohort.manifest import CohortCase
from SegQualityQCLib.cohort.results import CohortFolder
from SegQualityQCLib.report.report import QualityReport


def manifest(folder: Path, count: int) -> Path:
    lines = [f"case {n},image.nii.gz,auto/{n}.nii.gz" for n in range(count)]
    path = folder / "cohort.csv"
    path.write_text("\n".join(["case,image,segmentation", *lines]), encoding="utf-8")
    return path


def cohort(folder: Path, report: QualityReport, dices: dict[str, float | None]) -> Path:
    """A cohort's result folder with these volume scores; None could not be scored."""
    store = CohortFolder(folder / "out")
    store.create([CohortCase(name, folder / "i.nii.gz", folder / f"{name}.nii.gz") for name in dices])
    for name, dice in dices.items():
        content = report.to_dict()
        if dice is not None:
            content["volume"] = {"dice": dice, "low": dice, "high": dice}
        reports = () if dice is None else (QualityReport.from_dict(content),)
        store.write(CaseResult(name, {}, reports, "It is damaged." if dice is None else None, 1.0), [])
    return folder / "out"
