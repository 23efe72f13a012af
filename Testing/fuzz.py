"""Gives damaged and hostile files to every reader. A find is anything but success or a sentence for the user.

    python Testing/fuzz.py [--inputs 100000] [--seed 0] [--found FOLDER] [TARGET ...]

A find is written to the folder and its traceback is printed, once for each place in the code. After the fix, the input
goes to Testing/Python/fuzz_inputs/TARGET: test_fuzz.py tries it in each run.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import hashlib
import json
import random
import sqlite3
import sys
import tempfile
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fuzz_targets import TARGETS, Target

from SegQualityQCLib.errors import SegQualityError

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


def mutated(content: bytes, draw: random.Random) -> bytes:
    """A content damaged in one to four places: as JSON or as a database if it is one, else as bytes."""
    if content[:1] in (b"{", b"[") and draw.random() < 0.7:
        tree = json.loads(content)
        for _ in range(draw.randint(1, 3)):
            tree = _odd_value_in(tree, draw)
        return json.dumps(tree).encode("utf-8", "surrogatepass")
    if content.startswith(b"SQLite format 3") and draw.random() < 0.5:
        return _odd_cell_in(content, draw)
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


def complaint(target: Target, content: bytes) -> str | None:
    """The traceback if a content is neither read nor refused with a sentence."""
    try:
        target.read(content)
    except SegQualityError as error:
        return None if str(error) else "an error without a sentence"
    except Exception:
        return traceback.format_exc()
    return None


def fuzz(name: str, target: Target, inputs: int, seed: int, found: Path | None) -> int:
    """Try a number of inputs; returns the number of places in the code with a find."""
    draw = random.Random(f"{seed} {name}")
    places = set()
    current = None if found is None else found / f"{name}-current"
    if found is not None:
        found.mkdir(parents=True, exist_ok=True)
    for _ in range(inputs):
        content = mutated(draw.choice(target.sound), draw)
        if current is not None:  # kept for the case that the process dies
            current.write_bytes(content)
        said = complaint(target, content)
        place = (
            None
            if said is None
            else (said.splitlines()[-1][:40], *[line for line in said.splitlines() if "File" in line][-1:])
        )
        if place is None or place in places:
            continue
        places.add(place)
        print(said)
        if found is not None:
            (found / f"{name}-{hashlib.sha256(content).hexdigest()[:8]}").write_bytes(content)
    if current is not None:
        current.unlink(missing_ok=True)
    return len(places)


def main() -> None:
    """Try all targets, or those given; the exit status is 1 if there was a find."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--found", type=Path, default=Path("fuzz-found"))
    options = parser.parse_args()
    total = 0
    for name in options.targets or TARGETS:
        with tempfile.TemporaryDirectory() as folder:
            target = TARGETS[name](Path(folder))
            start = time.perf_counter()
            places = fuzz(name, target, options.inputs, options.seed, options.found)
        print(f"{name}: {options.inputs} inputs, {places} finds, {time.perf_counter() - start:.0f} s", flush=True)
        total += places
    sys.exit(1 if total else 0)


if __name__ == "__main__":
    main()
