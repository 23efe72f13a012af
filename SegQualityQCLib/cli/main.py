"""The command ``segquality``: its subcommands and how errors reach the user."""

from __future__ import annotations

import io
import os
import sys

import typer

from .. import __version__
from .assess import assess_command
from .calibrate import calibrate_command
from .cohort import cohort_command
from .demo import demo_command
from .models import models_app
from .worklist import review_command, worklist_app

# Before torch is loaded: OpenMP's threads spin while they wait for one another, and where other programs want the cores
# too, an assessment took four to nine times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

app = typer.Typer(
    name="segquality",
    help="Tells, slice by slice and without a reference, how good a segmentation is.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("assess")(assess_command)
app.command("cohort")(cohort_command)
app.command("calibrate")(calibrate_command)
app.command("demo")(demo_command)
app.add_typer(models_app, name="models")
app.command("review")(review_command)
app.add_typer(worklist_app, name="worklist")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"segquality {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version and stop."
    ),
) -> None:
    for stream in (sys.stdout, sys.stderr):  # a name that the terminal's encoding lacks must not end the command
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
