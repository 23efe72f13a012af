"""Calibration of the methods that need no training, on cases of the user's own that have a reference.

A monotone map takes the raw figure to Dice. The intervals are conformal: each case is predicted by a map that was
fitted without it, in five folds by case, and the residuals of these predictions are the offsets (Vovk,
"Cross-conformal predictors", Annals of Mathematics and Artificial Intelligence, 2015).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ..bundles.bundle import METADATA, ModelBundle
from ..bundles.header import BundleHeader, Evaluation, TrainedTarget
from ..case.case import Case
from ..case.terminology import Target
from ..errors import InputError, SegQualityError
from ..estimators.built_in import built_in_bundle
from ..estimators.loading import load_estimator
from ..estimators.methods import Method
from ..estimators.registry import FAMILIES
from ..reading.cases import read_cases
from ..reading.patterns import listed_files
from ..report.calibration import Calibration, fit_table
from ..report.monotone_map import MonotoneMap
from ..storage.atomic_files import replaced_folder, write_text_atomically
from .manifest import CohortCase

REFERENCE = "reference"
FEWEST_CASES = 20
"""Of fewer, the 5 % quantiles on either side are not known: ceil(0.95 (n + 1)) must be at most n."""

_FOLDS = 5
_TEMPERATURES = np.geomspace(0.25, 8, 51)
_VOXELS_A_CASE = 20_000
_NOT_CERTAIN = 1e-3  # of certain voxels the logit is not known


class Pairs(NamedTuple):
    """Raw figures with the true Dice, and which case each is of; of slices, or of volumes."""

    raw: NDArray[np.float64]
    true: NDArray[np.float64]
    case: NDArray[np.int64]


@dataclass(frozen=True)
class CalibrationResult:
    """What a calibration found.

    Attributes:
        header: The header of the bundle.
        left_out: Names of cases that could not be used, with the reason.
    """

    header: BundleHeader
    left_out: list[tuple[str, str]] = field(default_factory=list)


def calibrate(
    cases: Sequence[CohortCase],
    manifest: Path,
    method: Method,
    name: str,
    on_progress: Callable[[int], None] = lambda done: None,
) -> CalibrationResult:
    """Calibrate a method on cases with a reference.

    Args:
        cases: Of a manifest with the column ``reference``; paths in it are relative to the manifest.
        manifest: The manifest.
        method: ``agreement`` or ``probabilities``.
        name: Name of the model.
        on_progress: Called with the number of cases read so far.

    Raises:
        InputError: The method is trained elsewhere, a reference is not named, there are too few cases, or they are of
            several structures.
    """
    if method not in (Method.AGREEMENT, Method.PROBABILITIES):
        raise InputError(f"The method {method} cannot be calibrated here: use agreement or probabilities.")
    lacking = [case.name for case in cases if not case.extra.get(REFERENCE)]
    if lacking:
        raise InputError(
            f"The case {lacking[0]} of {manifest.name} has no {REFERENCE}: give each case one in the column "
            f"{REFERENCE}."
        )
    used: list[tuple[str, Case, sitk.Image]] = []
    left_out: list[tuple[str, str]] = []
    for done, case in enumerate(cases, start=1):
        try:
            used.append((case.name, *_with_reference(case, manifest.absolute().parent)))
        except SegQualityError as error:
            left_out.append((case.name, str(error)))
        on_progress(done)
    if len(used) < FEWEST_CASES:
        first = f" The first that cannot be used, {left_out[0][0]}: {left_out[0][1]}" if left_out else ""
        raise InputError(
            f"A calibration needs at least {FEWEST_CASES} cases with a reference, and {manifest.name} has {len(used)} "
            f"that can be used: add more.{first}"
        )
    structures = sorted({case.structure_name for _, case, _ in used})
    if len(structures) > 1:
        raise InputError(
            f"The cases of {manifest.name} are of {len(structures)} structures ({', '.join(structures[:5])}): "
            "calibrate each with a manifest of its own."
        )
    return CalibrationResult(_header(used, manifest, method, name), left_out)


def write_bundle(header: BundleHeader, folder: Path) -> None:
    """Write the bundle of a calibration, with its card; whole or not at all.

    Raises:
        InputError: The folder is there already.
        ReportError: It cannot be written.
    """
    check_is_new(folder)
    target = header.targets[0]
    figures = "\n".join(f"- {key}: {value:.3f}" for key, value in target.evaluation.figures.items())
    cases = "\n".join(f"- {name}" for name in header.block["cases"])
    head = f"# {header.name}\n\n{header.description}."
    card = f"{head}\n\n## {target.evaluation.test_set}\n\n{figures}\n\n## Cases\n\n{cases}\n"
    with replaced_folder(folder) as partial:
        for path in (partial / METADATA, partial / "docs" / "README.md"):
            path.parent.mkdir(parents=True)
        write_text_atomically(partial / METADATA, json.dumps(header.to_metadata(), indent=2) + "\n")
        write_text_atomically(partial / "docs" / "README.md", card)


def check_is_new(folder: Path) -> None:
    """Check that a bundle would replace nothing.

    Raises:
        InputError: The folder is there already.
    """
    if folder.exists():
        raise InputError(f"The folder {folder} is there already: write the bundle elsewhere, or remove it.")


def _with_reference(case: CohortCase, base: Path) -> tuple[Case, sitk.Image]:
    """A case and the mask of its reference on its grid."""
    choice: dict[str, Any] = {"label": case.label, "segment": case.segment}
    read = read_cases(
        case.image,
        case.segmentation,
        samples=[file for sample in case.samples for file in listed_files(str(sample))],
        probabilities=case.probabilities,
        **choice,
    )
    references = read_cases(case.image, base / case.extra[REFERENCE], **choice)
    if len(read) != 1 or len(references) != 1:
        raise InputError(
            f"The case {case.name} has {len(read)} segments and its reference {len(references)}: choose one with the "
            "column label or segment."
        )
    return read[0], references[0].mask


def _header(used: Sequence[tuple[str, Case, sitk.Image]], manifest: Path, method: Method, name: str) -> BundleHeader:
    names = [case_name for case_name, _, _ in used]
    temperature = _temperature(used) if method is Method.PROBABILITIES else 1.0
    slices, volumes = _pairs(used, method, temperature)
    predicted = [_out_of_fold(pairs) for pairs in (slices, volumes)]
    tables = [fit_table(values, pairs.true) for values, pairs in zip(predicted, (slices, volumes), strict=True)]
    settings: Any = FAMILIES[method.value].settings_class()
    block = settings(
        slice_map=MonotoneMap.fit(slices.raw, slices.true),
        volume_map=MonotoneMap.fit(volumes.raw, volumes.true),
        cases=tuple(names),
        temperature=temperature,
    ).to_block()
    figures = {"cases": float(len(used)), "slices": float(len(slices.raw))}
    figures |= _figures("", predicted[0], slices) | _figures("volume_", predicted[1], volumes)
    structure = used[0][1]
    target = TrainedTarget(
        Target(structure.structure_name, structure.terminology_code or "", ()),
        Calibration(*tables),
        Evaluation(f"the {len(used)} cases of {manifest.name}, each predicted without itself", figures),
    )
    text = f"{method} of {structure.structure_name}, calibrated on {len(used)} cases of {manifest.name}"
    return BundleHeader(name, "1.0", text, "not stated", method.value, (target,), {}, block)


def _pairs(used: Sequence[tuple[str, Case, sitk.Image]], method: Method, temperature: float) -> tuple[Pairs, Pairs]:
    """The raw figures of slices and volumes, with the true Dice."""
    bundle = built_in_bundle(method.value)
    header = replace(bundle.header, block={**bundle.header.block, "temperature": temperature})
    estimator = load_estimator(ModelBundle(bundle.folder, header, bundle.sha256), "cpu")
    slices: list[tuple[float, float, int]] = []
    volumes: list[tuple[float, float, int]] = []
    for number, (_, case, reference) in enumerate(used):
        report = estimator.assess(case)
        mask, true = (
            np.moveaxis(sitk.GetArrayViewFromImage(one), 2 - case.axis, 0) != 0 for one in (case.mask, reference)
        )
        for score in report.slices:
            if score.dice is not None:
                slices.append((score.dice, _dice(mask[score.index], true[score.index]), number))
        if report.volume.dice is not None:
            volumes.append((report.volume.dice, _dice(mask, true), number))
    return _as_pairs(slices), _as_pairs(volumes)


def _as_pairs(rows: Sequence[tuple[float, float, int]]) -> Pairs:
    raw, true, case = zip(*rows, strict=True)
    return Pairs(np.array(raw), np.array(true), np.array(case))


def _dice(mask: NDArray[np.bool_], true: NDArray[np.bool_]) -> float:
    return 2 * float(np.count_nonzero(mask & true)) / float(np.count_nonzero(mask) + np.count_nonzero(true))


def _out_of_fold(pairs: Pairs) -> NDArray[np.float64]:
    """The prediction of each figure by a map that was fitted on the cases of the other folds."""
    predicted = np.zeros_like(pairs.raw)
    for fold in range(_FOLDS):
        held = pairs.case % _FOLDS == fold
        fitted = MonotoneMap.fit(pairs.raw[~held], pairs.true[~held])
        predicted[held] = [fitted(value) for value in pairs.raw[held]]
    return predicted


def _figures(prefix: str, predicted: NDArray[np.float64], pairs: Pairs) -> dict[str, float]:
    """Error, correlation and coverage, each case predicted without itself; a correlation where there is one."""
    held_by: list[bool] = []
    for fold in range(_FOLDS):
        held = pairs.case % _FOLDS == fold
        table = fit_table(predicted[~held], pairs.true[~held])
        for value, true in zip(predicted[held], pairs.true[held], strict=True):
            low, high = table.interval(float(value))
            held_by.append(low <= true <= high)
    figures = {"mae": float(np.abs(predicted - pairs.true).mean()), "coverage": float(np.mean(held_by))}
    if predicted.std() > 0 and pairs.true.std() > 0:
        figures["r"] = float(np.corrcoef(predicted, pairs.true)[0, 1])
    return {prefix + key: value for key, value in figures.items()}


def _temperature(used: Sequence[tuple[str, Case, sitk.Image]]) -> float:
    """The temperature whose probabilities have the highest likelihood; 1 where all voxels are certain.

    Source: Guo, Pleiss, Sun, Weinberger, "On calibration of modern neural networks", ICML 2017.
    """
    rng = np.random.default_rng(0)
    logits, drawn = [], []
    for _, case, reference in used:
        if case.probabilities is None:
            continue
        values = sitk.GetArrayViewFromImage(case.probabilities).ravel()
        places = np.flatnonzero((values > _NOT_CERTAIN) & (values < 1 - _NOT_CERTAIN))
        places = rng.choice(places, min(len(places), _VOXELS_A_CASE), replace=False)
        chosen = values[places].astype(np.float64)
        logits.append(np.log(chosen / (1 - chosen)))
        drawn.append(sitk.GetArrayViewFromImage(reference).ravel()[places] != 0)
    all_logits = np.concatenate(logits) if logits else np.zeros(0)
    if not len(all_logits):
        return 1.0
    signed = np.where(np.concatenate(drawn), -all_logits, all_logits)
    losses = [float(np.logaddexp(0, signed / temperature).mean()) for temperature in _TEMPERATURES]
    return float(_TEMPERATURES[int(np.argmin(losses))])
