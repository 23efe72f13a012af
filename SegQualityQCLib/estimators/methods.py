"""Which method assesses a case: the one that was asked for, or the best that the case can feed."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from ..bundles.bundle import ModelBundle
from ..case.case import Case, CaseInput
from ..errors import InputError
from .built_in import built_in_bundle
from .registry import FAMILIES, family_of
from .selection import ModelSelection

_ENOUGH_SAMPLES = 2


class Method(str, Enum):
    """What a user may ask for."""

    AUTO = "auto"
    NETWORKS = "networks"
    AGREEMENT = "agreement"
    PROBABILITIES = "probabilities"

    def __str__(self) -> str:
        return str(self.value)


class Choice(NamedTuple):
    """The model that assesses a case.

    Attributes:
        bundle: The model.
        reason: Why this one, as the rest of a sentence.
    """

    bundle: ModelBundle
    reason: str


def choose(selection: ModelSelection, case: Case, model: str | None = None, method: Method = Method.AUTO) -> Choice:
    """The model for a case.

    Without a wish: a network that knows the structure, since its numbers are a predicted Dice with an interval; else
    the agreement with two samples or more; else the probabilities; else the default network.

    Args:
        selection: The models that there are.
        case: The case.
        model: Name or folder of the model that was asked for.
        method: The method that was asked for.

    Raises:
        InputError: The model is not of this method, or the case lacks what the method needs.
        BundleError: The model is missing or damaged.
    """
    if model is not None:
        bundle = selection.bundle(model)
        its_own = family_of(bundle).method
        if method not in (Method.AUTO, its_own):
            raise InputError(
                f"The model {bundle.name} is of the method {its_own}, not {method}: leave the method out, or name "
                "another model."
            )
        return Choice(bundle, "its model was named")
    if method in (Method.AGREEMENT, Method.PROBABILITIES):
        return Choice(_without_training(method, case), "it was asked for")
    bundle, knows = selection.best(case.structure_name, case.terminology_code, case.inputs)
    if knows or method is Method.NETWORKS:
        return Choice(bundle, f"the model {bundle.name} knows the structure" if knows else "it was asked for")
    unknown = f"no model knows {case.structure_name!r}"
    if len(case.samples) >= _ENOUGH_SAMPLES:
        return Choice(built_in_bundle(Method.AGREEMENT.value), f"{unknown}, and there are {len(case.samples)} samples")
    if case.probabilities is not None:
        return Choice(built_in_bundle(Method.PROBABILITIES.value), f"{unknown}, and there are probabilities")
    if case.samples:  # the sentence of the agreement says how many are needed
        return Choice(built_in_bundle(Method.AGREEMENT.value), f"{unknown}, and there is a sample")
    return Choice(bundle, unknown)


def _without_training(method: Method, case: Case) -> ModelBundle:
    lacking = sorted(need.value for need in FAMILIES[method.value].requires - case.inputs)
    if CaseInput.SAMPLES.value in lacking or CaseInput.PROBABILITIES.value in lacking:
        raise InputError(
            f"The method {method} needs {' and '.join(lacking)} of {case.segment} in {case.segmentation_name}: give "
            f"--{lacking[0]}, or in a manifest the column {lacking[0]}."
        )
    return built_in_bundle(method.value)
