"""Bundles: found, checked, and refused before anything in them is executed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile

import pytest
import torch

from SegQualityQCLib.bundles.bundle import ModelBundle
from SegQualityQCLib.bundles.catalogue import available_bundles, find_bundle
from SegQualityQCLib.errors import BundleError
from SegQualityQCLib.estimators.installing import add_bundle
from SegQualityQCLib.estimators.loading import load_estimator
from SegQualityQCLib.estimators.networks.weights import read_weights
from SegQualityQCLib.estimators.selection import ModelSelection

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
    assert (bundle.folder / "docs" / "README.md").is_file()
    assert (bundle.folder / "LICENSE").is_file()


def test_the_default_model_is_the_best_of_the_myocardium_which_most_models_are_for():
    bundles = [ModelBundle.load(find_bundle(name)) for name in NAMES]
    errors = {b.name: b.header.targets[0].evaluation.mae for b in bundles if "myocardium" in b.name}
    assert errors[ModelSelection().default().name] == min(errors.values())


@pytest.mark.parametrize(
    ("name", "code", "expected"),
    [
        ("LV myocardium", None, "left ventricular myocardium"),
        ("myocardium", None, "left ventricular myocardium"),
    ],
)
def test_a_segment_is_matched_to_its_model_by_name(name, code, expected):
    bundle, matched = ModelSelection().best(name, code)
    assert matched
    assert bundle.target.name == expected


def test_a_code_decides_over_a_name():
    myocardium = ModelBundle.load(find_bundle("acdc-lv-myocardium"))
    bundle, matched = ModelSelection().best("my segment", myocardium.target.snomed)
    assert matched
    assert bundle.target == myocardium.target
    assert not ModelSelection().best("myocardium", "10200004")[1]


def test_a_segment_without_a_model_gets_the_default_and_it_is_said():
    bundle, matched = ModelSelection().best("liver")
    assert not matched
    assert bundle.name == ModelSelection().default().name


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
        lambda m: m["quality"]["networks"].pop("rec_net"),
        lambda m: m["quality"]["networks"]["rec_net"].update(filters=[]),
        lambda m: m["quality"]["networks"]["reg_net"].update(filters=[1024], hidden=[1024]),  # 21 GB
        lambda m: m["quality"]["networks"]["reg_net"].update(filters=[1024] * 31, convolutions=1024),
        lambda m: m["quality"]["networks"]["reg_net"].update(head="transformer"),
        lambda m: m["quality"]["networks"]["reg_net"].update(head="fully connected"),
        lambda m: m["quality"]["networks"]["reg_net"].update(head="pixels", smoothing=1e9),
        lambda m: m["quality"].update(image_smoothing=-1),
        lambda m: m["quality"]["window"].update(size=1024),
        lambda m: m["quality"]["window"].update(size=145),
        lambda m: m["quality"]["familiarity"].update(mean=[0.0], precision=[[1.0]]),
        lambda m: m["quality"]["evaluation"].update(mae=float("nan")),
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
        {0: torch.zeros(2)},
        {"head.0.weight": torch.zeros(1).expand(10**6, 10**7)},
        {"head.0.weight": torch.zeros(2, 2).to_sparse()},
        {"head.0.weight": torch.sparse_coo_tensor(size=(10**6, 10**6))},
        {"head.0.weight": torch.zeros(2, 2, device="meta")},
    ],
    ids=["empty", "no zip", "NaN", "float64", "other shape", "text", "list", "number for a name"]
    + ["40 TB from 4 bytes", "sparse", "gigantic and sparse", "no values"],
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


def test_a_tensor_longer_than_its_file_is_refused_before_it_is_read(copy, tmp_path):
    whole, short = tmp_path / "whole.pt", tmp_path / "short.pt"
    torch.save({"head.0.weight": torch.zeros(2**16)}, whole)
    with zipfile.ZipFile(whole) as archive, zipfile.ZipFile(short, "w") as shorter:
        for member in archive.namelist():
            content = archive.read(member)
            shorter.writestr(member, content[:16] if member.endswith("data/0") else content)
    set_weights(copy, short.read_bytes())
    with pytest.raises(BundleError):
        load_estimator(ModelBundle.load(copy), "cpu")


def test_finite_weights_that_end_in_no_number_give_no_score(copy):
    state = read_weights(ModelBundle.load(copy), "models/reg_net.pt")
    set_weights(
        copy, {key: torch.full_like(value, 3e38) * torch.randn(value.shape).sign() for key, value in state.items()}
    )
    with pytest.raises(BundleError, match="not a number"):
        load_estimator(ModelBundle.load(copy), "cpu")


REFUSED = {
    "other networks": lambda folder: change_metadata(
        folder, lambda m: m["quality"]["networks"]["reg_net"].update(hidden=[7])
    ),
    "unknown networks": lambda folder: change_metadata(
        folder, lambda m: m["quality"]["networks"]["reg_net"].update(depth=3)
    ),
    "code": lambda folder: set_weights(folder, {"head.0.weight": Command(folder.parent / "executed")}),
    "NaN": lambda folder: set_weights(folder, {"head.0.weight": torch.full((2, 2), float("nan"))}),
    "a missing file": lambda folder: (folder / "models" / "reg_net.pt").unlink(),
    "a checksum": lambda folder: (folder / "models" / "reg_net.pt").write_bytes(b"other"),
    "metadata of gigantic nesting": lambda folder: (folder / "configs" / "metadata.json").write_text("[" * 10**6),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_verify_refuses_cannot_be_added_and_leaves_nothing(copy, tmp_path, what):
    REFUSED[what](copy)
    with pytest.raises(BundleError) as verified:
        load_estimator(ModelBundle.load(copy), "cpu")
    with pytest.raises(BundleError) as added:
        add_bundle(copy, tmp_path / "models")
    assert str(verified.value) == str(added.value)
    assert not (tmp_path / "models").exists()
    assert not (tmp_path / "executed").exists()


def test_a_sound_model_is_added_whole_with_nothing_beside_it_and_once(copy, tmp_path):
    (copy / "run_me.py").write_text("raise SystemExit")
    added = add_bundle(copy, tmp_path / "models")
    assert load_estimator(added, "cpu").bundle.sha256 == ModelBundle.load(copy).sha256
    names = {path.name for path in (tmp_path / "models").rglob("*") if path.is_file()}
    assert names == {"metadata.json", "reg_net.pt", "rec_net.pt"}
    with pytest.raises(BundleError, match="already"):
        add_bundle(copy, tmp_path / "models")
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["model"]


def test_weights_stored_with_half_the_digits_are_computed_with_in_float32(copy):
    stored = torch.load(copy / "models/reg_net.pt", weights_only=True)
    set_weights(copy, {key: value.half() for key, value in stored.items()})
    read = read_weights(ModelBundle.load(copy), "models/reg_net.pt")
    assert {value.dtype for value in read.values()} == {torch.float32}
    assert all(torch.allclose(read[key], stored[key].float(), rtol=1e-3, atol=1e-6) for key in stored)
