"""Patients, splits, perturbed masks and samples; stages that are stopped, get bad data or find the disk full."""

from __future__ import annotations

import json
import re
import resource
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from nnunet_study import study_of

from SegQualityQCLib.demo import demo_reference
from SegQualityQCLib.errors import InputError, ReportError
from SegQualityQCLib.estimators.distribution_check import DESCRIPTORS, ImageDistribution
from SegQualityQCLib.estimators.networks.architectures import RecNet, reg_network
from SegQualityQCLib.estimators.selection import load_bundle
from SegQualityQCLib.report.calibration import Calibration
from training.candidates.perturbations import MASK_FAULTS, make_perturbed, perturb
from training.candidates.pool import Pool
from training.data.patients import Volume, find_volumes
from training.data.prepare import prepare
from training.data.split import PARTS, SHIPPED_SPLIT, kept_split, read_split, split_of, split_patients
from training.data.windows import Windows
from training.export.bundling import NO_INTERVAL, write_bundle
from training.fitting.candidate_nets import train_candidate_net
from training.fitting.reg_net_data import BalancedSample
from training.fitting.restore import restore
from training.metrics.dice import dice_of, dice_of_arrays
from training.study.artifacts import save_weights, write_arrays, write_json
from training.study.configuration import DataSource, Variant
from training.study.paths import candidate_files, rec_net_file
from training.study.run import Run
from training.study.study_file import read_study


def test_the_split_keeps_patients_whole_and_groups_in_like_numbers(acdc_root):
    volumes = find_volumes(DataSource("acdc", str(acdc_root)))
    split = split_patients(volumes, seed=0)
    assert [len(split[part]) for part in ("train", "validation", "test")] == [72, 9, 9]
    assert len({patient for part in split.values() for patient in part}) == 90
    group = {volume.patient: volume.group for volume in volumes}
    for part in ("validation", "test"):
        counts = [sum(group[patient] == name for patient in split[part]) for name in set(group.values())]
        assert max(counts) - min(counts) <= 1
    assert split == split_patients(volumes, seed=0)


def test_every_acdc_patient_has_two_phases_and_a_group(acdc_root):
    volumes = find_volumes(DataSource("acdc", str(acdc_root)))
    assert len(volumes) == 180
    assert {volume.group for volume in volumes} == {"DCM", "HCM", "MINF", "NOR", "RV"}


def test_nnunets_raw_layout_is_read(nnunet):
    assert [volume.name for volume in find_volumes(DataSource("nnunet", str(nnunet)))] == [
        f"heart_{n}" for n in range(4)
    ]


def test_an_organ_of_ones_own_is_prepared_from_one_config_file(repository, nnunet, tmp_path):
    study = study_of(repository, tmp_path, nnunet)
    prepare(study)
    assert (study.folder / "windows.npz").is_file()
    assert (study.folder / "split.json").is_file()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda data: (data / "labelsTr" / "heart_2.nii.gz").unlink(), "heart_2 has no reference"),
        (lambda data: (data / "imagesTr" / "heart_1_0000.nii.gz").unlink(), "heart_1 lacks its channel"),
        (lambda data: (data / "dataset.json").unlink(), "dataset.json"),
        (lambda data: shutil.rmtree(data), "does not exist"),
        (
            lambda data: sitk.WriteImage(
                sitk.Crop(demo_reference(), [1, 0, 0]), str(data / "labelsTr" / "heart_3.nii.gz")
            ),
            "case heart_3 lies on another grid",
        ),
        (
            lambda data: sitk.WriteImage(
                sitk.Cast(demo_reference(), sitk.sitkUInt16) * 300, str(data / "labelsTr" / "heart_3.nii.gz")
            ),
            "holds label .*: number the labels from 1 to 255",
        ),
    ],
)
def test_bad_data_gets_a_sentence_that_names_the_case(repository, nnunet, tmp_path, damage, said):
    damage(nnunet)
    with pytest.raises(InputError, match=said):
        prepare(study_of(repository, tmp_path, nnunet))


def test_a_mask_fault_that_a_variant_is_to_do_without_must_exist(repository, nnunet, tmp_path):
    study = study_of(repository, tmp_path, nnunet)
    study = replace(study, variants=(Variant("blind", "without one", without="elastick"),))
    with pytest.raises(InputError, match="blind is to do without 'elastick': the kinds are shift, "):
        make_perturbed(study, study.structures[0])


