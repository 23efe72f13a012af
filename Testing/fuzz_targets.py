"""What is fuzzed: for each reader, valid files to start from and a function that reads a damaged one."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import fuzz_dicom
import numpy as np
import SimpleITK as sitk

from SegQualityQCLib.bundles.catalogue import find_bundle
from SegQualityQCLib.cohort.case_result import CaseResult
from SegQualityQCLib.cohort.manifest import CohortCase, read_manifest
from SegQualityQCLib.cohort.page import write_page
from SegQualityQCLib.cohort.results import CohortFolder, case_row
from SegQualityQCLib.errors import SegQualityError
from SegQualityQCLib.estimators.selection import load_bundle
from SegQualityQCLib.reading.cases import read_cases
from SegQualityQCLib.report.csv_table import csv_rows, reports_to_csv
from SegQualityQCLib.report.report import (
    CaseDescription,
    ModelIdentity,
    Provenance,
    QualityReport,
    SliceScore,
    Status,
    VolumeScore,
)
from SegQualityQCLib.review.worklist import Worklist

MODEL = "acdc-lv-myocardium"


@dataclass(frozen=True)
class Target:
    """A reader: valid files to start from, and a function that reads a damaged one.

    Attributes:
        sound: Contents that are read without an error.
        read: Reads a content, and uses the result.
    """

    sound: list[bytes]
    read: Callable[[bytes], None]


def small_report() -> QualityReport:
    """A report with every status."""
    numbers = {Status.SCORED: (0.5, 0.25, 0.75)}
    return QualityReport(
        model=ModelIdentity("m", "1", "0" * 64),
        case=CaseDescription("image", "segmentation", "wall", "k", (1.0, 1.0, 8.0), len(Status)),
        volume=VolumeScore(0.5, 0.25, 0.75),
        slices=tuple(
            SliceScore(n, status, *numbers.get(status, (None, None, None)), 10.0, ("check",))
            for n, status in enumerate(Status)
        ),
        provenance=Provenance("0", "2026-01-01T00:00:00+00:00", {"window": {"size": 144}}),
        flags=("gaps",),
    )


def manifest_target(folder: Path) -> Target:
    """The manifest of a cohort."""
    path = folder / "manifest.csv"
    sound = b'case,image,segmentation,label,site\na,i.nii.gz,s.nii.gz,2,Jena\n"b, c",i.nii.gz,s.nii.gz,,\n'

    def read(content: bytes) -> None:
        path.write_bytes(content)
        cases = read_manifest(path)
        assert cases
        assert len({case.name for case in cases}) == len(cases)

    return Target([sound, sound.replace(b",", b";"), b"\xef\xbb\xbf" + sound.replace(b"label", b"segment")], read)


def bundle_target(folder: Path) -> Target:
    """The metadata of a model bundle."""
    bundle_folder = shutil.copytree(find_bundle(MODEL), folder / "bundle")
    path = bundle_folder / "configs" / "metadata.json"
    sound = path.read_bytes()

    def read(content: bytes) -> None:
        path.write_bytes(content)
        bundle = load_bundle(bundle_folder)
        bundle.target_for(None, bundle.name + bundle.version)
        for target in bundle.header.targets:
            for table in (target.calibration.slice, target.calibration.volume):
                low, high = table.interval(0.5)
                assert 0 <= low <= 0.5 <= high <= 1
        json.dumps([target.to_dict() for target in bundle.header.targets], allow_nan=False)

    return Target([sound], read)


def report_target(folder: Path) -> Target:
    """A report as JSON."""
    path = folder / "report.json"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        report = QualityReport.read_json(path)
        assert QualityReport.from_json(report.to_json()) == report
        reports_to_csv([report]).encode()

    return Target([small_report().to_json().encode()], read)


def cohort_folder(folder: Path) -> CohortFolder:
    """The folder of a cohort with one case and its result."""
    store = CohortFolder(folder)
    store.create([CohortCase("a", folder / "i", folder / "s", 2, extra={"site": "Jena"})])
    store.write(CaseResult("a", {"image": [1, 2]}, (small_report(),), None, 0.5), [])
    return store


def cohort_target(folder: Path) -> Target:
    """The list of cases in a cohort's folder."""
    store = cohort_folder(folder / "cohort")
    path = store.path / "cohort.json"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        for case in store.cases():
            store.read(case.name)
            assert store.result_path(case.name).parent == store.path / "cases"
            json.dumps(case.extra)

    return Target([path.read_bytes()], read)


