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


_MNMS = Provenance(
    images="short-axis cardiac cine-MRI",
    data="M&Ms 2020 (Campello et al., IEEE TMI 40(12), 2021), end-diastole and end-systole",
    limits="It was not trained on other sequences, views and organs, and the distribution check, which calls such\n"
    "images unfamiliar, is not perfect.",
    licence="for research",
    licence_text="""\
The weights in this folder were trained on data of the M&Ms challenge (Campello et al., IEEE TMI 40(12), 2021), which
are given for research: cite the paper, and ask its organisers before any other use.
""",
    authors="The SegQualityQC developers",
)


def provenance_of(*sources: DataSource) -> Provenance:
    """The provenance of models that are trained on these data; a field that ``dataset.json`` lacks is "not stated"."""
    each = [_of_one(source) for source in sources]
    if len(each) == 1:
        return each[0]

    def joined(name: str, between: str) -> str:
        return between.join(dict.fromkeys(getattr(one, name) for one in each))

    return Provenance(
        images=joined("images", " and "),
        data=joined("data", "; and "),
        limits="It was not trained on images unlike these data, and the distribution check, which calls such\n"
        "images unfamiliar, is not perfect.",
        licence=joined("licence", "; "),
        licence_text=joined("licence_text", "\n"),
        authors=joined("authors", ", "),
    )


def _of_one(source: DataSource) -> Provenance:
    if source.layout == "mnms":
        return _MNMS
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
