"""The command line that the stages share."""

from __future__ import annotations

import argparse
import errno
import sys
from types import TracebackType

from SegQualityQCLib.errors import SegQualityError

from .run import Run
from .study_file import read_study

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def stage_arguments(
    description: str | None,
    *,
    structure: bool = False,
    run: bool = False,
    variant: bool = False,
    devices: bool = False,
    **extra: type,
) -> argparse.Namespace:
    """Parse the arguments that the stages share and a stage's own, and read the study into ``.study``.

    After this call an error that the user can act on ends the process with one sentence, not with a traceback.

    Args:
        description: What the stage does.
        structure: Whether the stage takes the key of a structure; ``.structure`` is that one.
        run: Whether the stage takes the structure, kind and seed of a run; ``.run`` is that one.
        variant: Whether the stage also takes the name of the run's variant.
        devices: Whether the stage trains, and takes the number of devices to train on.
        extra: Names and types of the stage's own arguments, each required.

    Raises:
        InputError: The study cannot be read, or has no such structure, kind or variant.
    """
    sys.excepthook = _say_what_is_wrong
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--config", required=True, help="YAML file of the study")
    parser.add_argument("--runs", help="folder of the runs; by default SEGQUALITY_RUNS, else runs")
    if devices:
        parser.add_argument("--devices", default="1", help="number of GPUs, or of processes on a CPU")
    if structure or run:
        parser.add_argument("--structure", required=True, help="key of a structure of the study")
    if run:
        parser.add_argument("--kind", required=True, help="method: rec-reg or direct")
        parser.add_argument("--seed", type=int, required=True, help="seed of the training")
    if variant:
        parser.add_argument("--variant", help="name of a variant of the study")
    for name, kind in extra.items():
        parser.add_argument(f"--{name}", type=kind, required=True)
    arguments = parser.parse_args()
    arguments.study = read_study(arguments.config, arguments.runs)
    if structure or run:
        arguments.structure = arguments.study.structure(arguments.structure)
    if run:
        chosen = arguments.study.variant(arguments.variant) if variant else None
        arguments.run = Run(arguments.study, arguments.structure, arguments.kind, arguments.seed, chosen)
    return arguments


def _say_what_is_wrong(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if isinstance(error, SegQualityError):
        print(f"Error: {error}", file=sys.stderr)
    elif isinstance(error, OSError) and error.errno in _FULL:  # as where Lightning writes a checkpoint
        what = f"The file {error.filename}" if error.filename else "A file of the study"
        print(f"Error: {what} cannot be written: {error.strerror}. Make room, then start again.", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, traceback)
