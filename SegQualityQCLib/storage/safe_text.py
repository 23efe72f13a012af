"""Texts from files, made safe for spreadsheets and terminals."""

from __future__ import annotations

import re

# A cell that starts like this is a formula. Some spreadsheets also start a cell after a semicolon, a tab or a line end.
_FORMULA = re.compile(r"""(^|[;\t\r\n]["' ]*)(?=[=+\-@\t\r＝＋－＠])""")


def spreadsheet_safe(cell: str) -> str:
    """The text of a cell, changed so that no spreadsheet runs a part of it as a formula (OWASP: CSV injection)."""
    return _FORMULA.sub(r"\1'", cell)


def printable(text: str) -> str:
    """A name from a file on one line, without characters that control a terminal or reverse the reading direction."""
    return "".join(character if character.isprintable() else " " for character in text)