def test_a_reference_in_which_nothing_is_drawn_is_named(repository, nnunet, tmp_path):
    sitk.WriteImage(demo_reference() * 0, str(nnunet / "labelsTr" / "heart_2.nii.gz"))
    with pytest.raises(InputError, match="case heart_2 is empty: take the case out"):
        prepare(study_of(repository, tmp_path, nnunet))


@pytest.mark.parametrize("fault", list(MASK_FAULTS))
def test_each_mask_fault_changes_the_mask_over_a_range_of_dice(fault):
    labels = sitk.GetArrayFromImage(demo_reference())[3]
    mask = labels == 2
    rng = np.random.default_rng(0)
    made = [perturb(mask, labels, fault, rng) for _ in range(30)]
    dice = [2 * (mask & other).sum() / (mask.sum() + other.sum()) for other in made]
    assert all(other.shape == mask.shape and other.dtype == bool for other in made)
    assert np.mean(np.array(dice) < 1) > 0.6
    assert np.ptp(dice) > 0.1


def test_both_ways_of_computing_dice_agree_and_two_empty_masks_have_none():
    masks = np.random.default_rng(0).random((2, 3, 1, 5, 5)) < 0.5
    masks[:, 2] = False
    by_torch = dice_of(*(torch.from_numpy(part.astype(np.float32)) for part in masks)).numpy()
    assert dice_of_arrays(*masks, axis=(1, 2, 3)) == pytest.approx(by_torch)
    assert dice_of_arrays(*masks[:, 0]) == pytest.approx(by_torch[0])
    assert by_torch[2] == 0


def pool_of(dice) -> Pool:
    dice = np.asarray(dice, np.float32)
    return Pool(np.ones((*dice.shape, 2, 2), bool), dice, np.zeros((*dice.shape, 2)))


def test_a_sample_holds_each_bin_of_dice_alike():
    dice = np.concatenate([np.random.default_rng(0).uniform(0, 1, (4, 300)), np.full((4, 700), 0.95)], axis=1)
    drawn = pool_of(dice).draw(np.arange(1000), 100, np.random.default_rng(1))
    counts = np.histogram(dice[drawn[:, 0], drawn[:, 1]], bins=np.linspace(0, 1, 11))[0]
    assert counts.tolist() == [10] * 10
    assert len({tuple(pair) for pair in drawn.tolist()}) == 100


def test_each_epoch_has_a_sample_of_its_own_whenever_its_training_was_begun(repository):
    study = read_study(repository / "training" / "configs" / "acdc-smoke.yaml")
    pool = pool_of([np.random.default_rng(0).uniform(0, 1, 1000)])
    begun, goes_on = (BalancedSample(study, (pool, pool), np.arange(1000), 0) for _ in range(2))
    first = begun.triples.tolist()
    begun.redraw(3)
    goes_on.redraw(3)
    assert begun.triples.tolist() == goes_on.triples.tolist() != first


def test_an_empty_bin_is_named_with_what_helps(repository):
    study = read_study(repository / "training" / "configs" / "acdc-smoke.yaml")
    whole = pool_of([np.random.default_rng(0).uniform(0, 1, 1000)])
    lacking = pool_of([[0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.95]])
    for pools, share, said in (((lacking, whole), 0.5, "U-nets"), ((whole, lacking), 1.0, "raise variants")):
        asked = replace(study, sampling=replace(study.sampling, perturbed=share))
        with pytest.raises(InputError, match=rf"between 0\.8 and 0\.9: .*{said}"):
            BalancedSample(asked, pools, np.arange(9), 0)


@pytest.fixture
def drawn_by_a_net(repository, nnunet, tmp_path):
    """A study whose only U-net has drawn its two read-outs."""
    study = study_of(repository, tmp_path, nnunet)
    nets = replace(study.candidate_nets, readouts=(1, 2))
    study = replace(study, candidate_nets=nets, window_size=48, margin=8)
    prepare(study)
    train_candidate_net(study, 2, 8)
    return study


def test_a_training_whose_results_were_removed_goes_on_with_the_epoch_it_was_in(drawn_by_a_net):
    files = candidate_files(drawn_by_a_net)
    checkpoint = files[0].parent / "depth2-filters8" / "newest.ckpt"
    before, written = [file.read_bytes() for file in files], checkpoint.stat().st_mtime_ns
    for file in files:
        file.unlink()  # as Snakemake does where the rule was interrupted
    train_candidate_net(drawn_by_a_net, 2, 8)
    assert [file.read_bytes() for file in files] == before
    assert checkpoint.stat().st_mtime_ns == written


