"""What the files of a study are called; light, for the Snakefile reads it too."""

from __future__ import annotations

from itertools import product
from pathlib import Path

from .configuration import HARDENED, Structure, Study, Variant


def candidate_file(study: Study, depth: int | str, filters: int | str, epoch: int) -> Path:
    """Where the candidates of a U-net at an epoch are kept; text for depth and filters is taken as it is."""
    return study.folder / "candidates" / f"depth{depth}-filters{filters}-epoch{epoch:03d}.npz"


def candidate_files(study: Study) -> list[Path]:
    """The candidate files of all nets and epochs of a study, in a fixed order."""
    settings = study.candidate_nets
    return [candidate_file(study, *net) for net in product(settings.depths, settings.filters, settings.readouts)]


def run_name(kind: str, structure: Structure, seed: int, variant: Variant | None = None) -> str:
    """The folder of a REG-Net's run."""
    return f"{kind}-{structure.key}-seed{seed}" + (f"-{variant.name}" if variant else "")


def bundle_name(study: Study, structure: Structure, kind: str) -> str:
    """Name of a structure's bundle: the data set, the structure, and the method where it is not the first one."""
    dataset = study.name.split("-")[0]
    return f"{dataset}-{structure.key}" + ("" if kind == structure.kinds[0] else f"-{kind}")


def model_name(study: Study, structure: Structure, kind: str, seed: int, variant: Variant | None = None) -> str:
    """The name that the files of a model's calibration, evaluation and attacks share."""
    return f"{bundle_name(study, structure, kind)}-seed{seed}" + (f"-{variant.name}" if variant else "")


def attacked_models(study: Study, structure: Structure) -> list[tuple[str, int, Variant | None]]:
    """Kind, seed and variant of what the attack study attacks: all kinds and seeds, then the hardened ones."""
    hardened = [kind for kind in structure.kinds if kind in study.hardening]
    plain = [(kind, seed, None) for kind, seed in product(structure.kinds, study.seeds)]
    return plain + [(kind, study.main_seed(structure, kind), HARDENED) for kind in hardened]
