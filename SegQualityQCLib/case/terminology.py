"""Which structure a segment is: by SNOMED-CT code, or by name."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from .structure_names import AMBIGUOUS_NAMES, STRUCTURE_NAMES

_UNSPECIFIED_TISSUE = "85756007"  # Slicer gives it to every new segment


def snomed_code(scheme: str, code: str) -> str | None:
    """The SNOMED-CT code of a terminology entry; ``None`` where the entry is of another scheme.

    SRT, which older files have, gives the same structures other codes.
    """
    return code if scheme in ("SCT", "SNOMED-CT") else None


@dataclass(frozen=True)
class Target:
    """The structure a model was trained on.

    Attributes:
        name: Name in words, for example ``left ventricular myocardium``.
        snomed: SNOMED-CT code.
        aliases: Other names of segments of this structure.
    """

    name: str
    snomed: str
    aliases: tuple[str, ...]

    def matches(self, code: str | None, name: str | None) -> bool:
        """Whether a segment with this SNOMED-CT code or, failing that, this name is the structure.

        The names are the model's own, and those that data sets and programs give to structures of this code.
        """
        if says_something(code):
            return code == self.snomed
        if not name:
            return False
        return folded(name) in {folded(known) for known in (self.name, *self.aliases)} or (
            code_of_name(name) == self.snomed
        )


def says_something(code: str | None) -> bool:
    """Whether a code tells structures apart; 3D Slicer gives one that does not to every new segment."""
    return bool(code) and code != _UNSPECIFIED_TISSUE


def code_of_name(name: str) -> str | None:
    """The SNOMED-CT code of the structure that a name is known for; ``None`` for unknown and ambiguous names."""
    return _CODE_OF_NAME.get(folded(name))


def is_ambiguous(name: str) -> bool:
    """Whether a name means one structure in some data sets and another one in others, as ``LV`` does."""
    return folded(name) in _AMBIGUOUS


def contradict(code: str | None, name: str) -> bool:
    """Whether a segment's code and its name are known to be of two different structures."""
    named = code_of_name(name)
    return named is not None and code in STRUCTURE_NAMES and code != named


def folded(name: str) -> str:
    """A name without case, accents, spaces and punctuation."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold())
    return "".join(character for character in plain if character.isalnum())


_CODE_OF_NAME = {folded(name): code for code, names in STRUCTURE_NAMES.items() for name in names}
_AMBIGUOUS = {folded(name) for name in AMBIGUOUS_NAMES}