def test_a_training_without_an_earlier_readout_begins_anew(drawn_by_a_net):
    files = candidate_files(drawn_by_a_net)
    before = [file.read_bytes() for file in files]
    (files[0].parent / "depth2-filters8" / "epoch001.npz").unlink()
    train_candidate_net(drawn_by_a_net, 2, 8)
    assert [file.read_bytes() for file in files] == before


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("kept.npz", lambda path, values: write_arrays(path, {"values": values})),
        ("kept.json", lambda path, values: write_json(path, values.tolist())),
        ("kept.pt", lambda path, values: save_weights(torch.nn.Linear(len(values), 1), path)),
    ],
)
def test_a_full_disk_leaves_the_old_file_and_says_so_in_one_sentence(tmp_path, name, write):
    path = tmp_path / name
    write(path, np.arange(3))
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(ReportError, match=rf"{path} cannot be written: File too large"):
            write(path, np.random.default_rng(0).random(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_checkpoint_that_does_not_fit_on_the_disk_is_one_sentence(repository, nnunet, tmp_path):
    study = study_of(repository, tmp_path, nnunet)
    prepare(study)
    stage = (
        f"{sys.executable} -m training.fitting.rec_net --config {tmp_path / 'study.yaml'} --runs {tmp_path / 'runs'}"
    )
    command = f"ulimit -f 40; {stage} --structure lv-myocardium"
    run = subprocess.run(["bash", "-c", command], cwd=repository, capture_output=True, encoding="utf-8", check=False)
    assert run.returncode == 1
    assert "Error: A file of the study cannot be written: File too large." in run.stderr
    assert "Traceback" not in run.stderr
    assert not (study.folder / "rec-lv-myocardium" / "rec_net.pt").exists()


@pytest.fixture
def write(repository, nnunet, tmp_path):
    """Writes a bundle of untrained networks into a folder."""
    study = study_of(repository, tmp_path, nnunet)
    run = Run(study, study.structures[0], "rec-reg", 0)
    for path, network in (
        (run.weights, reg_network(window=144, **study.reg_network)),
        (rec_net_file(study, run.structure), RecNet(study.rec_filters)),
    ):
        path.parent.mkdir(parents=True)
        save_weights(network, path)
    calibration = Calibration(NO_INTERVAL, NO_INTERVAL)
    distribution = ImageDistribution(np.zeros(DESCRIPTORS), np.eye(DESCRIPTORS), 1.0)
    said = {"calibration": calibration, "distribution": distribution, "evaluation": {}, "card": ""}
    return lambda folder, version: write_bundle(folder, run, version=version, **said)


def test_a_bundle_is_replaced_and_leaves_nothing_beside_it(write, tmp_path):
    target = tmp_path / "bundle"
    write(target, "1.0.0")
    (target / "docs" / "note.md").write_text("of the user", encoding="utf-8")
    write(target, "1.0.1")
    bundle = load_bundle(target)
    assert (bundle.version, bundle.header.targets[0].evaluation.test_set) == ("1.0.1", "acdc-smoke")
    assert not (target / "docs" / "note.md").exists()
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".bundle")] == []


@pytest.mark.parametrize("stopped_while_replacing", [False, True])
def test_a_bundle_that_does_not_fit_on_the_disk_leaves_the_one_before(write, tmp_path, stopped_while_replacing):
    target = tmp_path / "bundle"
    write(target, "1.0.0")
    if stopped_while_replacing:
        target.rename(tmp_path / ".bundle.before")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, limits[1]))
    try:
        with pytest.raises(ReportError, match="cannot be written: File too large"):
            write(target, "1.0.1")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert '"version": "1.0.0"' in (target / "configs" / "metadata.json").read_text(encoding="utf-8")


def test_a_study_keeps_to_the_split_that_it_names_and_says_who_is_left_out(repository, nnunet, tmp_path, capsys):
    kept = {"train": ["heart_3", "heart_9"], "validation": ["heart_1"], "test": ["heart_0"]}
    (tmp_path / "kept.json").write_text(json.dumps(kept), encoding="utf-8")
    study = replace(study_of(repository, tmp_path, nnunet), split=str(tmp_path / "kept.json"))
    prepare(study)
    assert read_split(study) == {"train": ["heart_3"], "validation": ["heart_1"], "test": ["heart_0"]}
    assert Windows.of(study).volume_patients == ("heart_0", "heart_1", "heart_3")
    said = capsys.readouterr().out
    assert "left out, in no part of it: heart_2." in said
    assert "not in the data: heart_9." in said


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ({"train": ["heart_0"], "validation": ["heart_1"]}, "must hold three lists"),
        ({"train": ["heart_0"], "validation": ["heart_1"], "test": ["heart_8"]}, "No test patient of the split"),
        ({"train": ["heart_0"], "validation": ["heart_1"], "test": ["heart_0"]}, "names patient heart_0 twice"),
    ],
)
def test_a_split_that_cannot_be_kept_is_refused(repository, nnunet, tmp_path, kept, said):
    (tmp_path / "kept.json").write_text(json.dumps(kept), encoding="utf-8")
    with pytest.raises(InputError, match=said):
        prepare(replace(study_of(repository, tmp_path, nnunet), split=str(tmp_path / "kept.json")))


