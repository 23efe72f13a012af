"""What a bundle says of the data that it was trained on: where they are from, what they cannot tell, whose licence."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..data.patients import data_root, nnunet_description
from ..study.configuration import DataSource


@dataclass(frozen=True)
class Provenance:
    """Texts for the model card, the metadata and the licence file of a bundle.

    Attributes:
        images: What the images are, as in "the liver in ...".
        data: Which data, by whom, and how the patients were split, in a sentence.
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
    limits="One hospital's scanners (1.5 T and 3 T, cine-MRI); other sequences, views and organs\n"
    "are not what it was trained on, and the check that calls them unfamiliar is not perfect. Trained on adults with\n"
    "five groups of diagnosis.",
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
    """The provenance of models that are trained on these data; what ``dataset.json`` does not say is left open."""
    if source.layout == "acdc":
        return replace(_ACDC, data=f"{_ACDC.data}; {source.release}") if source.release else _ACDC
    said = nnunet_description(data_root(source))
    name = said.get("name") or "a data set without a name"
    known = [f"{name} in nnU-Net's layout", *(said[key] for key in ("description", "reference") if said.get(key))]
    licence = said.get("licence") or said.get("license") or "not stated"
    return Provenance(
        images=f"images of the modality {source.modality}",
        data="; ".join(known),
        limits="Images unlike these data are not what it was trained on, and the check that calls them\n"
        "unfamiliar is not perfect.",
        licence=licence,
        licence_text=f"The weights in this folder were trained on {name}, whose licence is: {licence}.\n"
        "Whoever passes them on has to see that it allows so.\n",
        authors="not stated",
    )
