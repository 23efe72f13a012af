"""``segquality assess``: score the slices of a segmentation on disk."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.console import Console
from rich.progress import Progress

from ..case.case import Case
from ..case.checks import is_name_of_label
from ..cohort.results import CohortFolder
from ..errors import InputError
from ..estimators.loading import DEVICES, EstimatorCache
from ..estimators.methods import Method
from ..estimators.registry import family_of
from ..reading.cases import read_cases
from ..reading.input_files import files_of
from ..reading.label_names import read_label_names
from ..reading.patterns import listed_files
from ..report.codes import CaseFlag
from ..report.csv_table import reports_to_csv
from ..report.report import QualityReport, reports_to_json
from ..report.wording import note, short_words
from ..storage.atomic_files import write_text_atomically
from ..storage.outputs import OutputGuard
from .failing import UNDERCUT, one_sentence_on_bad_input
from .report_table import print_report

# What the table and the line on the volume say already.
_IN_THE_TABLE = {CaseFlag.GAPS}
_NOT_ALL = {CaseFlag.PARTLY_SCORED, CaseFlag.SEGMENT_LEFT_OUT}

STANDARD_OUTPUT = Path("-")

Threshold = Annotated[float, typer.Option(min=0, max=1, help="Slices with a predicted Dice below this are called low.")]
Model = Annotated[
    Optional[str],  # noqa: UP045 - Typer reads the annotation at run time, on Python 3.10 too
    typer.Option(help="Name of a bundled model or the folder of one; by default the one that fits the segment."),
]
Labels = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        help="What the values of a labelmap are: '1=LV cavity,2=LV myocardium', or a file of ITK-SNAP, 3D Slicer or "
        "nnU-Net that says it."
    ),
]
MethodOption = Annotated[
    Method,
    typer.Option(
        "--method",
        help="By networks, by agreement with samples, or by probabilities; auto takes the best that the case can feed.",
    ),
]
Device = Annotated[str, typer.Option(help=f"Where the networks run: {', '.join(DEVICES)}.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]


def assess_command(
    image: Annotated[Path, typer.Argument(help="Image file, or a folder with a DICOM series.")],
    segmentation: Annotated[Path, typer.Argument(help="Labelmap, Slicer's .seg.nrrd, DICOM SEG or RTSTRUCT.")],
    label: Annotated[Optional[int], typer.Option(help="Label value of the segment to score.")] = None,  # noqa: UP045
    segment: Annotated[Optional[str], typer.Option(help="Name of the segment to score.")] = None,  # noqa: UP045
    frame: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=1, help="Which image of a cine or of a 4-D file, from 1."),
    ] = None,
    labels: Labels = None,
    model: Model = None,
    method: MethodOption = Method.AUTO,
    samples: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="Another segmentation of the image, or a quoted wildcard; may be given several times."),
    ] = None,
    probabilities: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Probabilities of a network: of the segment, or of all classes, also nnU-Net's .npz."),
    ] = None,
    axis: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Slice axis: i, j or k; by default that of the largest spacing."),
    ] = None,
    device: Device = "auto",
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the report here; - is standard output.")
    ] = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Write the slices here; - is standard output.")] = None,
    threshold: Threshold = 0.7,
    fail_below: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(
            min=0, max=1, help="Exit with 3 if a volume's predicted Dice is below this, or not all of it was scored."
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Score every slice of a segmentation, worst slice first."""
    with one_sentence_on_bad_input():
        sample_files = [file for text in samples or () for file in listed_files(text)]
        inputs = {"image": image, "segmentation": segmentation}
        inputs |= {f"sample {file.name}": file for file in sample_files if file.resolve() != segmentation.resolve()}
        inputs |= {} if probabilities is None else {"probability map": probabilities}
        outputs = {"--json": json_file, "--csv": csv_file}
        to_terminal = [option for option, target in outputs.items() if target == STANDARD_OUTPUT]
        if len(to_terminal) > 1:
            raise InputError("Standard output takes one of --json and --csv: name a file for the other.")
        _check_outputs(
            inputs, model, {option: target for option, target in outputs.items() if option not in to_terminal}
        )
        structures = None if labels is None else read_label_names(labels)
        cases = read_cases(
            image,
            segmentation,
            label=label,
            segment=segment,
            axis=axis,
            structures=structures,
            frame=frame,
            samples=sample_files,
            probabilities=probabilities,
        )
        reasons: list[str] = []
        reports = assess_cases(cases, model, device, quiet=quiet, method=method, reasons=reasons)
        _check_is_calibrated(reports, fail_below)
        if json_file is not None:
            write_result(json_file, reports_to_json(reports))
        if csv_file is not None:
            write_result(csv_file, reports_to_csv(reports))
    if not (quiet or to_terminal):
        told = reasons if sample_files or probabilities is not None else []
        print_reports(reports, threshold, model_named=model is not None, reasons=told)
    if fail_below is not None and any(_undercuts(report, fail_below) for report in reports):
        raise typer.Exit(UNDERCUT)


