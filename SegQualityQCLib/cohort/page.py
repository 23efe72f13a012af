"""The page of a cohort: one HTML file that needs no network, worst case first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jinja2

from ..report.codes import CaseFlag, Measure, Status
from ..report.colours import hex_colour_of
from ..report.report import QualityReport, SliceScore
from ..report.wording import remark, short_words
from ..storage.atomic_files import write_text_atomically
from .case_result import CaseResult
from .manifest import CohortCase
from .pictures import LARGE, THUMBNAIL, UNITS
from .results import CohortFolder, urgency

MOST_PICTURES = 1000
"""Number of cases, the worst ones, that have pictures: about 40 MB."""

_BINS = 20
_STATUS_COLOURS = {
    Status.GAP: "#d0006f",
    Status.OUT_OF_WINDOW: "#d0006f",
    Status.UNFAMILIAR: "#a04fd0",
    Status.EMPTY: "#8a8f98",
}


def write_page(store: CohortFolder, threshold: float) -> None:
    """Write ``index.html`` of a cohort's folder.

    Args:
        store: The results.
        threshold: Predicted Dice below which a slice or a volume is called low.

    Raises:
        ReportError: It cannot be written.
    """
    order: list[tuple[tuple[float, float], CohortCase, int]] = []
    volumes: list[float | None] = []
    slices: list[float] = []
    errors: list[tuple[str, str]] = []
    models: dict[str, None] = {}
    measures: dict[Measure, None] = {}
    for case, result in store.results():
        if result.error is not None:
            errors.append((case.name, result.error))
        for number, report in enumerate(result.reports):
            order.append((urgency(report), case, number))
            volumes.append(report.volume.dice)
            slices += [score.dice for score in report.slices if score.dice is not None]
            measures[report.measure] = None
            models[f"{report.model.name} {report.model.version}"] = None
    order.sort(key=lambda entry: entry[0])
    template = _environment().get_template("page.html.jinja")
    parts = template.generate(
        cards=_cards(store, [(case, number) for _, case, number in order], threshold),
        count=len(order),
        below=sum(dice is not None and dice < threshold for dice in volumes),
        unscored=sum(dice is None for dice in volumes),
        threshold=threshold,
        errors=errors,
        models=", ".join(models),
        number=_number(list(measures)),
        predicted=set(measures) <= {Measure.PREDICTED_DICE},
        most_pictures=MOST_PICTURES,
        histograms=[
            ("Volumes", histogram([dice for dice in volumes if dice is not None])),
            ("Slices", histogram(slices)),
        ],
        ramp=", ".join(f"{hex_colour_of(n / 10)} {10 * n}%" for n in range(11)),
        words={status.name.lower(): short_words(status) for status in Status},
        geometry={"thumbnail": THUMBNAIL, "large": LARGE, "units": UNITS},
    )
    write_text_atomically(store.path / "index.html", parts)


def histogram(dices: Sequence[float]) -> list[dict[str, Any]]:
    """The bars of a distribution over [0, 1]: bounds, count, height in percent of the highest, colour."""
    counts = [0] * _BINS
    for dice in dices:
        counts[min(int(dice * _BINS), _BINS - 1)] += 1
    highest = max(counts, default=0) or 1
    return [
        {
            "low": n / _BINS,
            "high": (n + 1) / _BINS,
            "count": count,
            "height": 100 * count / highest,
            "colour": hex_colour_of((n + 0.5) / _BINS),
        }
        for n, count in enumerate(counts)
    ]


def _number(measures: Sequence[Measure]) -> str:
    """What the numbers of a page are, in words."""
    plain = f" ({short_words(CaseFlag.NOT_CALIBRATED)})"
    found = measures or [Measure.PREDICTED_DICE]
    return " or ".join(short_words(one) + ("" if one is Measure.PREDICTED_DICE else plain) for one in found)


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )


def _cards(store: CohortFolder, order: Sequence[tuple[CohortCase, int]], threshold: float) -> Iterator[dict[str, Any]]:
    """What the page shows of each report; read from disk one after the other, so that all never fill the memory."""
    for rank, (case, number) in enumerate(order, start=1):
        result = store.read(case.name)
        if result is None or number >= len(result.reports):
            continue
        pictures = store.pictures(case.name) if rank <= MOST_PICTURES else []
        yield _card(rank, case, result, number, threshold, pictures[number] if number < len(pictures) else None)


def _card(
    rank: int,
    case: CohortCase,
    result: CaseResult,
    number: int,
    threshold: float,
    pictures: dict[str, Any] | None,
) -> dict[str, Any]:
    report = result.reports[number]
    volume = report.volume
    worst = report.slice(report.order[0])
    pictures = pictures if _fits(pictures, report) else None
    shown = [report.slice(index) for index in (pictures or {}).get("shown", [])]
    return {
        "rank": rank,
        "name": case.name,
        "segment": report.case.segment,
        "volume": volume,
        "colour": _colour(volume.dice, Status.UNFAMILIAR),
        "worst": worst,
        "worst_words": _caption(worst),
        "below": len(report.below(threshold)),
        "drawn": report.drawn,
        "gaps": report.gaps,
        "flags": [short_words(flag) for flag in report.flags if flag != CaseFlag.GAPS],  # they are counted
        "files": f"{case.image.name} · {case.segmentation.name}",
        "extra": [(name, cell) for name, cell in case.extra.items() if cell],
        "not_shown": _not_shown(report, shown),
        "pictures": None if pictures is None else pictures | {"scores": [_score(score) for score in shown]},
    }


def _fits(pictures: Any, report: QualityReport) -> bool:
    """Whether pictures that were read from disk are those of a report."""
    if not isinstance(pictures, dict):
        return False
    indices = {score.index for score in report.slices}
    shown, large, outlines = (pictures.get(key) for key in ("shown", "large", "outlines"))
    if not isinstance(shown, list) or not isinstance(large, list) or not isinstance(outlines, list):
        return False
    whole = all(type(index) is int and index in indices for index in [*shown, *large])
    texts = [pictures.get("strip_jpeg"), pictures.get("large_jpeg"), *outlines]
    return whole and len(outlines) == len(shown) and all(isinstance(text, str) for text in texts)


def _score(score: SliceScore) -> dict[str, Any]:
    """What the browser needs of a slice."""
    return {
        "index": score.index,
        "label": _label(score),
        "colour": _colour(score.dice, score.status),
        "words": _caption(score),
    }


def _label(score: SliceScore) -> str:
    if score.dice is not None:
        return f"{score.dice:.2f}"
    return short_words(score.status) if score.status is Status.GAP else "–"


def _colour(dice: float | None, status: Status) -> str:
    return _STATUS_COLOURS[status] if dice is None else hex_colour_of(dice)


def _caption(score: SliceScore) -> str:
    if score.dice is None:
        return f"Slice {score.index}: {remark(score)}"
    if score.low is None or score.high is None:
        return f"Slice {score.index}: {score.dice:.2f}"
    return f"Slice {score.index}: {score.dice:.2f} ({score.low:.2f} to {score.high:.2f})"


def _not_shown(report: QualityReport, shown: Sequence[SliceScore]) -> int:
    """How many slices that are not plainly empty the strip leaves out."""
    worth = sum(not score.is_plainly_empty for score in report.slices)
    return worth - len(shown) if shown else 0
