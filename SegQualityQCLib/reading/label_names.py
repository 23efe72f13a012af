"""What the values of a labelmap are, as the user or another file says it."""

from __future__ import annotations

import csv
import json
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from ..errors import InputError
from ..storage.safe_text import printable

_ITK_SNAP = re.compile(r'\s*(\d+)(?:\s+[\d.]+){6}\s+"(.*)"\s*')  # value, colour, visibility twice, name
_COLOUR_TABLE = re.compile(r"\s*(\d+)\s+(\S+)(?:\s+[\d.]+){3,4}\s*")  # value, name, colour
_GIVEN = re.compile(r"\s*(\d+)\s*=\s*(.*?)\s*")
_MOST_BYTES = 1 << 22
_HEADER_BYTES, _VOX_OFFSET, _MARK_BYTES = 348, 108, 4  # of a NIfTI-1 file


def read_label_names(given: str) -> dict[int, str]:
    """The names of labels, from a text or from a file that says them.

    Args:
        given: ``1=LV cavity,2=LV myocardium``, or a label description of ITK-SNAP, a colour table of 3D Slicer (text or
            CSV), or nnU-Net's ``dataset.json``.

    Returns:
        The name of each label; at least one.

    Raises:
        InputError: It is neither, or names a label twice.
    """
    path = Path(given)
    if "=" not in given or path.is_file():
        return names_in_file(path)
    names: dict[int, str] = {}
    for part in given.split(","):
        found = _GIVEN.fullmatch(part)
        if found is None or not found[2]:
            raise InputError(f"The labels {given!r} cannot be read at {part!r}: write 1=LV cavity,2=LV myocardium.")
        if names.setdefault(int(found[1]), printable(found[2])) != found[2]:
            raise InputError(f"The labels {given!r} name {found[1]} twice: give each label one name.")
    return names


def names_in_file(path: Path) -> dict[int, str]:
    """The names of labels that a file of another program gives; see :func:`read_label_names`.

    Raises:
        InputError: It is missing, or names no label in one of the known ways.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES).decode("utf-8-sig")
    except FileNotFoundError:
        raise InputError(
            f"The labels {path} are neither names, such as 1=LV cavity,2=LV myocardium, nor a file."
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(f"The label file {path} cannot be read: {str(error)[:120]}.") from error
    if text.lstrip().startswith("{"):
        found = names_in_dataset_json(text, path)
    else:
        found = {label: printable(name) for label, name in _lines(text) if name}
    if not found:
        raise InputError(
            f"The file {path} names no label: give a label description of ITK-SNAP, a colour table of 3D Slicer, or "
            "nnU-Net's dataset.json."
        )
    return found


def names_in_dataset_json(text: str, path: Path) -> dict[int, str]:
    """The labels of nnU-Net's ``dataset.json``; nothing where it is something else.

    Up to nnU-Net's first version the value came before the name. A region, which has a list of labels, is left out.

    Raises:
        InputError: It is not JSON.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"The file {path}, which names the labels, cannot be read: {str(error)[:120]}.") from error
    labels = content.get("labels") if isinstance(content, dict) else None
    found = {}
    for key, value in labels.items() if isinstance(labels, dict) else ():
        label, name = (key, value) if key.isdecimal() else (value, key)
        if type(label) in (int, str) and str(label).isdecimal() and isinstance(name, str) and name.isprintable():
            found[int(label)] = name
    return found


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """The labels of a label description of ITK-SNAP, or of a colour table of 3D Slicer as text or CSV."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if lines and {"LabelValue", "Name"} <= set(next(csv.reader(lines[:1]))):
        for row in csv.DictReader(lines):
            if str(row["LabelValue"]).strip().isdecimal():
                yield int(row["LabelValue"]), str(row["Name"] or "").strip()
        return
    for line in lines:
        if found := _ITK_SNAP.fullmatch(line):
            yield int(found[1]), found[2].strip()
        elif found := _COLOUR_TABLE.fullmatch(line):
            yield int(found[1]), found[2].replace("_", " ")


def names_in_nifti(path: Path) -> dict[int, str]:
    """The names of labels in the header extension of a NIfTI file, as TotalSegmentator and Connectome Workbench write.

    Returns:
        The name of each label; nothing where the file has no such extension.
    """
    from .checks.truncation import opened  # SimpleITK: worklists, which read names too, need the standard library alone

    try:
        with opened(path) as file:
            header = file.read(_HEADER_BYTES + _MARK_BYTES)
            order = "<" if header[:4] == struct.pack("<i", _HEADER_BYTES) else ">"
            end = int(struct.unpack_from(f"{order}f", header, _VOX_OFFSET)[0])
            has_more = header[_HEADER_BYTES : _HEADER_BYTES + 1] == b"\1" and end < _MOST_BYTES
            extension = file.read(end - len(header)) if has_more and end > len(header) else b""
    except (OSError, EOFError, ValueError, struct.error, OverflowError):
        return {}
    begin, finish = extension.find(b"<CaretExtension"), extension.rfind(b"</CaretExtension>")
    if begin < 0 or finish < begin or b"<!ENTITY" in extension:
        return {}
    try:
        tree = ElementTree.fromstring(extension[begin : finish + len(b"</CaretExtension>")])
    except (ElementTree.ParseError, ValueError):
        return {}
    labels = ((one.get("Key", ""), (one.text or "").strip()) for one in tree.iter("Label"))
    return {int(key): printable(name) for key, name in labels if key.isdecimal() and name}
