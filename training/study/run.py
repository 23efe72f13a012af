"""One run of a study: a model with its names, its settings and its files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from SegQualityQCLib.errors import InputError

from .configuration import HARDENED, METHODS, Hardening, Structure, Study, Variant


@dataclass(frozen=True)
class Run:
    """One REG-Net of a study, from its training to its evaluation.

    Attributes:
        study: The study.
        structure: What the masks show.
        method: ``rec-reg`` or ``direct``; ``--kind`` on the command line.
        seed: Of weights, sampling and augmentation.
        variant: Another way of training; ``None`` trains as the study says.
    """

    study: Study
    structure: Structure
    method: str
    seed: int
    variant: Variant | None = None

    def __post_init__(self) -> None:
        """Refuse a method that does not exist."""
        if self.method not in METHODS:
            raise InputError(f"The kind {self.method!r} is not known: use {' or '.join(METHODS)}.")

    @property
    def name(self) -> str:
        """Name of the training: of its folder, and of its row in the table of times."""
        return f"{self.method}-{self.structure.key}-seed{self.seed}{self._suffix}"

    @property
    def bundle_name(self) -> str:
        """Name of the bundle: the data set, the structure, and the method where it is not the structure's first."""
        dataset = self.study.name.split("-")[0]
        method = "" if self.method == self.structure.kinds[0] else f"-{self.method}"
        return f"{dataset}-{self.structure.key}{method}"

    @property
    def model_name(self) -> str:
        """Name that the files of the calibration, the evaluation and the attacks share."""
        return f"{self.bundle_name}-seed{self.seed}{self._suffix}"

    @property
    def _suffix(self) -> str:
        return "" if self.variant is None else f"-{self.variant.name}"

    @property
    def folder(self) -> Path:
        """Where the training keeps its networks and logs."""
        return self.study.folder / self.name

    @property
    def weights(self) -> Path:
        """The REG-Net as it is used, with batch normalisation folded in."""
        return self.folder / "reg_net.pt"

    def stage_file(self, stage: str, suffix: str = ".json") -> Path:
        """A file that a stage writes about this model.

        Args:
            stage: The stage's folder, for example ``evaluation``.
            suffix: End of the file's name; empty for the stage's bundle of the model.
        """
        return self.study.folder / stage / f"{self.model_name}{suffix}"

    @property
    def unchanged(self) -> Run:
        """The run with the same seed that no variant changes."""
        return replace(self, variant=None)

    @property
    def hardened(self) -> Run:
        """The run that fine-tunes this one on attacked images."""
        return replace(self, variant=HARDENED)

    @property
    def varied_study(self) -> Study:
        """The study with the changes of the variant."""
        return self.study if self.variant is None else self.variant.of(self.study)

    @property
    def epochs(self) -> tuple[int, ...]:
        """Epochs of each cycle of the training; a cycle starts from the weights of the one before."""
        reg_net, ablation = self.study.reg_net, self.study.ablation
        if self.variant == HARDENED:
            return (self.study.hardening[self.method].epochs,)
        if self.variant is not None and ablation.epochs:
            return (ablation.epochs,)
        if self.structure.warm_start is not None:
            return (reg_net.warm_epochs or reg_net.epochs,)
        return (reg_net.epochs, *reg_net.further_epochs.get(self.method, ()))

    @property
    def image_smoothing(self) -> float:
        """Standard deviation in pixels of the Gaussian that blurs the image before the networks see it."""
        hardening = self.study.hardening.get(self.method) if self.variant == HARDENED else None
        return hardening.smoothing if hardening else 0.0

    @property
    def is_main(self) -> bool:
        """Whether the run has the seed that is hardened, shown and exported."""
        return self.seed == main_run(self.study, self.structure, self.method).seed


def main_run(study: Study, structure: Structure, method: str) -> Run:
    """The run that no variant changes, with the seed that is hardened, shown and exported."""
    hardening = _hardening_of(study, structure, method)
    seed = study.seeds[0] if hardening is None or hardening.seed is None else hardening.seed
    return Run(study, structure, method, seed)


def exported_run(study: Study, structure: Structure, method: str) -> Run:
    """The run that is exported: the hardened one where the study says so."""
    run, hardening = main_run(study, structure, method), _hardening_of(study, structure, method)
    return run.hardened if hardening and hardening.bundled else run


def exported_runs(study: Study) -> list[Run]:
    """The runs that are exported: one for each method of each structure."""
    return [exported_run(study, structure, method) for structure in study.structures for method in structure.kinds]


def attacked_runs(study: Study, structure: Structure) -> list[Run]:
    """The runs that the attack study attacks: all methods with all seeds, then the hardened ones."""
    unchanged = [Run(study, structure, method, seed) for method, seed in product(structure.kinds, study.seeds)]
    hardened = [main_run(study, structure, method) for method in structure.kinds if method in study.hardening]
    return unchanged + [run.hardened for run in hardened]


def _hardening_of(study: Study, structure: Structure, method: str) -> Hardening | None:
    return study.hardening.get(method) if structure == study.structures[0] else None
