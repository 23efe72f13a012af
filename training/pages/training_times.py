"""How long the stages and trainings behind the results page took."""

from __future__ import annotations

import csv
import os
import platform
from itertools import product

import torch

from ..evaluation.epoch_times import minutes_an_epoch
from ..study.configuration import Study
from ..study.paths import fold_nets, rec_net_file
from ..study.run import attacked_runs
from .evaluated_runs import EvaluatedRun, evaluated_variants
from .markdown import markdown_table


def time_section(study: Study, evaluated: list[EvaluatedRun]) -> list[str]:
    """The section of the hardware and the times."""
    times = _times_of_stages(study)
    logged = {
        name: (epochs, minutes)
        for name, epochs in _epochs_of_trainings(study, evaluated).items()
        if (minutes := minutes_an_epoch(study.folder / name)) is not None
    }
    unknown = [stage for stage in timed_stages(study, evaluated) if stage not in times and stage not in logged]
    lines = ["## Hardware and time", "", _hardware(), ""]
    if times:
        lines += ["For a stage that was stopped, the time since it was last started.", ""]
        lines += [*markdown_table(("stage", "time"), times.items()), ""]
    if logged:
        lines += ["Trainings by their logs, which hold all starts of a training: the mean of the logged epochs.", ""]
        cells = [(name, str(n), f"{minutes:.2f}", f"{n * minutes / 60:.1f}") for name, (n, minutes) in logged.items()]
        lines += [*markdown_table(("training", "epochs", "minutes an epoch", "hours together"), cells), ""]
    if unknown:
        lines += ["The time of these is not known: they ran outside the workflow, were replaced by networks of a"]
        lines += [f"bundle, or had not ended when this page was written: {', '.join(unknown)}.", ""]
    return lines


def timed_stages(study: Study, evaluated: list[EvaluatedRun]) -> list[str]:
    """The stages behind the models on the page, by the names that the workflow gives to their times."""
    first, nets = study.structures[0], study.candidate_nets
    stages = ["prepare", *(f"candidates-depth{d}-filters{f}" for d, f in product(nets.depths, nets.filters))]
    stages += [
        f"candidates-{net.name}" for net in fold_nets(study) if net.architecture.name != nets.unseen_architecture
    ]
    for structure in dict.fromkeys(entry.run.structure for entry in evaluated):
        stages += [f"perturbed-{structure.key}", f"familiarity-{structure.key}"]
        stages += [f"made-{structure.key}"] if study.sampling.made else []
    stages += _epochs_of_trainings(study, evaluated)
    attacked = attacked_runs(study, first) if study.attack_study else []
    for run in (entry.run for entry in evaluated):
        stages += [f"calibrate-{run.name}", f"evaluate-{run.name}"]
        if run in attacked:
            stages += [f"attack-{run.name}"] + ([f"corrupt-{run.name}"] if run.is_main else [])
    return stages


def _epochs_of_trainings(study: Study, evaluated: list[EvaluatedRun]) -> dict[str, int]:
    """The epochs of the trainings behind the models on the page, by the names of their folders."""
    runs = [entry.run for entry in evaluated]
    with_rec_net = dict.fromkeys(run.structure for run in runs if run.method == "rec-reg")
    epochs = {rec_net_file(study, each).parent.name: study.rec_net_epochs(each) for each in with_rec_net}
    runs += [entry.run for entry in evaluated_variants(study)]
    return epochs | {run.name: sum(run.epochs) for run in runs}


def _times_of_stages(study: Study) -> dict[str, str]:
    times = {}
    for path in sorted((study.folder / "times").glob("*.tsv")):
        with path.open(encoding="utf-8") as file:
            entry = next(csv.DictReader(file, delimiter="\t"), None)
        if entry is not None:  # a stage that still runs has an empty file
            times[path.stem] = entry["h:m:s"]
    return times


def _hardware() -> str:
    graphics = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, {graphics}"
