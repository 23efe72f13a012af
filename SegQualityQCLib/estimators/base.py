"""The one interface of every method that estimates quality, and how to get one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..bundles.bundle import ModelBundle, bundle_for_segment, bundle_with_checksum, default_bundle, find_bundle
from ..case.case import Case, is_name_of_label
from ..errors import InputError
from ..report.report import ModelIdentity, QualityReport

DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True)
class AssessmentStep:
    """One step of an assessment: slices done, slices in all, and with the last step the report."""

    done: int
    total: int
    report: QualityReport | None = None


class Estimator(ABC):
    """Estimates the quality of a candidate segmentation without a reference.

    Attributes:
        requires: What a case must hold: some of ``image``, ``mask``, ``probabilities``, ``samples``, ``references``.
        bundle: The trained model.
    """

    requires: frozenset[str]
    bundle: ModelBundle

    @abstractmethod
    def iter_assess(self, case: Case, *, batch_size: int = 8) -> Iterator[AssessmentStep]:
        """Assess a case in short steps, so that a caller can show progress and stop; the last step has the report."""

    def assess(self, case: Case, *, batch_size: int = 8) -> QualityReport:
        """Assess a case.

        Args:
            case: Image and candidate mask.
            batch_size: Slices that go through the networks together; bounds the memory, changes no score.

        Raises:
            InputError: The case cannot be assessed.
        """
        report = None
        for step in self.iter_assess(case, batch_size=batch_size):
            report = step.report
        assert report is not None
        return report

    @abstractmethod
    def rescore(self, case: Case, report: QualityReport, slices: Iterable[int]) -> QualityReport:
        """Score some slices of an edited case again, with the window and intensities of an earlier report.

        Args:
            case: The case as it is now.
            report: The report before the edit.
            slices: Indices of the slices that changed; the others keep their scores.
        """


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
    import torch

    from .networks.network_estimator import DirectEstimator, RecRegEstimator

    check_device(device)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if model is None:
        bundle = default_bundle()
    elif isinstance(model, ModelBundle):
        bundle = model
    else:
        bundle = ModelBundle.load(find_bundle(model))
    kinds: dict[str, type[DirectEstimator]] = {"direct": DirectEstimator, "rec-reg": RecRegEstimator}
    kind = kinds[bundle.quality["estimator"]]
    try:
        estimator = kind(bundle, torch.device(device))
    except torch.cuda.OutOfMemoryError:  # others fill the GPU
        estimator = kind(bundle, torch.device("cpu"))
        estimator.short_of_memory = True
    estimator.try_out()
    return estimator


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
