"""Bundles: found, checked, and refused before anything in them is executed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile

import pytest
import torch

from SegQualityQCLib.bundle import (
    ModelBundle,
    available_bundles,
    bundle_for_segment,
    default_bundle,
    find_bundle,
)
from SegQualityQCLib.errors import BundleError
from SegQualityQCLib.estimator import load_estimator

NAMES = [path.name for path in available_bundles()]


@pytest.fixture
def copy(tmp_path):
    """A bundle that may be damaged."""
    return shutil.copytree(find_bundle("acdc-lv-myocardium"), tmp_path / "model")


def change_metadata(folder, change) -> None:
    path = folder / "configs" / "metadata.json"
    metadata = json.loads(path.read_text(encoding="utf-8"))
    change(metadata)
    path.write_text(json.dumps(metadata), encoding="utf-8")


def set_weights(folder, content) -> None:
    """Put other weights in and a checksum that fits, as a stranger would."""
    path = folder / "models" / "reg_net.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    change_metadata(folder, lambda m: m["quality"]["weights"].update({"models/reg_net.pt": digest}))


@pytest.mark.parametrize("name", NAMES)
def test_each_bundled_model_is_whole_and_small(name):
    bundle = ModelBundle.load(find_bundle(name))
    load_estimator(bundle, "cpu")
    assert bundle.name == name
    size = sum(path.stat().st_size for path in bundle.folder.rglob("*") if path.is_file())
    assert size <= 5 * 2**20
    assert (bundle.folder / "docs" / "README.md").is_file() and (bundle.folder / "LICENSE").is_file()


def test_the_default_model_is_the_one_with_the_lowest_evaluated_error():
    errors = {p.name: ModelBundle.load(p).quality["evaluation"]["mae"] for p in available_bundles()}
    assert errors[default_bundle().name] == min(errors.values())


@pytest.mark.parametrize(
    ("name", "code", "expected"),
    [
        ("LV myocardium", None, "left ventricular myocardium"),
        ("myocardium", None, "left ventricular myocardium"),
    ],
)
def test_a_segment_is_matched_to_its_model_by_name(name, code, expected):
    bundle, matched = bundle_for_segment(name, code)
    assert matched and bundle.target.name == expected


def test_a_code_decides_over_a_name():
    myocardium = ModelBundle.load(find_bundle("acdc-lv-myocardium"))
    bundle, matched = bundle_for_segment("my segment", myocardium.target.snomed)
    assert matched and bundle.target == myocardium.target
    assert not bundle_for_segment("myocardium", "10200004")[1]


def test_a_segment_without_a_model_gets_the_default_and_it_is_said():
    bundle, matched = bundle_for_segment("liver")
    assert not matched and bundle.name == default_bundle().name


def test_an_unknown_model_is_answered_with_the_known_names():
    with pytest.raises(BundleError, match="acdc-lv-myocardium"):
        find_bundle("no-such-model")


def test_a_wrong_checksum_is_refused(copy):
    path = copy / "models" / "reg_net.pt"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(BundleError, match="checksum"):
        ModelBundle.load(copy)


@pytest.mark.parametrize("file", ["models/reg_net.pt", "models/rec_net.pt", "configs/metadata.json"])
def test_a_missing_file_is_named(copy, file):
    (copy / file).unlink()
    with pytest.raises(BundleError, match=file.rsplit("/", 1)[1]):
        ModelBundle.load(copy)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.pop("quality"),
        lambda m: m.pop("version"),
        lambda m: m["quality"].update(schema=99),
        lambda m: m["quality"].update(estimator="shell"),
        lambda m: m["quality"]["window"].update(size=10**9),
        lambda m: m["quality"]["window"].update(spacing_mm=-1),
        lambda m: m["quality"]["window"].update(spacing_mm="1.5"),
        lambda m: m["quality"]["intensity"].update(rule="z-score"),
        lambda m: m["quality"]["networks"]["reg_net"].update(filters=[10**9]),
        lambda m: m["quality"]["networks"]["reg_net"].update(hidden=[2**40]),
        lambda m: m["quality"]["networks"]["reg_net"].update(filters="16"),
        lambda m: m["quality"]["calibration"].pop("volume"),
        lambda m: m["quality"]["calibration"]["slice"].update(low=[1.0]),
        lambda m: m["quality"]["familiarity"].update(mean=[]),
        lambda m: m["quality"]["familiarity"].update(threshold=None),
        lambda m: m["quality"].update(weights={"../../secret.pt": "0"}),
        lambda m: m["quality"].update(weights={}),
        lambda m: m["quality"]["target"].update(aliases=[1]),
    ],
)
def test_unusable_metadata_is_refused_with_one_sentence(copy, change):
    change_metadata(copy, change)
    with pytest.raises(BundleError) as caught:
        load_estimator(ModelBundle.load(copy), "cpu")
    assert "\n" not in str(caught.value)


def test_networks_of_an_unknown_kind_are_refused(copy):
    change_metadata(copy, lambda m: m["quality"]["networks"]["reg_net"].update(depth=3))
    with pytest.raises(BundleError, match="networks"):
        load_estimator(ModelBundle.load(copy), "cpu")


class Command:
    """Pickled, it would make a file when it is read."""

    def __init__(self, path) -> None:
        self.path = path

    def __reduce__(self):
        return (os.system, (f"touch {self.path}",))


def test_code_in_a_weight_file_is_not_executed(copy, tmp_path):
    witness = tmp_path / "executed"
    set_weights(copy, {"head.0.weight": Command(witness)})
    with pytest.raises(BundleError, match="refused"):
        load_estimator(ModelBundle.load(copy), "cpu")
    assert not witness.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a zip",
        {"head.0.weight": torch.full((2, 2), float("nan"))},
        {"head.0.weight": torch.zeros(2, dtype=torch.float64)},
        {"head.0.weight": torch.zeros(2)},
        {"head.0.weight": "text"},
        [torch.zeros(2)],
    ],
    ids=["empty", "no zip", "NaN", "float64", "other shape", "text", "list"],
)
def test_weights_that_are_not_this_networks_finite_tensors_are_refused(copy, content):
    set_weights(copy, content)
    with pytest.raises(BundleError):
        load_estimator(ModelBundle.load(copy), "cpu")


def test_a_zip_bomb_is_refused_before_it_is_read(copy, tmp_path):
    bomb = tmp_path / "bomb.pt"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/0", b"\0" * 2**24)
    set_weights(copy, bomb.read_bytes())
    with pytest.raises(BundleError, match="compressed"):
        load_estimator(ModelBundle.load(copy), "cpu")


@pytest.mark.parametrize("linked", ["models/reg_net.pt", "models", "configs/metadata.json"])
def test_a_link_out_of_the_bundle_is_refused(copy, tmp_path, linked):
    outside = tmp_path / "outside"
    shutil.move(copy / linked, outside)
    (copy / linked).symlink_to(outside)
    with pytest.raises(BundleError, match="leads out"):
        ModelBundle.load(copy)
