"""The files of a study that its runs share; imports no network library, since the Snakefile reads it too."""

from __future__ import annotations

from itertools import product
from pathlib import Path

from .configuration import Structure, Study


def candidate_file(study: Study, depth: int | str, filters: int | str, epoch: int) -> Path:
    """The candidates of a U-net at an epoch; text for depth and filters is taken as it is."""
    return study.folder / "candidates" / f"depth{depth}-filters{filters}-epoch{epoch:03d}.npz"


def candidate_files(study: Study) -> list[Path]:
    """The candidate files of all nets and epochs of a study, in a fixed order."""
    settings = study.candidate_nets
    return [candidate_file(study, *net) for net in product(settings.depths, settings.filters, settings.readouts)]


def rec_net_file(study: Study, structure: Structure) -> Path:
    """The weights of a structure's REC-Net; the folder holds its logs."""
    return study.folder / f"rec-{structure.key}" / "rec_net.pt"


def perturbed_folder(study: Study, structure: Structure) -> Path:
    """The folder of a structure's perturbed reference masks."""
    return study.folder / f"perturbed-{structure.key}"
