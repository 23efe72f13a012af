"""Texts from files, made safe for spreadsheets and terminals."""

from __future__ import annotations

import re

# A cell that starts so is a formula; so is what follows a semicolon, a tab or a line's end, where these part the cells.
_FORMULA = re.compile(r"""(^|[;\t\r\n]["' ]*)(?=[=+\-@\t\r＝＋－＠])""")


def spreadsheet_safe(cell: str) -> str:
    """The text of a cell such that no spreadsheet takes it, or a part of it, for a formula (OWASP: CSV injection)."""
    return _FORMULA.sub(r"\1'", cell)


def printable(text: str) -> str:
    """A name from a file on one line, without characters that steer a terminal or turn the reading direction."""
    return "".join(character if character.isprintable() else " " for character in text)
