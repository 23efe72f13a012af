"""Several hospitals: their patients, splits and folds, and candidates of networks that never saw the patient."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from mnms_data import CENTRES, mnms_study, write_mnms

from SegQualityQCLib.errors import InputError

pytest.importorskip("lightning", reason="the training extra is not installed")

from training.candidates.made_masks import blend, make_masks
from training.candidates.made_pool import draw_kind, made_pool
from training.candidates.pool import net_pool
from training.data.folds import check_folds, fold_patients
from training.data.patients import find_volumes, study_volumes
from training.data.prepare import prepare
from training.data.split import SHIPPED_SPLIT, UNSEEN, read_split, split_of
from training.data.windows import Windows
from training.fitting.architectures import built
from training.fitting.fold_nets import named_nets, train_fold_net
from training.fitting.reg_net_data import BalancedSample
from training.metrics.dice import dice_of_arrays
from training.study.artifacts import read_json, write_json
from training.study.configuration import MADE_MASKS, Architecture, DataSource, Study
from training.study.paths import candidate_files, fold_nets, unseen_candidate_files
from training.study.study_file import read_study

HOSPITAL = {patient: f"mnms-{centre}" for patient, centre in CENTRES.items()}


@pytest.fixture
def mnms(tmp_path) -> Path:
    """Nine patients of three hospitals in the layout of M&Ms."""
    return write_mnms(tmp_path / "data")


@pytest.fixture(scope="module")
def drawn(repository, tmp_path_factory) -> Study:
    """A study of several hospitals whose networks have drawn their candidates, and whose masks are made."""
    folder = tmp_path_factory.mktemp("hospitals")
    study = mnms_study(repository, folder, write_mnms(folder / "data"))
    prepare(study)
    for net in named_nets(study, "every"):
        train_fold_net(study, net)
    make_masks(study, study.structures[0])
    return study


def test_each_volume_of_mnms_knows_its_hospital(mnms):
    volumes = find_volumes(DataSource("mnms", str(mnms)))
    assert {volume.patient: volume.hospital for volume in volumes} == HOSPITAL
    assert [volume.name for volume in volumes[:2]] == ["A1_ED", "A1_ES"]


def test_a_hospital_without_a_name_is_called_by_its_layout_or_its_setting(nnunet):
    for name, called in ((None, "nnunet"), ("north", "north")):
        volumes = find_volumes(DataSource("nnunet", str(nnunet), hospital=name))
        assert {volume.hospital for volume in volumes} == {called}


def one_slice(data: Path) -> None:
    for end in ("", "_gt"):
        path = data / "B2" / f"B2_ED{end}.nii.gz"
        image = sitk.ReadImage(str(path))
        sitk.WriteImage(image[:, :, 4:5], str(path))


def without_spacing(data: Path) -> None:
    for end in ("", "_gt"):
        path = data / "B2" / f"B2_ED{end}.nii.gz"
        image = sitk.ReadImage(str(path))
        image.SetSpacing((1.0, 1.0, 1.0))
        sitk.WriteImage(image, str(path))


def in_the_table(before: str, after: str):
    def change(data: Path) -> None:
        path = data / "patients.csv"
        path.write_text(path.read_text(encoding="utf-8").replace(before, after), encoding="utf-8")

    return change


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (without_spacing, "B2_ED has no voxel size"),
        (one_slice, "B2_ED has one slice only"),
        (lambda data: (data / "patients.csv").unlink(), "table .*patients.csv.* cannot be read"),
        (in_the_table("centre", "center"), "no column centre"),
        (in_the_table("B2,B,2\n", "B2,B,\n"), "no column centre, or nothing in it in row 7"),
        (in_the_table("B2,B,2\n", "B2,B,2\nB2,B,3\n"), "names two centres of patient B2"),
        (in_the_table("B2,B,2\n", ""), "patient B2 .* has a folder but no row"),
        (lambda data: shutil.rmtree(data / "B2"), "patient B2 .* has a row in patients.csv but no folder"),
        (lambda data: (data / "B2" / "B2_ES.nii.gz").unlink(), "B2_ES has no image"),
        (lambda data: (data / "B2" / "B2_ES_gt.nii.gz").unlink(), "B2_ES has no reference"),
        (in_the_table("A4,A,1\n", "A4,A,4\n"), "hospital mnms-4 has one patient only"),
        (in_the_table("C2,B,3\n", "C2,B,2\n"), "hospital mnms-3 has one patient only"),
        (in_the_table(",3\n", ",5\n"), "no hospital 'mnms-3' of unseen_hospitals: .* mnms-5"),
    ],
)
def test_bad_data_of_a_hospital_gets_a_sentence_that_names_it(repository, mnms, tmp_path, damage, said):
    damage(mnms)
    with pytest.raises(InputError, match=said):
        prepare(mnms_study(repository, tmp_path, mnms))


def test_two_sources_with_the_same_patients_are_refused(repository, mnms, tmp_path):
    study = mnms_study(repository, tmp_path, mnms)
    with pytest.raises(InputError, match=r"Two data sources .* have a patient 'A1'"):
        study_volumes(replace(study, further_data=(study.data,)))


def test_each_hospital_is_split_and_the_unseen_one_is_a_part_of_its_own(repository, mnms, tmp_path):
    study = mnms_study(repository, tmp_path, mnms)
    split = split_of(study, study_volumes(study))
    assert split[UNSEEN] == ["C1", "C2"]
    for part in ("train", "validation", "test"):
        assert {HOSPITAL[patient] for patient in split[part]} == {"mnms-1", "mnms-2"}
    assert sorted(patient for patients in split.values() for patient in patients) == sorted(CENTRES)


@pytest.mark.parametrize(
    ("moved", "to", "said"),
    [("C1", "train", "C1 in train, who is of an unseen hospital"), ("A1", UNSEEN, "A1 in unseen, who is of no unseen")],
)
def test_a_split_that_trains_on_the_unseen_hospital_is_refused(repository, mnms, tmp_path, moved, to, said):
    study = mnms_study(repository, tmp_path, mnms)
    volumes = study_volumes(study)
    split = split_of(study, volumes)
    wrong = {part: [patient for patient in patients if patient != moved] for part, patients in split.items()}
    wrong[to].append(moved)
    write_json(tmp_path / "split.json", wrong)
    with pytest.raises(InputError, match=said):
        split_of(replace(study, split=str(tmp_path / "split.json")), volumes)


def test_the_split_of_the_heart_study_keeps_acdcs_and_hides_one_hospital(repository, acdc_root, mnms_root):
    study = read_study(repository / "training" / "configs" / "heart-cpu.yaml")
    source = DataSource("mnms", str(mnms_root))
    study = replace(study, data=DataSource("acdc", str(acdc_root)), further_data=(source,))
    volumes = study_volumes(study)
    by_rule = replace(study, split=None, hospital_splits={"acdc": str(SHIPPED_SPLIT)})
    split = split_of(replace(study, split=str(repository / study.split)), volumes)
    assert split == split_of(by_rule, volumes)
    check_folds(study, {volume.patient: volume.hospital for volume in volumes}, split)
    assert len(split[UNSEEN]) == 25


def test_every_training_patient_is_drawn_by_a_network_that_never_saw_it(repository, mnms, tmp_path):
    study = mnms_study(repository, tmp_path, mnms)
    split = split_of(study, study_volumes(study))
    folds = fold_patients(study, HOSPITAL, split)
    assert folds["mnms-1"] == [patient for patient in split["train"] if HOSPITAL[patient] == "mnms-1"]
    assert sorted(folds["part1"] + folds["part2"]) == sorted(split["train"])
    nets = replace(study.candidate_nets, hospitals=("mnms-3",))
    with pytest.raises(InputError, match=r"fold mnms-3 .* has no training patient"):
        check_folds(replace(study, candidate_nets=nets), HOSPITAL, split)
    alone = {**split, "train": folds["mnms-1"]}
    nets = replace(study.candidate_nets, parts=0)
    with pytest.raises(InputError, match="All networks would see the patient A"):
        check_folds(replace(study, candidate_nets=nets), HOSPITAL, alone)


@pytest.mark.parametrize(
    ("network", "sizes", "said"),
    [
        ("UNets", {}, "small of candidate_nets has the network 'UNets': use AttentionUnet, "),
        ("UNet", {"channels": [8, 16], "stride": [2]}, "sizes that UNet does not take: .*stride"),
        ("UNet", {"channels": [8], "strides": []}, "sizes that UNet does not take"),
    ],
)
def test_an_architecture_that_monai_does_not_have_is_named(network, sizes, said):
    with pytest.raises(InputError, match=said):
        built(Architecture("small", network, sizes, (1,)), 4)


def test_candidates_are_of_unseen_patients_only(drawn):
    windows, split = Windows.of(drawn), read_split(drawn)
    folds = fold_patients(drawn, HOSPITAL, split)
    pool = net_pool(drawn, drawn.structures[0], windows)
    for source, path in enumerate(candidate_files(drawn)):
        fold = next(net.fold for net in fold_nets(drawn) if path in net.files(drawn).values())
        seen = windows.rows_of(folds[fold])
        assert np.isnan(pool.dice[source, seen]).all()
        assert not pool.masks[source, seen].any()
    assert {tuple(path.name.split("-")[:1]) for path in candidate_files(drawn)} == {("small",)}


def test_the_unseen_architecture_draws_all_but_training_patients(drawn):
    windows, split = Windows.of(drawn), read_split(drawn)
    (path,) = unseen_candidate_files(drawn)
    with np.load(path) as stored:
        assert np.flatnonzero(stored["saw"]).tolist() == windows.rows_of(split["train"]).tolist()
    dice = read_json(drawn.folder / "candidates" / "other-all" / "dice.json")
    assert set(dice["1"]) == {"mnms-1", "mnms-2", "mnms-3"}


def test_a_network_whose_candidates_were_removed_is_not_trained_again(drawn):
    net = fold_nets(drawn)[0]
    files = net.files(drawn).values()
    before = [path.read_bytes() for path in files]
    for path in files:
        path.unlink()
    checkpoint = drawn.folder / "candidates" / net.name / "newest.ckpt"
    written = checkpoint.stat().st_mtime_ns
    train_fold_net(drawn, net)
    assert [path.read_bytes() for path in files] == before
    assert checkpoint.stat().st_mtime_ns == written


def test_a_blend_goes_from_the_candidate_to_the_reference():
    y, x = np.indices((60, 60))
    candidate, reference = np.hypot(y - 28, x - 25) < 8, np.hypot(y - 30, x - 32) < 14
    dice = [float(dice_of_arrays(blend(candidate, reference, share), reference)) for share in (0, 0.25, 0.5, 0.75, 1)]
    assert dice == sorted(dice)
    assert dice[0] == float(dice_of_arrays(candidate, reference))
    assert dice[-1] == 1
    whole = np.ones((4, 4), bool)
    assert blend(whole, whole, 0.5).all()


def test_made_masks_have_the_dice_of_their_kind(drawn):
    windows, structure = Windows.of(drawn), drawn.structures[0]
    pool = made_pool(drawn, structure, windows)
    reference = (windows.labels == structure.label).any(axis=(1, 2))
    of = {kind: pool.kinds == number for number, kind in enumerate(MADE_MASKS)}
    assert (pool.dice[of["reference"]] == 1).all()
    assert (pool.dice[of["extra slice"]] == 0).all()
    assert (pool.dice[-1, reference] == 0).all()
    assert np.isnan(pool.dice[-1, ~reference]).all()
    assert not pool.masks[-1].any()


def test_a_training_sample_holds_the_shares_of_made_masks(drawn):
    windows, structure, split = Windows.of(drawn), drawn.structures[0], read_split(drawn)
    made = made_pool(drawn, structure, windows)
    kinds = {"reference": 0.5, "empty mask": 0.5}
    study = replace(drawn, sampling=replace(drawn.sampling, train=40, perturbed=0.0, made=kinds))
    rows = windows.rows_of(split["train"])
    sample = BalancedSample(study, (made, made, made), rows, 0)
    drawn_kinds = [MADE_MASKS[made.kinds[source, row]] for _, source, row in sample.triples]
    assert sorted(drawn_kinds) == ["empty mask"] * 20 + ["reference"] * 20
    assert set(sample.triples[:, 2]) <= set(rows.tolist())
    nothing = np.flatnonzero(~(windows.labels == structure.label).any(axis=(1, 2)))
    with pytest.raises(InputError, match=r"No reference could be made .* leave reference out of made"):
        draw_kind(made, "reference", nothing, 5, np.random.default_rng(0))
