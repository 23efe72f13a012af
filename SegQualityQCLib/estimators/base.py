"""The one interface of every family of methods that estimates quality."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, Generic, TypeVar

import SimpleITK as sitk

from ..bundles.bundle import ModelBundle
from ..bundles.header import TrainedTarget
from ..case.case import Case, CaseInput
from ..errors import InputError
from ..report.codes import CaseFlag, Measure
from ..report.report import ModelIdentity, QualityReport, SliceScore
from .report_building import build_report
from .slice_rules import SliceEstimate, SliceRules, VolumeEstimate

Prepared = TypeVar("Prepared")


class MapKind(str, Enum):
    """What a map shows of each pixel."""

    DIFFERENCE = "difference"
    """How much the image differs from what the model expects under the mask, in [0, 2]."""
    DISAGREEMENT = "disagreement"
    """The share of the samples that differ from the candidate, in [0, 1]."""
    ENTROPY = "entropy"
    """The entropy of the probability in bits, in [0, 1]."""


@dataclass(frozen=True)
class AssessmentStep:
    """One step of an assessment: slices done, slices in all, and with the last step the report."""

    done: int
    total: int
    report: QualityReport | None = None


class Estimator(ABC, Generic[Prepared]):
    """Estimates the quality of a candidate segmentation without a reference.

    A family implements :meth:`prepare`, :meth:`estimate` and :meth:`parameters`; the rules that hold for all families
    are applied here. The registry names all families.

    Args:
        bundle: The model, checked.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``; a family that runs no networks has no use for it.

    Attributes:
        requires: What a case must hold.
        gives: The maps that :meth:`maps` makes.
        bundle: The model.
    """

    requires: ClassVar[frozenset[CaseInput]]
    gives: ClassVar[frozenset[MapKind]] = frozenset()
    bundle: ModelBundle

    def __init__(self, bundle: ModelBundle, device: str = "auto") -> None:
        self.bundle = bundle

    @property
    def identity(self) -> ModelIdentity:
        """Which model this is, as reports name it."""
        return ModelIdentity(self.bundle.name, self.bundle.version, self.bundle.sha256)

    @property
    def targets(self) -> tuple[TrainedTarget, ...]:
        """The structures that the model knows; none where it judges any structure and is not calibrated for one."""
        return self.bundle.header.targets

    @property
    def measure(self) -> Measure:
        """What its numbers are."""
        return Measure.PREDICTED_DICE

    @property
    def flags(self) -> tuple[str, ...]:
        """What reports say of the estimator itself, for example that the GPU ran out of memory."""
        return ()

    @abstractmethod
    def prepare(self, case: Case, parameters: Mapping[str, Any] | None = None) -> Prepared:
        """Work out what depends on the image and not on the mask, so that scoring again after an edit is cheap.

        Args:
            case: The case.
            parameters: Those of an earlier report of the case, to score it in the same way; ``None`` chooses them.

        Raises:
            InputError: The case cannot be assessed, or the parameters are not those of this family.
        """

    @abstractmethod
    def estimate(
        self, prepared: Prepared, case: Case, slices: Sequence[int], target: TrainedTarget | None
    ) -> list[SliceEstimate]:
        """Estimate drawn slices.

        Args:
            prepared: What :meth:`prepare` gave for the case, or for the case before an edit of its mask.
            case: The case as it is drawn now.
            slices: Indices of slices on which something is drawn, ascending.
            target: Which of the model's structures the mask is taken for; ``None`` of a model that knows none.

        Returns:
            One estimate for each, in their order.
        """

    def estimate_volume(self, prepared: Prepared, case: Case) -> VolumeEstimate | None:
        """Estimate the whole volume; ``None``, as in most families, takes its score from those of the slices.

        Args:
            prepared: As for :meth:`estimate`.
            case: The case as it is drawn now.
        """
        return None

    @abstractmethod
    def parameters(self, prepared: Prepared) -> dict[str, Any]:
        """What :meth:`prepare` needs to do the same again, as JSON types; reports keep it."""

    def maps(self, case: Case, report: QualityReport) -> dict[MapKind, sitk.Image]:
        """Evidence for each pixel: the maps named in :attr:`gives`, each on a grid of its own.

        Args:
            case: The case of the report.
            report: A report of this model.
        """
        return {}

    def assess(self, case: Case, *, batch_size: int = 8) -> QualityReport:
        """Assess a case.

        Args:
            case: Image and candidate mask.
            batch_size: Slices that are estimated together; bounds the memory, changes no score.

        Raises:
            InputError: The case cannot be assessed.
        """
        *_, last = self.iter_assess(case, batch_size=batch_size)
        if last.report is None:
            raise RuntimeError("an assessment ended without a report")
        return last.report

    def iter_assess(self, case: Case, *, batch_size: int = 8) -> Iterator[AssessmentStep]:
        """Assess a case in short steps, so that a caller can show progress and stop; the last step has the report.

        Raises:
            InputError: The case cannot be assessed.
        """
        if batch_size < 1:
            raise InputError(f"The batch size {batch_size} is too small: use 1 or more.")
        self._check_inputs(case)
        prepared = self.prepare(case)
        matched = self._target_of(case)
        target = matched or self._first_target()
        rules = self._rules(case, target)
        scores: list[SliceScore] = []
        for first in range(0, case.n_slices, batch_size):
            scores += self._scores(prepared, case, rules, range(first, min(first + batch_size, case.n_slices)), target)
            done = len(scores)
            report = None
            if done == case.n_slices:
                report = self._report(case, scores, prepared, target, matched is target)
            yield AssessmentStep(done, case.n_slices, report)

    def rescore(
        self, case: Case, report: QualityReport, slices: Iterable[int], prepared: Prepared | None = None
    ) -> QualityReport:
        """Score the slices of an edited case that changed, and set anew what their neighbours' status depends on.

        Args:
            case: The case as it is now.
            report: The report before the edit.
            slices: Indices of the slices that changed; the others keep their scores.
            prepared: What :meth:`prepare` gave for this image and the report's parameters, where it was kept.

        Raises:
            InputError: The report was made by another model or of another image.
        """
        changed = sorted(set(slices))
        if report.model.sha256 != self.bundle.sha256 or report.case.slices != case.n_slices:
            raise InputError("The report was made by another model or of another image: assess the case again.")
        wrong = [index for index in changed if not 0 <= index < case.n_slices]
        if wrong:
            raise InputError(f"There is no slice {wrong[0]}: the case has {case.n_slices} slices.")
        self._check_inputs(case)
        if prepared is None:
            prepared = self.prepare(case, report.provenance.parameters)
        target = self._target_of_report(case, report)
        rules = self._rules(case, target)
        fresh = {score.index: score for score in self._scores(prepared, case, rules, changed, target)}
        scores = [
            fresh.get(score.index) or (score if rules.is_drawn(score.index) else rules.empty(score.index))
            for score in report.slices
        ]
        # What was known of the segment when the case was assessed, the scene's segment may not say.
        matched = CaseFlag.MODEL_UNMATCHED not in report.flags or self._target_of(case) is not None
        return self._report(case, scores, prepared, target, matched)

    def _check_inputs(self, case: Case) -> None:
        lacking = sorted(need.value for need in self.requires - case.inputs)
        if lacking:
            raise InputError(
                f"The model {self.bundle.name} needs {' and '.join(lacking)}, which the case {case.segmentation_name} "
                "does not have: give them, or choose another model."
            )

    def _target_of(self, case: Case) -> TrainedTarget | None:
        return self.bundle.target_for(case.terminology_code, case.structure_name)

    def _first_target(self) -> TrainedTarget | None:
        """What stands in for a segment that is not known; ``None`` where the model judges any structure."""
        return self.targets[0] if self.targets else None

    def _rules(self, case: Case, target: TrainedTarget | None) -> SliceRules:
        return SliceRules(case, None if target is None else target.calibration.slice)

    def _target_of_report(self, case: Case, report: QualityReport) -> TrainedTarget | None:
        """The structure that a report was made for, which the scene's segment may not say."""
        name = report.provenance.parameters.get("target")
        named = next((target for target in self.targets if target.structure.name == name), None)
        return named or self._target_of(case) or self._first_target()

    def _scores(
        self, prepared: Prepared, case: Case, rules: SliceRules, slices: Sequence[int], target: TrainedTarget | None
    ) -> list[SliceScore]:
        drawn = [index for index in slices if rules.is_drawn(index)]
        estimates = dict(zip(drawn, self.estimate(prepared, case, drawn, target) if drawn else [], strict=True))
        return [rules.scored(i, estimates[i]) if i in estimates else rules.empty(i) for i in slices]

    def _report(
        self, case: Case, scores: Sequence[SliceScore], prepared: Prepared, target: TrainedTarget | None, matched: bool
    ) -> QualityReport:
        parameters = {"estimator": self.bundle.header.family, **self.parameters(prepared)}
        if target is not None and len(self.targets) > 1:
            parameters["target"] = target.structure.name
        return build_report(
            case,
            scores,
            model=self.identity,
            calibration=None if target is None else target.calibration,
            matched=matched,
            parameters=parameters,
            flags=self.flags,
            measure=self.measure,
            volume=self.estimate_volume(prepared, case),
        )
