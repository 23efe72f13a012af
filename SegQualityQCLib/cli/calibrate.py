"""``segquality calibrate``: from cases with a reference to a model of a method that needs no training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from ..cohort.calibrating import calibrate, check_is_new, write_bundle
from ..cohort.manifest import read_manifest
from ..estimators.methods import Method
from ..storage.safe_text import printable
from .assess import Quiet
from .failing import one_sentence_on_bad_input


def calibrate_command(
    manifest: Annotated[Path, typer.Argument(help="CSV as for a cohort, with the column reference.")],
    method: Annotated[Method, typer.Option(help="agreement or probabilities.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the model; it must not be there yet.")],
    quiet: Quiet = False,
) -> None:
    """Calibrate agreement or probabilities on cases with a reference; --model takes the result."""
    console = Console(stderr=True, emoji=False)
    with one_sentence_on_bad_input():
        check_is_new(out)
        cases = read_manifest(manifest)
        with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as progress:
            bar = progress.add_task("Reading", total=len(cases))
            result = calibrate(
                cases, manifest, method, out.absolute().name, lambda done: progress.update(bar, completed=done)
            )
        write_bundle(result.header, out)
    if quiet:
        return
    target = result.header.targets[0]
    figures = target.evaluation.figures
    typer.echo(
        f"{method} of {printable(target.structure.name)}, calibrated on {figures['cases']:.0f} cases. Each predicted "
        f"without itself: slices MAE {figures['mae']:.3f}, 90 % interval holds {figures['coverage']:.0%}; volumes MAE "
        f"{figures['volume_mae']:.3f}. Use it with --model {out}"
    )
    for name, reason in result.left_out:
        typer.echo(f"Note: {printable(name)} was left out: {printable(reason)}", err=True)
