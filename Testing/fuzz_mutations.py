"""Contents made wrong: values that nobody expects, in JSON, in databases, in DICOM and in plain bytes."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import random
import sqlite3
import warnings

import pydicom

ODD_VALUES = (
    *(None, True, False, 0, -1, 1, 2**63, -(2**63) - 1, 10**400, 0.5, -0.0, 1e308, float("nan"), float("inf")),
    *(
        "",
        "a",
        "\0",
        "\ud800",
        "é" * 300,
        "../..",
        "/",
        "=1",
        "scored",
        "k",
        [],
        [[]],
        [None],
        {},
        {"": None},
        {"a": 1},
    ),
)
TOKENS = (
    *(b"", b"\0", b"\n", b"\r", b'"', b",", b";", b"\t", b":=", b": ", b"-1", b"0", b"99999999999999999999", b"nan"),
    *(
        b"1e999",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"{",
        b"}",
        b"[",
        b"]",
        b"[" * 2000,
        b"../",
        b"=",
        b"null",
        b"~",
        b"^",
        b"|",
    ),
)
# For elements of DICOM, with any value representation.
ODD_ELEMENTS = (
    *("", "a", "0", "-1", "1e30", "nan", "inf", "1e-30", "99999999999", "1.2.3", "LABELMAP", "CLOSED_PLANAR"),
    *([], ["1"], ["1", "2"], ["0"] * 3, ["0"] * 6, ["1", "0", "0", "0", "1", "0"], ["1e9"] * 3, ["nan"] * 6),
    *(0, -1, 1, 2, 7, 255, 65535, 2**31 - 1, b"", b"\0\0", b"\xff" * 64),
)


def mutated(content: bytes, draw: random.Random) -> bytes:
    """A content damaged in one to four places: as JSON, DICOM or a database if it is one, else as bytes."""
    if content[:1] in (b"{", b"[") and draw.random() < 0.7:
        tree = json.loads(content)
        for _ in range(draw.randint(1, 3)):
            tree = _odd_value_in(tree, draw)
        return json.dumps(tree).encode("utf-8", "surrogatepass")
    if content.startswith(b"SQLite format 3") and draw.random() < 0.5:
        return _odd_cell_in(content, draw)
    if content[128:132] == b"DICM" and draw.random() < 0.6:
        return _odd_element_in(content, draw)
    for _ in range(draw.randint(1, 4)):
        first = draw.randrange(len(content) + 1)
        last = min(len(content), first + draw.choice((0, 0, 1, 1, 2, 8, 100, 10**9)))
        middle = draw.choice(
            (
                b"",
                draw.choice(TOKENS),
                draw.randbytes(draw.randint(1, 4)),
                content[first:last] * 2,
                str(draw.choice(ODD_VALUES)).encode("utf-8", "replace"),
            )
        )
        content = content[:first] + middle + content[last:]
    return content


def _odd_value_in(tree: object, draw: random.Random) -> object:
    """The tree with one entry, at any depth, replaced, removed or repeated."""
    if not isinstance(tree, (dict, list)) or not tree or draw.random() < 0.05:
        return copy.deepcopy(draw.choice(ODD_VALUES))
    key = draw.choice(list(tree)) if isinstance(tree, dict) else draw.randrange(len(tree))
    if draw.random() < 0.6:
        tree[key] = _odd_value_in(tree[key], draw)
    elif draw.random() < 0.5:
        del tree[key]
    elif isinstance(tree, list):
        tree.append(copy.deepcopy(tree[key]))
    else:
        tree[str(draw.choice(ODD_VALUES))] = copy.deepcopy(tree[key])
    return tree


def _odd_cell_in(content: bytes, draw: random.Random) -> bytes:
    db = sqlite3.connect(":memory:")
    db.deserialize(content)
    table = draw.choice(("cases", "sessions", "settings", "events"))
    column = draw.choice([row[1] for row in db.execute(f"PRAGMA table_info({table})")])
    value = draw.choice(
        (None, -1, 2**62, 1.5, float("inf"), "", "a", "\0", "/", "to do", "in progress", b"\xff", b"", "9" * 99)
    )
    with contextlib.suppress(sqlite3.Error):  # the table refuses the value
        db.execute(f"UPDATE OR IGNORE {table} SET {column} = ?", (value,))
    db.commit()
    try:
        return db.serialize()
    finally:
        db.close()


def _odd_element_in(content: bytes, draw: random.Random) -> bytes:
    """The file with one to three elements, at any depth, changed, removed, or taken from another place."""
    dataset = pydicom.dcmread(io.BytesIO(content))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(draw.randint(1, 3)):
            within = dataset
            while True:
                element = draw.choice(list(within)) if len(within) else None
                if element is None or element.VR != "SQ" or not element.value or draw.random() < 0.1:
                    break
                within = draw.choice(list(element.value))
            if element is None:
                continue
            how = draw.random()
            if how < 0.25:
                del within[element.tag]
            elif how < 0.4 and element.VR == "SQ":
                element.value.append(copy.deepcopy(element.value[0]) if element.value else pydicom.Dataset())
            else:
                with contextlib.suppress(Exception):  # pydicom refuses the value for its representation
                    within[element.tag].value = draw.choice(ODD_ELEMENTS)
        target = io.BytesIO()
        try:
            dataset.save_as(target)
        except Exception:  # nothing that pydicom writes
            return content[: draw.randrange(len(content))]
    return target.getvalue()
