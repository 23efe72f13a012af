"""One case of a cohort, scored: what runs inside a Dask worker."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from functools import cache
from typing import Any

import SimpleITK as sitk

from ..errors import SegQualityError
from ..estimators.loading import EstimatorCache
from ..estimators.methods import Method
from ..reading.cases import read_cases
from ..reading.patterns import listed_files
from .case_result import CaseResult, request_of
from .manifest import CohortCase
from .pictures import case_pictures

# Two threads of a worker read and resample ahead of each other, but the networks run for one case at a time: they fill
# a core by themselves, and two would only double the memory.
_networks = threading.Lock()


@dataclass(frozen=True)
class ScoringOptions:
    """What holds for all cases.

    Attributes:
        model: Name or folder of the model; ``None`` takes for each segment the one that fits it.
        device: See :func:`SegQualityQCLib.estimators.loading.load_estimator`.
        method: See :func:`SegQualityQCLib.estimators.methods.choose`.
    """

    model: str | None = None
    device: str = "auto"
    method: Method = Method.AUTO


@dataclass(frozen=True)
class Scored:
    """A scored case: its result, and its pictures as JSON types, one entry a report."""

    result: CaseResult
    pictures: list[dict[str, Any]]


def score_case(case: CohortCase, options: ScoringOptions) -> Scored:
    """Read, assess and draw a case. Whatever is wrong with it becomes the result's error: nothing is raised."""
    start = time.perf_counter()
    request = request_of(case, options.model, options.method.value)
    try:
        reports, pictures = _assess(case, options)
        error = None
    except SegQualityError as problem:
        reports, pictures, error = [], [], str(problem)
    except Exception as problem:  # one bad case must not stop a thousand others
        reports, pictures = [], []
        error = f"It was not scored because of an unexpected error: {type(problem).__name__}: {str(problem)[:200]}"
    seconds = round(time.perf_counter() - start, 3)
    return Scored(CaseResult(case.name, request, tuple(reports), error, seconds), pictures)


def _assess(case: CohortCase, options: ScoringOptions) -> tuple[list, list]:
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)  # the workers share the cores among themselves
    reports, pictures = [], []
    structures = {int(label): name for label, name in case.structures.items()}
    read = read_cases(
        case.image,
        case.segmentation,
        label=case.label,
        segment=case.segment,
        structures=structures,
        samples=[file for sample in case.samples for file in listed_files(str(sample))],
        probabilities=case.probabilities,
        frame=case.frame,
    )
    for one in read:
        with _networks:
            _one_thread_for_networks()
            estimators, model = _estimators(options.device), case.model or options.model
            one = estimators.as_told(one, model, alone=len(read) == 1)
            report = estimators.chosen(one, model, options.method)[0].assess(one)
        reports.append(report)
        pictures.append(case_pictures(one, report))
    return reports, pictures


def _one_thread_for_networks() -> None:
    """The workers share the cores among themselves; the setting holds for the calling thread."""
    try:
        import torch
    except ImportError:
        return  # a family that runs no networks does without
    torch.set_num_threads(1)


@cache
def _estimators(device: str) -> EstimatorCache:
    """The models of this process, loaded once."""
    return EstimatorCache(device=device)
