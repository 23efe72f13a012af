"""The files of a study that its runs share; imports no network library, since the Snakefile reads it too."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path

from .configuration import Architecture, Structure, Study

EVERY_TRAINING_PATIENT = "all"  # the only fold of the unseen architecture


@dataclass(frozen=True)
class FoldNet:
    """An architecture that is trained on one fold.

    Attributes:
        architecture: The architecture.
        fold: A hospital, ``part1``, ``part2`` and so on, or ``all``.
    """

    architecture: Architecture
    fold: str

    @property
    def name(self) -> str:
        """The name of its files."""
        return f"{self.architecture.name}-{self.fold}"

    def files(self, study: Study) -> dict[int, Path]:
        """The file of its candidates at each read-out epoch."""
        folder = study.folder / "candidates"
        return {epoch: folder / f"{self.name}-epoch{epoch:03d}.npz" for epoch in self.architecture.readouts}


def folds_of(study: Study) -> tuple[str, ...]:
    """The folds that architectures are trained on."""
    nets = study.candidate_nets
    return (*nets.hospitals, *(f"part{number + 1}" for number in range(nets.parts)))


def fold_nets(study: Study) -> list[FoldNet]:
    """All networks that are trained by folds, in the order of their training."""
    nets, folds = study.candidate_nets, folds_of(study)
    return [
        FoldNet(architecture, fold)
        for architecture in nets.architectures
        for fold in ((EVERY_TRAINING_PATIENT,) if architecture.name == nets.unseen_architecture else folds)
    ]


def candidate_file(study: Study, depth: int | str, filters: int | str, epoch: int) -> Path:
    """The candidates of a U-net at an epoch; text for depth and filters is taken as it is."""
    return study.folder / "candidates" / f"depth{depth}-filters{filters}-epoch{epoch:03d}.npz"


def candidate_files(study: Study) -> list[Path]:
    """The candidate files that REG-Nets are trained and calibrated on, in a fixed order."""
    settings = study.candidate_nets
    unets = [candidate_file(study, *net) for net in product(settings.depths, settings.filters, settings.readouts)]
    seen = [net for net in fold_nets(study) if net.architecture.name != settings.unseen_architecture]
    return unets + [path for net in seen for path in net.files(study).values()]


def unseen_candidate_files(study: Study) -> list[Path]:
    """The candidate files of the unseen architecture, in a fixed order."""
    unseen = [net for net in fold_nets(study) if net.architecture.name == study.candidate_nets.unseen_architecture]
    return [path for net in unseen for path in net.files(study).values()]


def rec_net_file(study: Study, structure: Structure) -> Path:
    """The weights of a structure's REC-Net; the folder holds its logs."""
    return study.folder / f"rec-{structure.key}" / "rec_net.pt"


def perturbed_folder(study: Study, structure: Structure) -> Path:
    """The folder of a structure's perturbed reference masks."""
    return study.folder / f"perturbed-{structure.key}"


def made_folder(study: Study, structure: Structure) -> Path:
    """The folder of a structure's references, blends, extra slices and empty masks."""
    return study.folder / f"made-{structure.key}"
