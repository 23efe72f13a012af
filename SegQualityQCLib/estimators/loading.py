"""How to get the estimator of a model, and of the model that fits a case; each is loaded once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ..bundles.bundle import ModelBundle
from ..bundles.catalogue import find_bundle
from ..case.case import Case
from ..case.checks import is_name_of_label
from ..errors import InputError
from ..report.report import ModelIdentity
from .base import Estimator
from .built_in import built_in_with_checksum
from .methods import Method, choose
from .registry import family_of, settings_of
from .selection import ModelSelection

DEVICES = ("auto", "cpu", "cuda")


def check_device(device: str) -> None:
    """Check that a device can be used on this machine.

    Raises:
        InputError: It is unknown or absent.
    """
    if device not in DEVICES:
        raise InputError(f"The device {device!r} is not known: use one of {', '.join(DEVICES)}.")
    if device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise InputError("There is no CUDA device on this machine: use --device cpu.")


def load_estimator(model: str | Path | ModelBundle | None = None, device: str = "auto") -> Estimator:
    """The estimator of a model.

    Args:
        model: Name of a bundled model, a bundle's folder or a loaded bundle; ``None`` takes the best bundled model.
        device: ``"auto"`` (CUDA where there is one), ``"cpu"`` or ``"cuda"``.

    Raises:
        BundleError: The model is missing or damaged.
        InputError: The device is unknown or absent.
    """
    check_device(device)
    if model is None:
        bundle = ModelSelection().default()
    else:
        bundle = model if isinstance(model, ModelBundle) else ModelBundle.load(find_bundle(model))
    settings_of(bundle)
    return family_of(bundle).estimator_class()(bundle, device)


class EstimatorCache:
    """The estimators of many cases: of one model for all, or for each the one that fits its segment; each loaded once.

    Args:
        folders: The user's own folders of models.
        device: See :func:`load_estimator`.

    Attributes:
        selection: Which model fits a segment.
    """

    def __init__(self, folders: Iterable[str | Path] = (), device: str = "auto") -> None:
        self.selection = ModelSelection(folders)
        self.device = device
        self._loaded: dict[str, Estimator] = {}

    def chosen(self, case: Case, model: str | None = None, method: Method = Method.AUTO) -> tuple[Estimator, str]:
        """The estimator for a case, and why this one, see :func:`.methods.choose`.

        Raises:
            BundleError: Its model is missing or damaged.
            InputError: The model is not of the method, the case lacks what the method needs, or the device is absent.
        """
        choice = choose(self.selection, case, model, method)
        return self._of(choice.bundle), choice.reason

    def for_case(self, case: Case, model: str | None = None) -> Estimator:
        """The estimator for a case.

        Args:
            case: The case.
            model: Name of a bundled model or a bundle's folder; ``None`` chooses by the segment.

        Raises:
            BundleError: Its model is missing or damaged.
            InputError: The device is unknown or absent.
        """
        return self.chosen(case, model)[0]

    def for_report(self, model: ModelIdentity) -> Estimator:
        """The estimator that a report was made with.

        Raises:
            InputError: The model, or this version of it, is no longer here.
        """
        if model.sha256 in self._loaded:
            return self._loaded[model.sha256]
        bundle = built_in_with_checksum(model.sha256) or self.selection.with_checksum(model.sha256)
        if bundle is None:
            raise InputError(f"The model {model.name} {model.version} of these results is not here: assess again.")
        return self._of(bundle)

    def as_told(self, case: Case, model: str | None, *, alone: bool) -> Case:
        """The case with what the user said of it by naming a model: the one segment meant, if nothing else says what it
        is, is what that model was trained on.

        Args:
            case: The case.
            model: The model that was named; ``None`` if none was.
            alone: Whether it is the only segment, by choice or since the file has no other.
        """
        named = case.terminology_code or not is_name_of_label(case.segment)
        if model is None or named or not alone:
            return case
        if case.structure and self.selection.best(case.structure, inputs=case.inputs)[1]:
            return case  # a word that no model goes by says nothing against it
        bundle = self.selection.bundle(model)
        return replace(case, structure=bundle.target.name) if len(bundle.header.targets) == 1 else case

    def _of(self, bundle: ModelBundle) -> Estimator:
        if bundle.sha256 not in self._loaded:
            self._loaded[bundle.sha256] = load_estimator(bundle, self.device)
        return self._loaded[bundle.sha256]
