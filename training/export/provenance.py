"""The texts of a bundle about its training data: their source, their limits and their licence."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..data.patients import data_root, nnunet_description
from ..study.configuration import DataSource


@dataclass(frozen=True)
class Provenance:
    """Texts for the model card, the metadata and the licence file of a bundle.

    Attributes:
        images: The kind of image, as it follows "the liver in".
        data: Which data, by whom, and how the patients were split, in one sentence.
        limits: What the model was not trained on.
        licence: Of the weights: an SPDX identifier where there is one.
        licence_text: Content of the licence file.
        authors: Who made the model.
    """

    images: str
    data: str
    limits: str
    licence: str
    licence_text: str
    authors: str


_ACDC = Provenance(
    images="short-axis cardiac cine-MRI",
    data="ACDC 2017 (Bernard et al., IEEE TMI 37(11), 2018), end-diastole and end-systole, stratified by diagnosis",
    limits="One hospital's scanners (1.5 T and 3 T, cine-MRI); it was not trained on other sequences,\n"
    "views and organs, and the distribution check, which calls such images unfamiliar, is not perfect. Trained on\n"
    "adults with five groups of diagnosis.",
    licence="CC-BY-NC-SA-4.0",
    licence_text="""\
The weights in this folder were trained on the ACDC data set (Bernard et al., IEEE TMI 37(11), 2018),
which is licensed under CC BY-NC-SA 4.0. They are given under the same licence, Creative Commons
Attribution-NonCommercial-ShareAlike 4.0 International (https://creativecommons.org/licenses/by-nc-sa/4.0/legalcode):
for non-commercial research only.
""",
    authors="The SegQualityQC developers",
)


def provenance_of(source: DataSource) -> Provenance:
    """The provenance of models that are trained on these data; a field that ``dataset.json`` lacks is "not stated"."""
    if source.layout == "acdc":
        return replace(_ACDC, data=f"{_ACDC.data}; {source.release}") if source.release else _ACDC
    said = nnunet_description(data_root(source))
    name = said.get("name") or "a data set without a name"
    known = [f"{name} in nnU-Net's layout", *(said[key] for key in ("description", "reference") if said.get(key))]
    licence = said.get("licence") or said.get("license") or "not stated"
    return Provenance(
        images=f"images of the modality {source.modality}",
        data="; ".join(known),
        limits="It was not trained on images unlike these data, and the distribution check, which calls such\n"
        "images unfamiliar, is not perfect.",
        licence=licence,
        licence_text=f"The weights in this folder were trained on {name}, whose licence is: {licence}.\n"
        "Before you pass them on, check that the licence allows it.\n",
        authors="not stated",
    )