def volumes_of(patients):
    return [Volume(f"{name}_frame01", name, "NOR", Path(name), Path(name)) for name in patients]


def test_all_of_acdc_is_tested_on_the_patients_that_the_bundled_models_do_not_know(repository, capsys):
    results = (repository / "training" / "results" / "README.md").read_text(encoding="utf-8")
    published = {
        part: re.search(rf"^- {part} \(\d+\): (.*)$", results, re.MULTILINE).group(1).split(", ") for part in PARTS
    }
    everyone = volumes_of(f"patient{number:03}" for number in range(1, 101))
    study = read_study(repository / "training" / "configs" / "acdc-cpu.yaml")
    assert (repository / study.split).samefile(SHIPPED_SPLIT)
    assert split_of(replace(study, split=str(SHIPPED_SPLIT)), everyone) == published
    assert "left out, in no part of it: patient002, patient017" in capsys.readouterr().out
    assert set(split_patients(everyone, 0)["test"]) & set(published["train"])  # unlike a random split


def test_the_shipped_split_is_the_random_one_of_the_release_that_it_was_made_of(acdc_root):
    volumes = find_volumes(DataSource("acdc", str(acdc_root)))
    assert kept_split(SHIPPED_SPLIT, volumes) == split_patients(volumes, seed=0)


def test_a_bundled_model_is_not_restored_into_a_study_that_tests_on_patients_it_knows(repository, tmp_path):
    study = read_study(repository / "training" / "configs" / "acdc-cpu.yaml", tmp_path)
    study.folder.mkdir()
    write_json(
        study.folder / "split.json", {"train": ["patient003"], "validation": ["patient013"], "test": ["patient001"]}
    )
    bundle = repository / "Resources" / "Models" / "acdc-lv-myocardium-direct"
    with pytest.raises(InputError, match=r"was trained on .* holds out: patient001\. Add split: "):
        restore(Run(study, study.structures[0], "direct", 0), bundle)


def test_a_label_that_no_reference_holds_is_said_before_anything_is_trained(repository, nnunet, tmp_path):
    study = study_of(repository, tmp_path, nnunet)
    liver = replace(study.structures[0], label=7, name="liver")
    with pytest.raises(InputError, match=r"^No reference holds label 7 \(liver\): the labels are 1, 2, 3\.$"):
        prepare(replace(study, structures=(*study.structures, liver)))
    assert not (study.folder / "windows.npz").exists()


def test_a_label_that_a_part_of_the_split_lacks_is_said(repository, nnunet, tmp_path):
    study = study_of(repository, tmp_path, nnunet)
    prepare(study)
    (test,) = read_split(study)["test"]
    labels = demo_reference()
    sitk.WriteImage(sitk.Mask(labels, labels != 2), str(nnunet / "labelsTr" / f"{test}.nii.gz"))
    with pytest.raises(InputError, match="No window of a test patient holds label 2"):
        prepare(study)


def stage(repository, *arguments):
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=repository, capture_output=True, encoding="utf-8", check=False)


def test_bad_input_of_a_stage_is_one_sentence_and_no_traceback(repository, nnunet, tmp_path):
    study_of(repository, tmp_path, nnunet)
    (nnunet / "dataset.json").unlink()
    chosen = ("--config", str(tmp_path / "study.yaml"), "--runs", str(tmp_path / "runs"))
    run = stage(repository, "training.data.prepare", *chosen)
    assert run.returncode == 1
    assert run.stdout == ""
    assert re.fullmatch(r"Error: The data folder .* has no usable dataset\.json: .*\.\n", run.stderr)
    run = stage(
        repository,
        "training.evaluation.calibrate",
        *chosen,
        *["--structure", "liver", "--kind", "direct", "--seed", "0"],
    )
    assert run.returncode == 1
    assert run.stderr == "Error: The study acdc-smoke has no structure 'liver': it has lv-myocardium.\n"
