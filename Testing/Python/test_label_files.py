"""Labels as programs write them (scaled, smoothed, of older writers) are read rightly or refused with the reason."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from cohort_cases import rows
from command_line import segquality
from PIL import Image

from SegQualityQCLib.demo import MYOCARDIUM, demo_images, demo_reference
from SegQualityQCLib.errors import InputError
from SegQualityQCLib.reading.cases import read_cases
from SegQualityQCLib.report.codes import CaseFlag

MIDDLE = 5
MYOCARDIUM_CODE = "74281007"


@pytest.fixture(scope="module")
def heart(files) -> tuple[Path, np.ndarray]:
    """The image file, and the labels that belong to it."""
    return files / "image.nii.gz", sitk.GetArrayFromImage(demo_images()[1])


def masks(cases) -> dict[str, int]:
    return {case.segment: int(sitk.GetArrayViewFromImage(case.mask).sum()) for case in cases}


def test_labels_that_are_stored_scaled_are_integers_again(heart, tmp_path):
    image, labels = heart[0], sitk.GetArrayFromImage(demo_reference())
    stored = sitk.GetImageFromArray((10922 * labels.astype(int)).astype(np.int16))
    stored.CopyInformation(demo_reference())
    sitk.WriteImage(stored, str(tmp_path / "l.nii"))
    content = bytearray((tmp_path / "l.nii").read_bytes())
    struct.pack_into("<2f", content, 112, 3 / 32767, 0)  # slope and intercept
    (tmp_path / "l.nii").write_bytes(bytes(content))
    content = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "l.nii")))
    assert 0 < np.abs(content - np.rint(content)).max() < 1e-3, "as in the file that failed"
    expected = {f"label {label}": int((labels == label).sum()) for label in np.unique(labels) if label}
    assert masks(read_cases(image, tmp_path / "l.nii")) == expected


@pytest.fixture(scope="module")
def slice_files(heart, tmp_path_factory) -> Path:
    """One slice as a picture, and its mask as PNG, as JPEG, and as PNG with smooth edges."""
    folder = tmp_path_factory.mktemp("slice")
    pixels = sitk.GetArrayFromImage(demo_images()[0])[MIDDLE].astype(float)
    Image.fromarray(np.uint8(255 * pixels / pixels.max())).save(folder / "i.png")
    mask = np.uint8(255 * (heart[1][MIDDLE] == MYOCARDIUM))
    Image.fromarray(mask).save(folder / "m.png")
    Image.fromarray(mask).save(folder / "m.jpg")
    rows_columns = mask.shape[::-1]
    large = Image.fromarray(mask).resize([4 * n for n in rows_columns])
    large.resize(rows_columns, Image.Resampling.BILINEAR).save(folder / "smooth.png")
    return folder


@pytest.mark.parametrize("label", [None, 255])
@pytest.mark.parametrize(("name", "reason"), [("m.jpg", "is a JPEG file"), ("smooth.png", "has smooth edges")])
def test_smoothed_masks_are_refused_with_the_reason(slice_files, name, reason, label):
    with pytest.raises(InputError, match=reason):
        read_cases(slice_files / "i.png", slice_files / name, label=label)
    assert list(masks(read_cases(slice_files / "i.png", slice_files / "m.png", label=label))) == ["label 255"]


def test_structures_that_lie_in_one_another_are_not_taken_for_smooth_edges(tmp_path):
    y, x = np.ogrid[:64, :64]
    distance = np.hypot(y - 32, x - 32)
    rings = np.uint8(sum((distance < 30 - 4 * n).astype(int) for n in range(6)))
    image = np.float32(rings + np.random.default_rng(0).normal(size=rings.shape))
    for name, array in (("i.nii", image), ("l.nii", rings)):
        sitk.WriteImage(sitk.GetImageFromArray(array[None]), str(tmp_path / name))
    assert len(read_cases(tmp_path / "i.nii", tmp_path / "l.nii")) == 6


def write_seg(path: Path, array: np.ndarray, fields: dict[str, object]) -> Path:
    """Write a .seg.nrrd with these fields alone; several layers are a vector image."""
    image = sitk.GetImageFromArray(array, isVector=array.ndim == 4)
    image.CopyInformation(demo_images()[0])
    for key, value in fields.items():
        image.SetMetaData(key, str(value))
    sitk.WriteImage(image, str(path))
    path.write_bytes(path.read_bytes().replace(b"kinds: vector", b"kinds: list", 1))  # as Slicer writes
    return path


def test_a_segmentation_of_slicer_4_10_has_one_layer_a_segment_and_no_label_values(heart, tmp_path):
    image, labels = heart
    layers = np.stack([labels == MYOCARDIUM, np.roll(labels == MYOCARDIUM, 20, axis=2)], axis=-1).astype(np.uint8)
    layers[0, 0, 0, 1] = 1  # tells the layers apart
    names = {f"Segment{n}_{key}": name for n, name in enumerate(("LV myocardium", "RV")) for key in ("ID", "Name")}
    found = masks(read_cases(image, write_seg(tmp_path / "s.seg.nrrd", layers, names)))
    assert found == {"LV myocardium": int(layers[..., 0].sum()), "RV": int(layers[..., 1].sum())}


def test_a_single_segment_without_a_label_value_is_drawn_with_1(heart, tmp_path):
    image, labels = heart
    mask = np.uint8(labels == MYOCARDIUM)
    fields = {"Segment0_ID": "S1", "Segment0_Name": "LV myocardium", "Segment0_Layer": 0}
    assert masks(read_cases(image, write_seg(tmp_path / "s.seg.nrrd", mask, fields))) == {"LV myocardium": mask.sum()}


def test_segments_in_one_layer_without_label_values_are_refused(heart, tmp_path):
    fields = {f"Segment{n}_ID": f"S{n}" for n in range(2)}
    with pytest.raises(InputError, match="does not say which value"):
        read_cases(heart[0], write_seg(tmp_path / "s.seg.nrrd", np.uint8(heart[1]), fields))


def test_a_fractional_labelmap_is_refused_with_the_reason(heart, tmp_path):
    fields = {"Segment0_ID": "S", "Segment0_Name": "LV myocardium", "Segment0_LabelValue": 1, "Segment0_Layer": 0}
    fields["Segmentation_MasterRepresentation"] = "Fractional labelmap"
    with pytest.raises(InputError, match="fractional labelmap"):
        read_cases(heart[0], write_seg(tmp_path / "s.seg.nrrd", np.uint8(216 * (heart[1] == MYOCARDIUM)), fields))


def test_a_name_that_contradicts_its_code_is_flagged_by_the_command(heart, tmp_path):
    entry = "TerminologyEntry:3D Slicer General Anatomy list~SCT^123037004^Anatomical Structure~SCT^{}^x~^^~^^~^^|"
    fields = {"Segment0_ID": "S", "Segment0_Name": "LV cavity", "Segment0_LabelValue": 1, "Segment0_Layer": 0}
    fields["Segment0_Tags"] = entry.format(MYOCARDIUM_CODE)
    path = write_seg(tmp_path / "s.seg.nrrd", np.uint8(heart[1] == MYOCARDIUM), fields)
    run = segquality("assess", heart[0], path, "--json", tmp_path / "r.json")
    assert run.returncode == 0, run.stderr
    assert "contradicts its code" in " ".join(run.stdout.split())
    assert CaseFlag.NAME_AND_CODE_DIFFER in json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["flags"]


def with_extension(path: Path, xml: str) -> None:
    """Put an extension into the header of a NIfTI file, as TotalSegmentator does."""
    content = path.read_bytes()
    text = xml.encode() + b"\0" * (-(len(xml.encode()) + 8) % 16)
    extension = struct.pack("<ii", len(text) + 8, 0) + text
    header = bytearray(content[:348])
    struct.pack_into("<f", header, 108, 352 + len(extension))
    path.write_bytes(bytes(header) + b"\1\0\0\0" + extension + content[352:])


def test_names_in_the_header_extension_of_totalsegmentator_find_their_models(heart, tmp_path):
    labels = sitk.GetImageFromArray(np.uint8(heart[1]))
    labels.CopyInformation(demo_images()[0])
    sitk.WriteImage(labels, str(tmp_path / "l.nii"))
    table = "".join(f'<Label Key="{n}" Red="1"><![CDATA[{name}]]></Label>' for n, name in ((2, "heart_myocardium"),))
    with_extension(tmp_path / "l.nii", f"<CaretExtension><LabelTable>{table}</LabelTable></CaretExtension>")
    found = {case.segment: case.structure for case in read_cases(heart[0], tmp_path / "l.nii")}
    assert found["label 2"] == "heart_myocardium"
    told = read_cases(heart[0], tmp_path / "l.nii", label=2, structures={2: "RV"})
    assert told[0].structure == "RV", "what the user says comes first"
    for damaged in ("<CaretExtension>", "<CaretExtension><Label></CaretExtension>", "no xml"):
        with_extension(tmp_path / "l.nii", damaged)
        read_cases(heart[0], tmp_path / "l.nii", label=2)


def test_the_command_takes_the_names_of_labels(heart, tmp_path, files):
    run = segquality("assess", heart[0], files / "labels.nii.gz", "--labels", "2=MLV", "--json", tmp_path / "r.json")
    assert run.returncode == 0, run.stderr
    content = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert CaseFlag.MODEL_UNMATCHED not in content["flags"]


@pytest.mark.parametrize("names", [{"RV": 1, "MLV": 2, "LVC": 3}, {"LVBP": 3, "LVM": 2, "RV": 1}])
def test_the_names_of_nnunets_data_sets_find_their_models(tmp_path, names):
    for folder in ("imagesTs", "labelsTs"):
        (tmp_path / folder).mkdir()
    sitk.WriteImage(demo_images()[0], str(tmp_path / "imagesTs" / "p_0000.nii.gz"))
    sitk.WriteImage(demo_reference(), str(tmp_path / "labelsTs" / "p.nii.gz"))
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"background": 0, **names}}), encoding="utf-8")
    run = segquality("cohort", tmp_path, "--out", tmp_path / "out", "--workers", 1)
    assert run.returncode == 0, run.stderr
    models = {row["segment"]: row["model"].split()[0] for row in rows(tmp_path / "out" / "cases.csv")}
    assert set(models) == {"label 1", "label 2", "label 3"}
    assert (models["label 1"], models["label 3"]) == ("acdc-rv-cavity", "acdc-lv-cavity")
    assert models["label 2"].startswith("acdc-lv-myocardium")
    assert "model_unmatched" not in run.stdout + (tmp_path / "out" / "cases.csv").read_text(encoding="utf-8")