def result_target(folder: Path) -> Target:
    """The result of a case in a cohort's folder."""
    store = cohort_folder(folder / "result")
    path = store.result_path("a")

    def read(content: bytes) -> None:
        path.write_bytes(content)
        result = store.read("a")
        for report in result.reports if result is not None else ():
            "".join(map(str, [*csv_rows(report), case_row("a", report, result.seconds, 0.7)])).encode()

    return Target([path.read_bytes()], read)


def pictures_target(folder: Path) -> Target:
    """The pictures of a case, through to the page."""
    store = cohort_folder(folder / "pictures")
    jpegs = {"strip_jpeg": "/9j/", "large_jpeg": "/9j/"}
    sound = [{"shown": [0, 1], "large": [0], "outlines": ["M0 0l4 0 0 4z", ""], **jpegs}]
    path = store.path / "pictures" / store.result_path("a").name

    def read(content: bytes) -> None:
        path.write_bytes(content)
        write_page(store, 0.7)

    return Target([json.dumps(sound).encode()], read)


def worklist_target(folder: Path) -> Target:
    """The database of a worklist."""
    manifest, path = folder / "w.csv", folder / "w.worklist.sqlite"
    manifest.write_text("case,image,segmentation\na,i,s\nb,i,t\n", encoding="utf-8")
    worklist = Worklist.open(manifest, "Ada")
    worklist.next()
    with sqlite3.connect(worklist.path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.execute("PRAGMA journal_mode = delete")
    db.close()

    def read(content: bytes) -> None:
        for beside in folder.glob(f"{path.name}-*"):
            beside.unlink()
        path.write_bytes(content)
        with contextlib.suppress(SegQualityError):
            Worklist.open(path, "", read_only=True).cases()
        opened = Worklist.open(path, "Bob", patience_s=0.01)
        opened.cases()
        case = opened.next()
        if case is not None:
            opened.release(case.name)

    return Target([path.read_bytes()], read)


def segments_target(folder: Path) -> Target:
    """A .seg.nrrd, through to its cases."""
    image_path, path = folder / "image.nrrd", folder / "s.seg.nrrd"
    array = np.arange(64, dtype=np.int16).reshape(4, 4, 4)
    sitk.WriteImage(sitk.GetImageFromArray(array), str(image_path))
    labels = sitk.GetImageFromArray((array % 3).astype(np.uint8))
    tags = "TerminologyEntry:Segmentation category and type~SCT^123037004^Structure~SCT^74281007^Wall~^^~A~^^~^^|"
    for number, name in ((0, "cavity"), (1, "wall")):
        keys = {"ID": f"S{number}", "Name": name, "LabelValue": number + 1, "Layer": 0, "Extent": "0 3 0 3 0 3"}
        for key, value in (keys | {"Tags": tags}).items():
            labels.SetMetaData(f"Segment{number}_{key}", str(value))
    labels.SetMetaData("Segmentation_MasterRepresentation", "Binary labelmap")
    sitk.WriteImage(labels, str(path), useCompression=False)

    def read(content: bytes) -> None:
        path.write_bytes(content)
        for case in read_cases(image_path, path):
            assert case.mask.GetSize() == case.image.GetSize()
            assert case.segment.isprintable()

    return Target([path.read_bytes()], read)


def nifti_target(folder: Path) -> Target:
    """A NIfTI image, plain and packed, through to its cases."""
    plain, packed, segmentation = folder / "image.nii", folder / "image.nii.gz", folder / "segmentation.nrrd"
    array = np.arange(64).reshape(4, 4, 4)
    sitk.WriteImage(sitk.GetImageFromArray((array % 3 > 0).astype(np.uint8)), str(segmentation))
    sound = []
    for dtype in (np.float32, np.float64, np.int16):
        for path in (plain, packed):
            sitk.WriteImage(sitk.GetImageFromArray(array.astype(dtype)), str(path))
            sound.append(path.read_bytes())
            path.unlink()

    def read(content: bytes) -> None:
        path = packed if content.startswith(b"\x1f\x8b") else plain
        path.write_bytes(content)
        for case in read_cases(path, segmentation):
            assert np.isfinite(sitk.GetArrayViewFromImage(case.image)).all()

    return Target(sound, read)


TARGETS: dict[str, Callable[[Path], Target]] = {
    "manifest": manifest_target,
    "bundle": bundle_target,
    "report": report_target,
    "cohort": cohort_target,
    "result": result_target,
    "pictures": pictures_target,
    "worklist": worklist_target,
    "segments": segments_target,
    "nifti": nifti_target,
    "seg": lambda folder: Target(*fuzz_dicom.segmentations(folder)),
    "rtstruct": lambda folder: Target(*fuzz_dicom.structure_sets(folder)),
    "multiframe": lambda folder: Target(*fuzz_dicom.multiframe_images(folder)),
}
