"""An assessment of MRML nodes in short steps; the scene is written once, at the end, or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..bundle import ModelBundle, available_bundles, bundle_for_segment, bundle_with_checksum, find_bundle
from ..case import Case
from ..errors import InputError, ReportError
from ..estimator import Estimator, load_estimator
from ..report import ModelIdentity, QualityReport
from .cases import case_of, segment_ids, slice_checksums, terminology_code
from .originals import keep_original
from .overlays import write_difference, write_overlay, write_surfaces
from .plots import write_chart
from .references import ROLES, TABLE, existing_node, remove_nodes
from .reviews import Reviews
from .tables import Results, read_results, write_results


@dataclass(frozen=True)
class Request:
    """What to assess.

    Attributes:
        volume_node: Scalar volume node.
        segmentation_node: Segmentation node.
        segment_ids: Identifiers; ``None`` takes all segments that are drawn.
        model: Name or folder of a bundle; ``None`` takes the one that fits each segment.
        axis: Slice axis ``"i"``, ``"j"`` or ``"k"``; ``None`` takes that of the largest spacing.
        threshold: Predicted Dice below which a slice is low, drawn as a line in the chart.
        difference: Whether to write the difference image of the first segment.
        model_folders: Further folders with bundles.
    """

    volume_node: Any
    segmentation_node: Any
    segment_ids: Sequence[str] | None = None
    model: str | None = None
    axis: str | None = None
    threshold: float = 0.7
    difference: bool = False
    model_folders: tuple[str, ...] = ()


@dataclass(frozen=True)
class Progress:
    """Work done in [0, 1] and what is being done; the last step has the reports and, as text, what to know of them."""

    fraction: float
    text: str
    reports: dict[str, QualityReport] | None = None


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


def iter_assess(request: Request, estimators: EstimatorCache, *, batch_size: int = 2) -> Iterator[Progress]:
    """Assess in steps that each take a fraction of a second; dropping the iterator leaves the scene untouched.

    Raises:
        InputError: The input cannot be assessed.
        BundleError: The model cannot be used.
    """
    cases = {}
    for key in _chosen_segments(request):
        cases[key] = case_of(request.volume_node, request.segmentation_node, key, axis=request.axis)
        yield Progress(0.0, f"Reading {cases[key].segment}")
    reports: dict[str, QualityReport] = {}
    difference, note = None, ""
    for done, (key, case) in enumerate(cases.items()):
        estimator = estimators.get(_bundle_folder(request, case))
        yield Progress(done / len(cases), f"Assessing {case.segment}")
        for step in estimator.iter_assess(case, batch_size=batch_size):
            fraction = (done + step.done / step.total) / len(cases)
            yield Progress(0.95 * fraction, f"Assessing {case.segment}: slice {step.done} of {step.total}")
            if step.report is not None:
                reports[key] = step.report
        if request.difference and difference is None:
            if hasattr(estimator, "difference_image"):
                yield Progress(0.95 * (done + 1) / len(cases), "Computing the difference image")
                difference, note = estimator.difference_image(case, reports[key]), ""
            else:
                note = f"The model {estimator.bundle.name} makes no difference image."
    check_nodes(request)
    # In one step, so that a cancel finds all or none of it.
    write_assessment(request.segmentation_node, request.volume_node, cases, reports, request.threshold, difference)
    yield Progress(1.0, note, reports)


def check_nodes(request: Request) -> None:
    """Raise an :class:`InputError` if a node of the request is missing or has left the scene."""
    for node, kind in ((request.volume_node, "volume"), (request.segmentation_node, "segmentation")):
        if node is None:
            raise InputError(f"No {kind} is chosen: load one, or choose it in the panel.")
        if node.GetScene() is None:
            raise InputError(f"The {kind} was removed from the scene: choose another one.")


def remove_results(segmentation_node: Any) -> None:
    """Remove everything that assessments of this segmentation wrote into the scene."""
    for role in ROLES:
        remove_nodes(segmentation_node, role)


def _chosen_segments(request: Request) -> list[str]:
    check_nodes(request)
    name = request.segmentation_node.GetName()
    present = segment_ids(request.segmentation_node)
    if not present:
        raise InputError(f"The segmentation {name} has no segments: draw or import one first.")
    if request.segment_ids is None:
        return present
    chosen = list(request.segment_ids)
    if not chosen:
        raise InputError("No segment is chosen: tick at least one.")
    for key in chosen:
        if key not in present:
            raise InputError(f"The segmentation {name} has no segment {key}.")
    return chosen


def _bundle_folder(request: Request, case: Case) -> Path:
    if request.model:
        return find_bundle(request.model)
    return _best_bundle(case.segment, case.terminology_code, request.model_folders)[0].folder


def _best_bundle(name: str, code: str | None, folders: tuple[str, ...]) -> tuple[ModelBundle, bool]:
    here = tuple(
        (str(folder), (folder / "configs" / "metadata.json").stat().st_mtime) for folder in available_bundles(folders)
    )
    return _best_of(name, code, folders, here)


@lru_cache(maxsize=64)  # checking the weights of all bundles takes longer than assessing
def _best_of(
    name: str, code: str | None, folders: tuple[str, ...], here: tuple[tuple[str, float], ...]
) -> tuple[ModelBundle, bool]:
    return bundle_for_segment(name, code, folders)


@lru_cache(maxsize=64)  # as above
def _checked_bundle(folder: Path, changed: float) -> ModelBundle:
    return ModelBundle.load(folder)


def model_fits(request: Request, segment_id: str) -> tuple[str, bool]:
    """Name of the model that a segment would be assessed with, and whether it was trained on that structure."""
    segment = request.segmentation_node.GetSegmentation().GetSegment(segment_id)
    code, name = terminology_code(segment), segment.GetName()
    if request.model:
        folder = find_bundle(request.model)
        bundle = _checked_bundle(folder, (folder / "configs" / "metadata.json").stat().st_mtime)
        return bundle.name, bundle.target.matches(code, name)
    bundle, fits = _best_bundle(name, code, request.model_folders)
    return bundle.name, fits


def write_assessment(
    segmentation_node: Any,
    volume_node: Any,
    cases: dict[str, Case],
    reports: dict[str, QualityReport],
    threshold: float,
    difference: Any = None,
) -> None:
    """Write reports, by segment identifier, with all that shows them into the scene; nothing stays after an error.

    Args:
        segmentation_node: The segmentation.
        volume_node: The volume.
        cases: The cases of the reports, as the segments are drawn.
        reports: The reports.
        threshold: Predicted Dice below which a slice is low, drawn as a line in the chart.
        difference: The difference image, where there is one.
    """
    first = existing_node(segmentation_node, TABLE) is None
    checksums = {key: slice_checksums(case) for key, case in cases.items()}
    reviews = Reviews() if first else _reviews_that_hold(segmentation_node, checksums)
    try:
        write_overlay(segmentation_node, volume_node, cases, reports)
        write_surfaces(segmentation_node, volume_node, cases, reports)
        if difference is not None:
            write_difference(segmentation_node, difference)
        write_chart(segmentation_node, reports, threshold)
        keep_original(segmentation_node)
        write_results(segmentation_node, volume_node, Results(reports, checksums, reviews=reviews))
    except Exception:
        if first:
            remove_results(segmentation_node)
        raise


def _reviews_that_hold(segmentation_node: Any, checksums: dict[str, list[int]]) -> Reviews:
    """The reviews of slices that are still drawn as they were when somebody reviewed them."""
    try:
        results = read_results(segmentation_node)
    except ReportError:
        return Reviews()
    held = {
        key: {
            index: review
            for index, review in entries.items()
            if index < len(checksums[key])
            and list(results.checksums.get(key, ()))[index : index + 1] == checksums[key][index : index + 1]
        }
        for key, entries in results.reviews.slices.items()
        if key in checksums
    }
    same = all(list(results.checksums.get(key, ())) == sums for key, sums in checksums.items())
    return Reviews(held, results.reviews.case if same else None)
