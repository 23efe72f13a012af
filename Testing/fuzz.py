"""Gives damaged and hostile files to every reader. A find is anything but success or a sentence for the user.

    python Testing/fuzz.py [--inputs 100000] [--seed 0] [--found FOLDER] [TARGET ...]

A find is written to the folder and its traceback is printed, once for each place in the code. After the fix, the input
goes to Testing/Python/fuzz_inputs/TARGET: test_fuzz.py tries it in each run.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import tempfile
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "Python"))
sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fuzz_mutations import mutated
from fuzz_targets import TARGETS, Target

from SegQualityQCLib.errors import SegQualityError


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
