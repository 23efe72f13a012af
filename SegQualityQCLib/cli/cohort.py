"""``segquality cohort``: score many cases and rank them, worst first."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as ProgressBar

from ..cohort.manifest import CohortCase, files_in_folder, find_cases
from ..cohort.results import WRITTEN, Judged
from ..errors import InputError
from ..estimators.methods import Method
from ..reading.input_files import files_of
from ..reading.label_names import read_label_names
from ..storage.outputs import OutputGuard
from .assess import Device, Labels, MethodOption, Model, Quiet, Threshold
from .failing import BAD_INPUT, one_sentence_on_bad_input

if TYPE_CHECKING:
    from ..cohort.running import Progress

INTERRUPTED = 130
_LINE_EVERY_S = 30.0


def cohort_command(
    manifest: Annotated[Path, typer.Argument(help="CSV with the columns case, image, segmentation; or a folder.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")],
    images: Annotated[
        Optional[str],  # noqa: UP045 - Typer reads the annotation at run time, on Python 3.10 too
        typer.Option(help="In a folder: pattern of the images, such as 'scans/{case}.nii.gz', or an nnU-Net folder."),
    ] = None,
    segmentations: Annotated[Optional[str], typer.Option(help="The same for the segmentations.")] = None,  # noqa: UP045
    label: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="In a folder: label value of the segment to score; by default all."),
    ] = None,
    labels: Labels = None,
    model: Model = None,
    method: MethodOption = Method.AUTO,
    workers: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=1, help="Processes on this machine; by default one a core."),
    ] = None,
    scheduler: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Address of a Dask scheduler to use instead, such as tcp://head:8786."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a cohort: do only what is missing.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files of other programs in the folder of the results.")
    ] = False,
    device: Device = "auto",
    threshold: Threshold = 0.7,
    quiet: Quiet = False,
) -> None:
    """Score many cases over processes or a cluster; write tables and a page, worst case first."""
    with one_sentence_on_bad_input():
        unused = None  # before Dask is imported, which takes a second
        if os.path.isdir(manifest):  # noqa: PTH112 - Path.is_dir raises where a folder above is forbidden
            files = files_in_folder(manifest, images, segmentations, label)
            cases, unused = files.cases, files.unused
        else:
            cases = find_cases(manifest, images, segmentations, label)
        if labels is not None:
            structures = {str(value): name for value, name in read_label_names(labels).items()}
            cases = tuple(replace(case, structures=structures) for case in cases)
        _check_outputs(manifest, cases, out)
        try:
            from ..cohort.running import run_cohort
        except ImportError as error:
            raise InputError(
                f"A cohort needs the package {error.name}: pip install '.[cohort]' in a copy of the repository."
            ) from error
        from ..cohort.scoring import ScoringOptions

        signal.signal(signal.SIGTERM, _interrupt)
        try:
            with _shown_progress(quiet) as show:
                end = run_cohort(
                    cases,
                    out,
                    options=ScoringOptions(model, device, method),
                    workers=workers,
                    scheduler=scheduler,
                    resume=resume,
                    overwrite=overwrite,
                    unused=unused,
                    threshold=threshold,
                    on_progress=show,
                )
        except KeyboardInterrupt:
            typer.echo(f"Stopped. What is done is in {out}; go on with --resume.", err=True)
            raise typer.Exit(INTERRUPTED) from None
    if not quiet:
        failed = f", {end.failed} cannot be scored: see errors.csv" if end.failed else ""
        left = f", {len(unused)} files not used: see unused.csv" if unused else ""
        typer.echo(f"{end.done} of {end.total} cases done{failed}{left}. Open {out / 'index.html'}")
        if end.judged.uncalibrated:
            text = (
                f"Note: the numbers of {end.judged.uncalibrated} of {end.judged.segments} segments are not a predicted "
                "Dice and have no interval: the column flags of cases.csv says so (docs/without-training.md)."
            )
            Console(emoji=False).print(text, style="yellow", markup=False, highlight=False)
        if end.judged.unmatched:
            Console(emoji=False).print(_note(end.judged), style="yellow", markup=False, highlight=False)
    if end.failed == end.total:
        raise typer.Exit(BAD_INPUT)


def _check_outputs(manifest: Path, cases: Sequence[CohortCase], out: Path) -> None:
    """An input may have the name of a table, and lie where this would be written."""
    guard = OutputGuard()
    guard.keep("manifest", [manifest])
    guard.keep("image", (file for case in cases for file in files_of(case.image)))
    guard.keep("segmentation", (file for case in cases for file in files_of(case.segmentation)))
    for name in WRITTEN:
        guard.check_one("--out", out / name)


def _note(judged: Judged) -> str:
    """What ``assess`` says of each segment that its model is not known to fit, for all of them."""
    return (
        f"Note: {judged.unmatched} of {judged.segments} segments are not known to be what their model was trained on: "
        "trust their scores, and their places in the order, only if they are. The column flags of cases.csv says "
        "model_unmatched; name label and model for each structure (docs/cohort.md)."
    )


def _interrupt(number: int, frame: object) -> None:
    """End as after Ctrl-C, with tables and page: schedulers of clusters ask so before they kill."""
    raise KeyboardInterrupt


@contextmanager
def _shown_progress(quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """A bar in a terminal; elsewhere, as in the log of a cluster job, a line now and then."""
    console = Console(stderr=True, emoji=False)
    if quiet:
        yield lambda progress: None
    elif console.is_terminal:
        columns = (TextColumn("Scoring"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[pace]}"))
        with ProgressBar(*columns, console=console, transient=True) as bar:
            task = bar.add_task("", total=None, pace="starting the workers")
            yield lambda progress: bar.update(task, completed=progress.done, total=progress.total, pace=pace(progress))
    else:
        yield _line_now_and_then()


def pace(progress: Progress) -> str:
    """Rate, time left and failures in words."""
    parts = []
    if progress.seconds_left is not None:
        minutes, seconds = divmod(round(progress.seconds_left), 60)
        hours, minutes = divmod(minutes, 60)
        left = f"{hours} h {minutes:02} min" if hours else f"{minutes} min {seconds:02} s"
        parts = [_rate(progress.rate), f"{left} left"]
    if progress.failed:
        parts.append(f"{progress.failed} failed")
    return ", ".join(parts)


def _rate(cases_a_second: float) -> str:
    if cases_a_second >= 1:
        return f"{cases_a_second:.1f} cases/s"
    seconds = 1 / cases_a_second
    return f"{seconds:.1f} s/case" if seconds < 10 else f"{seconds:.0f} s/case"


def _line_now_and_then() -> Callable[[Progress], None]:
    last = time.monotonic()

    def show(progress: Progress) -> None:
        nonlocal last
        if time.monotonic() - last >= _LINE_EVERY_S:
            last = time.monotonic()
            typer.echo(f"{progress.done} of {progress.total} cases, {pace(progress)}", err=True)

    return show
