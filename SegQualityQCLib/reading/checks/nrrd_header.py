"""The header of an NRRD file, checked before ITK parses it: on some damaged ones ITK writes past its buffers."""

from __future__ import annotations

from pathlib import Path

from ...errors import InputError

_FIELDS = {
    *("content", "number", "type", "block size", "blocksize", "dimension", "space", "space dimension", "sizes"),
    *("spacings", "thicknesses", "axis mins", "axismins", "axis maxs", "axismaxs", "centers", "centerings", "labels"),
    *("units", "kinds", "old min", "oldmin", "old max", "oldmax", "min", "max", "endian", "encoding", "data file"),
    *("datafile", "line skip", "lineskip", "byte skip", "byteskip", "sample units", "sampleunits", "space units"),
    *("space origin", "space directions", "measurement frame"),
}
_LONGEST_FIELD = 500  # the axes of 16 dimensions with all their digits
LONGEST_HEADER = 16 * 2**20  # segments with their colours and codes need a thousandth of it


def check_nrrd_header(path: Path) -> None:
    """Check the fields of a file that begins as NRRD; of another file nothing is checked.

    Raises:
        InputError: A field is unknown, too long or repeated, a key is too long, a line is broken, or the header does
            not end.
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        if file.read(4) != b"NRRD":
            return
        file.readline(_LONGEST_FIELD)
        seen: set[str] = set()
        while (line := file.readline(LONGEST_HEADER)).strip(b"\r\n"):
            if file.tell() > LONGEST_HEADER:
                raise InputError(f"The header of {path.name} does not end: the file is damaged.")
            if b"\r" in line.removesuffix(b"\n").removesuffix(b"\r"):  # ITK takes it for the end of a line
                raise InputError(f"The header of {path.name} is damaged: a line has a carriage return inside.")
            key, colon, value = line.partition(b":")
            if line.startswith(b"#") or (value.startswith(b"=") and len(key) <= _LONGEST_FIELD):
                continue
            name = key.decode("latin-1").strip().lower()
            if not colon or name not in _FIELDS or name in seen or len(line) > _LONGEST_FIELD:
                raise InputError(f"The header of {path.name} is damaged: the field {name[:40]!r} is not as it must be.")
            seen.add(name)
            if name in ("data file", "datafile") and value.strip().startswith(b"LIST"):
                return  # file names follow
