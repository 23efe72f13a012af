"""Coded concepts of DICOM, as SNOMED-CT codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...case.terminology import snomed_code

if TYPE_CHECKING:
    from pydicom import Dataset


def snomed_code_of(coded: Dataset | None) -> str | None:
    """The SNOMED-CT code of a coded concept; ``None`` where it is of another scheme.

    The codes of SRT, which older files have, are translated by the table that the standard prints and pydicom holds.
    """
    from pydicom.sr.coding import snomed_mapping

    if coded is None:
        return None
    scheme, code = str(coded.get("CodingSchemeDesignator", "")), str(coded.get("CodeValue", ""))
    if scheme in ("SRT", "SNM3", "99SDM"):
        return snomed_mapping["SRT"].get(code)
    return snomed_code(scheme, code) if code else None
