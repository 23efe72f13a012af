"""Bad input ends a command with one sentence on stderr and exit status 2."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from ..errors import SegQualityError
from ..storage.safe_text import printable

BAD_INPUT = 2
UNDERCUT = 3


@contextmanager
def one_sentence_on_bad_input() -> Iterator[None]:
    """Turn a :class:`SegQualityError`, or a missing permission, into its sentence and exit status 2."""
    try:
        yield
    except SegQualityError as error:
        Console(stderr=True, soft_wrap=True, emoji=False).print(
            f"Error: {printable(str(error))}", style="red", markup=False, highlight=False
        )
        raise typer.Exit(BAD_INPUT) from None
    except PermissionError as error:  # Path.is_file and its like raise where a folder above is forbidden
        typer.echo(f"Error: {printable(str(error.filename))} may not be read: ask for the permission.", err=True)
        raise typer.Exit(BAD_INPUT) from None
