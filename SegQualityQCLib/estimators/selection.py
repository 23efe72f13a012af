"""Which model assesses a case; each is loaded once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from ..bundles.bundle import ModelBundle
from ..bundles.catalogue import bundle_for_segment, bundle_with_checksum
from ..case.case import Case
from ..case.checks import is_name_of_label
from ..errors import InputError
from ..report.report import ModelIdentity
from .base import Estimator
from .loading import load_estimator


class EstimatorChoice:
    """The estimators of many cases: one model for all, or for each the one that fits its segment; each loaded once.

    Args:
        model: Name of a bundled model or a bundle's folder; ``None`` chooses by the segment.
        device: See :func:`load_estimator`.
    """

    def __init__(self, model: str | None = None, device: str = "auto") -> None:
        self.model = model
        self.device = device
        self._loaded: dict[str, Estimator] = {}
        self._bundles: dict[tuple[str, str | None], ModelBundle] = {}

    def for_case(self, case: Case) -> Estimator:
        """The estimator for a case.

        Raises:
            BundleError: Its model is missing or damaged.
            InputError: The device is unknown or absent.
        """
        chosen: str | ModelBundle
        if self.model is not None:
            chosen, key = self.model, self.model
        else:
            chosen = self._bundle_for(case)
            key = chosen.sha256
        if key not in self._loaded:
            self._loaded[key] = load_estimator(chosen, self.device)
        return self._loaded[key]

    def as_told(self, case: Case, *, alone: bool) -> Case:
        """The case with what the user said of it by naming a model: the one segment meant, if nothing else says what it
        is, is what that model was trained on.

        Args:
            case: The case.
            alone: Whether it is the only segment, by choice or since the file has no other.
        """
        named = case.terminology_code or not is_name_of_label(case.segment)
        if self.model is None or named or not alone:
            return case
        if case.structure and self._bundle_for(case).target.matches(None, case.structure):
            return case  # a word that no model goes by says nothing against it
        return replace(case, structure=self.for_case(case).bundle.target.name)

    def _bundle_for(self, case: Case) -> ModelBundle:
        wanted = (case.structure_name, case.terminology_code)
        if wanted not in self._bundles:
            self._bundles[wanted], _ = bundle_for_segment(*wanted)
        return self._bundles[wanted]


@dataclass
class EstimatorCache:
    """Estimators by bundle folder: loading the networks takes longer than assessing with them."""

    _estimators: dict[tuple[str, float], Estimator] = field(default_factory=dict)

    def get(self, folder: Path) -> Estimator:
        """The estimator of a bundle; loaded anew when its metadata changed on disk."""
        key = (str(folder), (folder / "configs" / "metadata.json").stat().st_mtime)
        if key not in self._estimators:
            self._estimators[key] = load_estimator(folder)
        return self._estimators[key]

    def of_model(self, model: ModelIdentity, model_folders: tuple[str, ...]) -> Estimator:
        """The estimator that a report was made with.

        Raises:
            InputError: The model, or this version of it, is no longer here.
        """
        for estimator in self._estimators.values():
            if estimator.bundle.sha256 == model.sha256:
                return estimator
        folder = bundle_with_checksum(model.sha256, model_folders)
        if folder is None:
            raise InputError(f"The model {model.name} {model.version} of these results is not here: assess again.")
        return self.get(folder)
