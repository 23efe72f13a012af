"""What is written: nothing of a patient, and nothing that a browser, a spreadsheet or a terminal would run."""

from __future__ import annotations

import csv
import html.parser
import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import SimpleITK as sitk
from command_line import segquality

from SegQualityQCLib.cohort.case_result import CaseResult
from SegQualityQCLib.cohort.manifest import CohortCase, read_manifest
from SegQualityQCLib.cohort.page import write_page
from SegQualityQCLib.cohort.pictures import case_pictures
from SegQualityQCLib.cohort.results import CohortFolder
from SegQualityQCLib.demo import demo_case, demo_images
from SegQualityQCLib.errors import InputError
from SegQualityQCLib.estimators.loading import load_estimator
from SegQualityQCLib.report.csv_table import reports_to_csv
from SegQualityQCLib.report.report import QualityReport
from SegQualityQCLib.storage.safe_text import spreadsheet_safe

IDENTIFIERS = {
    "0008|0012": "19620719",
    "0008|0020": "20260720",
    "0008|0050": "ACCESSION4711",
    "0008|0080": "Saint Secret Hospital",
    "0008|0081": "Hidden Lane 7",
    "0008|0090": "Referrer^Rita",
    "0008|1010": "STATIONX9",
    "0008|1030": "StudyOfDoe",
    "0008|103e": "SeriesOfDoe",
    "0008|1048": "Physician^Paul",
    "0008|1050": "Performer^Pia",
    "0008|1070": "Operator^Otto",
    "0010|0010": "Doe^Jane^Quirina",
    "0010|0020": "PID-0815-XYZ",
    "0010|0030": "19620718",
    "0010|1001": "Maiden^Name",
    "0010|1010": "063Y",
    "0010|1040": "Privacy Road 5",
    "0010|2154": "+49-555-0199",
    "0010|21b0": "HistoryOfPatient",
    "0010|4000": "CommentOnPatient",
    "0018|1000": "DEVICE-SERIAL-77",
    "0018|1030": "ProtocolOfDoe",
    "0020|0010": "STUDYID-42",
    "0020|4000": "CommentOnImage",
}


def write_series(folder: Path) -> None:
    """The demo heart as DICOM whose header is full of identifiers."""
    image = demo_images()[0]
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for k in range(image.GetSize()[2]):
        plane = image[:, :, k]
        tags = IDENTIFIERS | {
            "0008|0060": "MR",
            "0020|000d": "1.2.826.0.1.99999.1",
            "0020|000e": "1.2.826.0.1.99999.2",
            "0008|0018": f"1.2.826.0.1.99999.3.{k + 1}",
            "0020|0032": "\\".join(map(str, image.TransformIndexToPhysicalPoint((0, 0, k)))),
            "0020|0037": "1\\0\\0\\0\\1\\0",
            "0020|0013": str(k),
        }
        for tag, value in tags.items():
            plane.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{k:02d}.dcm"))
        writer.Execute(plane)


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """A DICOM folder, and a .seg.nrrd with an identifier in its header."""
    folder = tmp_path_factory.mktemp("scan")
    (folder / "dicom").mkdir()
    write_series(folder / "dicom")
    labels = demo_images()[1]
    labels.SetMetaData("PatientName", IDENTIFIERS["0010|0010"])
    for key, value in {"ID": "Segment_1", "Name": "wall", "LabelValue": "2", "Layer": "0"}.items():
        labels.SetMetaData(f"Segment0_{key}", value)
    labels.SetMetaData("Segment0_Tags", f"PatientID:{IDENTIFIERS['0010|0020']}|")
    sitk.WriteImage(labels, str(folder / "labels.seg.nrrd"))
    return folder


def found_identifiers(content: str) -> list[str]:
    values = [*IDENTIFIERS.values(), "1.2.826.0.1.99999"]
    return [value for value in values if any(part in content for part in {value, value.replace("^", " ")})]


def everything(folder: Path) -> str:
    return "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in folder.rglob("*") if path.is_file())


def test_the_scan_has_the_identifiers_in_its_header(scan):
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(scan / "dicom" / "03.dcm"))
    reader.ReadImageInformation()
    assert len(found_identifiers("\n".join(reader.GetMetaData(key) for key in reader.GetMetaDataKeys()))) >= 20


