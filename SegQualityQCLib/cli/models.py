"""``segquality models``: list the bundles and verify their checksums."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from ..bundles.bundle import ModelBundle
from ..bundles.catalogue import available_bundles
from ..errors import BundleError
from ..estimators.selection import ModelSelection
from ..storage.safe_text import printable
from .failing import BAD_INPUT, one_sentence_on_bad_input

models_app = typer.Typer(help="List and verify the models.", invoke_without_command=True)


@models_app.callback()
def list_models(context: typer.Context) -> None:
    """List the models that come with the package."""
    if context.invoked_subcommand is not None:
        return
    with one_sentence_on_bad_input():
        selection = ModelSelection()
        default = selection.default()
        # At 80 columns no name, which is given to --model, and no word is cut.
        table = Table(
            Column("Model", no_wrap=True),
            "Version",
            Column("Structure", overflow="fold"),
            Column("Test MAE", no_wrap=True),
            Column("Licence", no_wrap=True),
            box=SIMPLE_HEAD,
            show_edge=False,
            padding=(0, 1, 0, 0),
            caption_justify="left",
        )
        for folder in available_bundles():
            bundle = selection.bundle(folder)
            for target in bundle.header.targets:
                figures = target.evaluation.figures
                errors = [f"{figures[key]:.3f}" for key in ("mae_nets", "mae_perturbed") if key in figures]
                structure = target.structure.name + (" (default)" if bundle.sha256 == default.sha256 else "")
                cells = [bundle.name, bundle.version, structure, " / ".join(errors), bundle.header.license]
                table.add_row(*(escape(printable(cell)) for cell in cells))
        table.caption = "Test MAE: mean absolute error of Dice on candidates of U-nets / on perturbed masks."
        Console(emoji=False).print(table)


@models_app.command("verify")
def verify_models(
    folder: Annotated[
        Optional[Path],  # noqa: UP045 - Typer reads the annotation at run time, on Python 3.10 too
        typer.Argument(help="The folder of one bundle; by default all that come with the package."),
    ] = None,
) -> None:
    """Check the metadata, the checksums and the weights of models."""
    from ..estimators.loading import load_estimator

    with one_sentence_on_bad_input():
        if folder is not None:
            _check_holds_bundle(folder)
    failed = False
    for path in available_bundles() if folder is None else [folder]:
        try:
            load_estimator(ModelBundle.load(path), "cpu")
            typer.echo(f"{path.name}: ok")
        except BundleError as error:
            failed = True
            typer.echo(printable(f"{path.name}: {error}"), err=True)
    if failed:
        raise typer.Exit(BAD_INPUT)


def _check_holds_bundle(folder: Path) -> None:
    if (folder / "configs").exists() or (folder / "models").exists():
        return  # a bundle, if a damaged one
    below = [path.parent.parent for path in sorted(folder.glob("*/configs/metadata.json"))]
    listed = f"; below it are: {', '.join(map(str, below[:8]))}" if below else ""
    what = "does not hold a model (configs/metadata.json)" if folder.is_dir() else "does not exist"
    raise BundleError(f"The folder {folder} {what}: give that of one model{listed}.")