def write_result(target: Path, text: str) -> None:
    """Write a result to a file, or to standard output where the file is called ``-``.

    Raises:
        ReportError: The file cannot be written.
    """
    if target != STANDARD_OUTPUT:
        write_text_atomically(target, text)
    else:  # a file or another program gets UTF-8, whatever this terminal's encoding is
        typer.echo(text if sys.stdout.isatty() else text.encode("utf-8"), nl=False)


def _check_outputs(inputs: dict[str, Path], model: str | None, outputs: dict[str, Path | None]) -> None:
    """Check that no result takes the place of an input, of the model, of a cohort's file or of another result."""
    guard = OutputGuard()
    for what, path in inputs.items():
        guard.keep(what, files_of(path))
    if model is not None:
        guard.keep("model", Path(model).rglob("*"))
    for target in outputs.values():
        if target is not None:
            guard.keep("cohort", CohortFolder(target.parent).files())
            guard.keep("cohort", CohortFolder(target.parent.parent).files())
    guard.check(outputs)


def _check_is_calibrated(reports: list[QualityReport], limit: float | None) -> None:
    """A limit for the predicted Dice must not be held against another number."""
    other = next((report for report in reports if not report.is_calibrated), None)
    if limit is not None and other is not None:
        raise InputError(
            f"The {short_words(other.measure)} of {other.case.segment} is not calibrated, and --fail-below needs a "
            "predicted Dice: calibrate it (segquality calibrate), or leave --fail-below out."
        )


def _undercuts(report: QualityReport, limit: float) -> bool:
    """Whether a volume is predicted worse than the limit, or was not scored or not wholly scored."""
    return report.volume.dice is None or report.volume.dice < limit or bool(_NOT_ALL & set(report.flags))


def assess_cases(
    cases: list[Case],
    model: str | None,
    device: str,
    *,
    quiet: bool,
    method: Method = Method.AUTO,
    reasons: list[str] | None = None,
) -> list[QualityReport]:
    """Assess cases with one model, or each with the model that fits its segment, showing progress.

    Args:
        cases: The cases.
        model: Name or folder of the model that was asked for.
        device: Where networks run.
        quiet: Whether nothing is shown.
        method: The method that was asked for.
        reasons: Takes for each case the method and why it was chosen.
    """
    estimators = EstimatorCache(device=device)
    reports = []
    console = Console(stderr=True, emoji=False)
    with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as progress:
        bar = progress.add_task("Assessing", total=sum(case.n_slices for case in cases))
        done = 0
        for case in cases:
            case = estimators.as_told(case, model, alone=len(cases) == 1)
            estimator, reason = estimators.chosen(case, model, method)
            if reasons is not None:
                reasons.append(f"{family_of(estimator.bundle).method}, since {reason}")
            for step in estimator.iter_assess(case):
                progress.update(bar, completed=done + step.done)
                if step.report is not None:
                    reports.append(step.report)
            done += case.n_slices
    return reports


def print_reports(
    reports: list[QualityReport], threshold: float, *, model_named: bool = False, reasons: Sequence[str] = ()
) -> None:
    """Print the tables, and below each what its user should know of the whole case, and why its method was taken."""
    console = Console(emoji=False)
    for number, report in enumerate(reports):
        print_report(console, report, threshold)
        if number < len(reasons):
            console.print(f"Method: {reasons[number]}.", markup=False, highlight=False)
        for flag in report.flags:
            if flag not in _IN_THE_TABLE:
                advice = _advice(report, model_named) if flag == CaseFlag.MODEL_UNMATCHED else ""
                text = f"Note: {note(flag, report)}{advice}."
                console.print(text, style="yellow", markup=False, highlight=False)


def _advice(report: QualityReport, model_named: bool) -> str:
    """What to do where a model is not known to be made for the segment."""
    if not model_named:
        return "; name the model with --model"
    if is_name_of_label(report.case.segment):
        return "; choose the segment that you mean with --label"
    return ""