def test_nothing_of_a_dicom_header_reaches_what_assess_writes_and_prints(scan, tmp_path):
    run = segquality(
        *("assess", scan / "dicom", scan / "labels.seg.nrrd", "--axis", "k"),
        *("--json", tmp_path / "r.json", "--csv", tmp_path / "r.csv"),
    )
    assert run.returncode == 0, run.stderr
    written = everything(tmp_path)
    assert '"image": "dicom"' in written
    assert "wall" in written
    assert found_identifiers(written + run.stdout + run.stderr) == []


def test_nothing_of_a_dicom_header_reaches_a_cohort_and_its_page(scan, tmp_path):
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    for path in sorted((scan / "dicom").iterdir()):
        content = path.read_bytes()
        (damaged / path.name).write_bytes(content[: len(content) // 2] if path.name == "04.dcm" else content)
    manifest = tmp_path / "m.csv"
    lines = [f"{name},{folder},{scan / 'labels.seg.nrrd'}" for name, folder in (("a", scan / "dicom"), ("b", damaged))]
    manifest.write_text("\n".join(["case,image,segmentation", *lines]), encoding="utf-8")
    run = segquality("cohort", manifest, "--out", tmp_path / "out", "--workers", 1)
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "out" / "index.html").is_file()
    assert found_identifiers(everything(tmp_path / "out") + run.stdout + run.stderr) == []


HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</script><svg onload=alert(1)>",
    "javascript:alert(1)",
    "{{ 7 * 7 }}",
    "<!--",
    "&lt;b&gt;",
)
FORMULAS = (
    "=cmd|' /C calc'!A0",
    "+1",
    "-1+1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "a;=1",
    'a;"=1',
    "a\n=1",
    "＝1",
    ";=1",
)


class Tags(html.parser.HTMLParser):
    """The elements and the attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.handlers: list[str] = []

    def handle_starttag(self, tag, attributes):
        self.elements.append(tag)
        self.handlers += [name for name, _ in attributes if name.startswith("on")]
        self.handlers += [name for name, value in attributes if name in ("href", "src") and "alert" in (value or "")]


def page_of(folder: Path, assessed: tuple, text: str) -> str:
    content, pictures = assessed
    named = content | {
        "case": content["case"] | {"segment": text, "image": text, "segmentation": text},
        "model": content["model"] | {"name": text},
        "flags": [text],
    }
    store = CohortFolder(folder)
    store.create(
        [CohortCase(text, folder / "i", folder / "s", extra={text: text}), CohortCase("e" + text, folder, folder)]
    )
    store.write(CaseResult(text, {}, (QualityReport.from_dict(named),), None, 0.1), [pictures])
    store.write(CaseResult("e" + text, {}, (), text, 0.1), [])
    write_page(store, 0.7)
    store.write_tables(0.7)
    return (folder / "index.html").read_text(encoding="utf-8")


def tags_of(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    return tags


@pytest.fixture(scope="module")
def assessed():
    case = demo_case()
    report = load_estimator(None, "cpu").assess(case)
    return report.to_dict(), case_pictures(case, report)


def test_names_are_text_on_the_page_whatever_they_hold(assessed, tmp_path):
    harmless_page = page_of(tmp_path / "harmless", assessed, "plain")
    harmless = tags_of(harmless_page)
    for number, text in enumerate(HOSTILE):
        page = page_of(tmp_path / str(number), assessed, text)
        tags = tags_of(page)
        assert (tags.elements, tags.handlers) == (harmless.elements, harmless.handlers), text
        assert text != "{{ 7 * 7 }}" or page.count(text) == harmless_page.count("plain")


def cells_of(text: str) -> list[str]:
    """All cells, whichever separator the spreadsheet of a country takes."""
    cells = []
    for separator in ",;\t":
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
            cells += [part for cell in row for part in cell.splitlines()]
    return [cell.lstrip('"') for cell in cells]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_table_has_a_cell_that_a_spreadsheet_would_run(assessed, tmp_path, text):
    page_of(tmp_path, assessed, text)
    tables = [path.read_text(encoding="utf-8") for path in tmp_path.glob("*.csv")]
    content = assessed[0]
    tables.append(reports_to_csv([QualityReport.from_dict(content | {"case": content["case"] | {"segment": text}})]))
    assert len(tables) == 4
    for table in tables:
        assert [cell for cell in cells_of(table) if cell.startswith(("=", "+", "-", "@", "＝"))] == []


def test_numbers_and_plain_words_stay_as_they_are():
    for cell in ("0.5000", "LV myocardium", "a-b", "x=1", "label 1; label 2", ""):
        assert spreadsheet_safe(cell) == cell


NAMES = (
    "../../evil",
    "/etc/passwd",
    "..",
    ".",
    "a/b",
    "a\\b",
    "C:evil",
    "CON",
    "x" * 4000,
    "ä" * 300,
    " ",
    "a",
    "A",
)


def test_no_case_name_leads_out_of_the_folder_and_no_two_share_a_file(tmp_path):
    store = CohortFolder(tmp_path / "out")
    store.create([CohortCase(name, tmp_path / "i", tmp_path / "s") for name in NAMES])
    for name in NAMES:
        store.write(CaseResult(name, {}, (), "no", 0.1), [{}])
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert all(path.parent in (store.path, store.path / "cases", store.path / "pictures") for path in files)
    assert len(list((store.path / "cases").iterdir())) == len(NAMES)
    assert [result.case for _, result in store.results()] == list(NAMES)
    assert len({path.name.casefold() for path in (store.path / "cases").iterdir()}) == len(NAMES)


def test_names_do_not_steer_the_terminal(tmp_path):
    image, labels = demo_images()
    sitk.WriteImage(image, str(tmp_path / "i.nrrd"))
    name = "wall\x1b[2J\x1b]0;taken\x07\u202e"
    for key, value in {"ID": "s", "Name": name, "LabelValue": "2", "Layer": "0"}.items():
        labels.SetMetaData(f"Segment0_{key}", value)
    sitk.WriteImage(labels, str(tmp_path / "s.seg.nrrd"))
    shown = segquality("assess", tmp_path / "i.nrrd", tmp_path / "s.seg.nrrd")
    refused = segquality("assess", tmp_path / "\x1b[2Jno.nrrd", tmp_path / "s.seg.nrrd")
    assert shown.returncode == 0
    assert refused.returncode == 2
    for text in (shown.stdout, shown.stderr, refused.stdout, refused.stderr):
        assert "\x1b" not in text
        assert "\x07" not in text
        assert "\u202e" not in text
    (tmp_path / "m.csv").write_text('case,image,segmentation\n"a\x1b[2J",i,s\n', encoding="utf-8")
    with pytest.raises(InputError, match="control character"):
        read_manifest(tmp_path / "m.csv")


@pytest.mark.skipif(os.name != "posix", reason="Windows has other rights and links")
@pytest.mark.parametrize(
    "action",
    [
        "check_writable(path)",
        "find_cases(path)",
        "Worklist.open(path, 'Dr A')",
        "Worklist.open(path, 'Dr A', read_only=True)",
        "Worklist.open(f'{path}.sqlite', 'Dr A')",
        "find_bundle(path)",
    ],
)
def test_a_folder_that_may_not_be_entered_is_one_sentence(tmp_path, action):
    forbidden = tmp_path / "forbidden"
    (forbidden / "inside").mkdir(parents=True)
    check = f"""
