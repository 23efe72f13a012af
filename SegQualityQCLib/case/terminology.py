"""Which structure a segment is: by SNOMED-CT code, or by name."""

from __future__ import annotations

from dataclasses import dataclass

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
        """Whether a segment with this SNOMED-CT code or, failing that, this name is the structure."""
        if code and code != _UNSPECIFIED_TISSUE:
            return code == self.snomed
        if not name:
            return False
        return _folded(name) in {_folded(known) for known in (self.name, *self.aliases)}


def _folded(name: str) -> str:
    """A name without case, spaces and punctuation."""
    return "".join(character for character in name.casefold() if character.isalnum())
