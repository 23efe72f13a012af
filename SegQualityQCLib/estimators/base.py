"""The one interface of every method that estimates quality, and how to get one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..bundles.bundle import ModelBundle
from ..case.case import Case
from ..report.report import QualityReport


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