import codecs, contextlib, os, typer
from SegQualityQCLib.bundles.catalogue import find_bundle
from SegQualityQCLib.cli.failing import one_sentence_on_bad_input
from SegQualityQCLib.cohort.manifest import find_cases
from SegQualityQCLib.review.worklist import Worklist
from SegQualityQCLib.storage.atomic_files import check_writable
codecs.lookup("utf-8-sig")  # before the rights go, with which it may be read
path = {str(forbidden / "inside" / "name")!r}
if os.getuid() == 0:
    os.setuid(65534)
with contextlib.suppress(typer.Exit), one_sentence_on_bad_input():
    {action}
"""
    forbidden.chmod(0o000)
    try:
        run = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    finally:
        forbidden.chmod(0o700)
    assert run.stderr.startswith("Error: ")
    assert len(run.stderr.splitlines()) == 1


@pytest.mark.skipif(os.name != "posix", reason="Windows has other rights and links")
def test_no_case_is_left_out_because_its_folder_may_not_be_read():
    check = """
import os
from SegQualityQCLib.cohort.manifest import cases_in_folder
if os.getuid() == 0:
    os.setuid(65534)
cases_in_folder(".", "{case}/t1.nii.gz", "{case}/seg.nii.gz", 1)
"""
    with tempfile.TemporaryDirectory() as place:  # pytest's own folder is closed to others
        folder = Path(place)
        for case in ("p1", "p2", "p3"):
            (folder / case).mkdir()
            for name in ("t1.nii.gz", "seg.nii.gz"):
                (folder / case / name).touch()
        folder.chmod(0o755)
        (folder / "p2").chmod(0o000)
        try:
            run = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False, cwd=folder)
        finally:
            (folder / "p2").chmod(0o700)
        assert f"InputError: The folder {folder / 'p2'} may not be read" in run.stderr
