"""Stage 10: attack an evaluated model on candidates of the test patients; figures, predictions and attacked images.

Each attack is run upwards and downwards on every slice. ``along`` is the direction in which the clean error grows, as
in the paper; ``worst`` is, slice by slice, the direction with the larger error, which a free adversary would choose.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from SegQualityQCLib.errors import InputError
from SegQualityQCLib.estimators.distribution_check import ImageDistribution, is_familiar
from SegQualityQCLib.estimators.networks.network_estimator import NetworkEstimator
from SegQualityQCLib.estimators.networks.rec_reg import RecRegEstimator

from ..attacks.defences import averaged, smoothed
from ..attacks.gradient_attacks import (
    DIFFERENCE_LIMITS,
    IMAGE_LIMITS,
    Score,
    direction_of_error,
    gradient,
    pgd,
    score_of_pipeline,
    score_of_regression,
    step_along,
)
from ..evaluation.provisional import evaluated_model
from ..study.configuration import AttackStudy, Study
from ..study.run import Run
from ..study.stage_arguments import stage_arguments
from .attack_limits import DOWN, UP, bad_made_good, longer_attack, smallest_eps_of_slices
from .attack_record import Record
from .attack_slices import BAD, GOOD, Slices, bad_slices, test_slices

Scorer = Callable[[Tensor], Score]  # masks -> what is scored
Craft = Callable[[Score, Tensor, Tensor, slice], Tensor]  # score, images, directions, part -> attacked images


@dataclass(frozen=True)
class Outcome:
    """The outcome of an attack: predicted Dice of each slice, and the images.

    Attributes:
        clean: Without attack, by the model that is judged, shape (n,).
        along, up, down, worst: Along the clean error, upwards, downwards, and the more harmful of these two.
        image: The worst images, shape (n, 1, h, w).
    """

    clean: Tensor
    along: Tensor
    up: Tensor
    down: Tensor
    worst: Tensor
    image: Tensor


def settings_of(study: Study) -> AttackStudy:
    """The study's section ``attack_study``."""
    if study.attack_study is None:
        raise InputError(f"The study {study.name} has no section attack_study: add one to its configuration.")
    return study.attack_study


def run_attack(slices: Slices, craft: Craft, crafted: Scorer, judged: Scorer | None = None) -> Outcome:
    """Attack all slices in both directions.

    Args:
        slices: What is attacked.
        craft: The attack.
        crafted: The model that the attack follows.
        judged: The model that then predicts; by default the same.
    """
    judged = judged or crafted
    parts: list[tuple[Tensor, ...]] = []
    for batch in slices.batches():
        image, mask, dice = slices.image[batch], slices.mask[batch], slices.dice[batch]
        score = crafted(mask)
        up, down = (craft(score, image, torch.full_like(dice, way), batch) for way in (UP, DOWN))
        with torch.no_grad():
            rising = direction_of_error(score(image), dice) == UP
            clean, high, low = (torch.sigmoid(judged(mask)(seen)) for seen in (image, up, down))
        upwards = (high - dice).abs() >= (low - dice).abs()
        worst = torch.where(upwards[:, None, None, None], up, down)
        parts.append((clean, torch.where(rising, high, low), high, low, torch.where(upwards, high, low), worst))
    return Outcome(*(torch.cat(column) for column in zip(*parts, strict=True)))


def measure_outcome(slices: Slices, outcome: Outcome, distribution: ImageDistribution | None) -> dict[str, Any]:
    """Errors, shares of slices that change sides, and the share that the distribution check calls unfamiliar.

    Args:
        slices: The attacked slices.
        outcome: What the attack reached.
        distribution: The training images, for the distribution check; ``None`` where it does not see what was
            attacked.
    """
    dice = slices.dice
    bad, good = dice < BAD, dice >= GOOD
    row: dict[str, Any] = {}
    for way in ("along", "worst"):
        error = (getattr(outcome, way) - dice).abs()
        row[way] = {"mae": float(error.mean()), "sd": float(error.std(correction=0))}
    row["bad_made_good"] = _share(outcome.up[bad] > GOOD)
    row["good_made_bad"] = _share(outcome.down[good] < BAD)
    if distribution is not None:
        row["unfamiliar"] = float(1 - is_familiar(distribution, outcome.image[:, 0].numpy()).mean())
    return row


def attack_model(run: Run) -> None:
    """Write NAME.json and NAME.npz of an evaluated run into the study's folder ``attacks``; a second call goes on.

    The second file holds predictions, and the images that PGD made with its largest eps, for the transfer to other
    models.
    """
    settings = settings_of(run.study)
    estimator = evaluated_model(run)
    slices = test_slices(run.study, run.structure, settings)
    record = Record(run.stage_file("attacks"), _described(run, estimator, slices))
    record.keep({"true": slices.dice, "mask": slices.mask.bool()})
    generator = Generator()
    sweep = partial(_sweep, record, generator, run.study.split_seed, estimator.settings.distribution)
    steps = partial(_pgd, steps=settings.pgd_steps, generator=generator)
    plain = partial(score_of_pipeline, estimator)
    sweep("fgsm", slices, _fgsm(slices, plain, IMAGE_LIMITS), settings.eps, plain)
    sweep("pgd", slices, steps, settings.pgd_eps, plain)
    if isinstance(estimator, RecRegEstimator):
        _attack_difference_image(run, estimator, slices, record, sweep)
    bad = bad_slices(run.study, run.structure, settings)
    for key, measured, part in (
        ("steps", longer_attack, slices),
        ("smallest_eps", smallest_eps_of_slices, slices),
        ("further_bad", bad_made_good, bad),
    ):
        if key not in record.figures:
            record.keep(**{key: measured(part, estimator, settings, generator.manual_seed(run.study.split_seed))})
            print(run.model_name, key, record.figures[key], flush=True)
    for defence, scorer in _defended(plain, settings, generator).items():
        sweep(f"fgsm-{defence}", slices, _fgsm(slices, scorer, IMAGE_LIMITS), settings.eps, scorer)
        sweep(f"pgd-{defence}", slices, steps, settings.pgd_eps[:1], scorer)


def _described(run: Run, estimator: NetworkEstimator, slices: Slices) -> dict[str, Any]:
    """What a record holds for: a record of other weights, settings or slices is begun anew."""
    return {
        "name": run.model_name,
        "weights": dict(estimator.bundle.header.checksums),
        "settings": asdict(settings_of(run.study)),
        "masks": zlib.crc32(np.packbits(slices.mask.bool().numpy()).tobytes()),
        "slices": len(slices),
        "patients": len(np.unique(slices.patient)),
        "bad": int((slices.dice < BAD).sum()),
        "good": int((slices.dice >= GOOD).sum()),
    }


def _attack_difference_image(
    run: Run, estimator: RecRegEstimator, slices: Slices, record: Record, sweep: Callable[..., None]
) -> None:
    """The paper's attacks on a model with a REC-Net: on its difference image, and through Robinson's net."""
    eps = settings_of(run.study).eps
    with torch.no_grad():
        d = torch.cat([estimator.first_channel(slices.image[b], slices.mask[b]) for b in slices.batches()])
    seen, regression = replace(slices, image=d), partial(score_of_regression, estimator.reg_net)
    sweep("fgsm-difference", seen, _fgsm(seen, regression, DIFFERENCE_LIMITS), eps, regression)
    rival = evaluated_model(replace(run, method="direct", variant=None))
    if record.figures.get("rival") != dict(rival.bundle.header.checksums):  # it was trained anew since
        record.figures.pop("surrogate", None)
        record.keep(rival=dict(rival.bundle.header.checksums))
    models = [partial(score_of_pipeline, model) for model in (rival, estimator)]
    sweep("surrogate", slices, _fgsm(slices, models[0], IMAGE_LIMITS), eps, *models)


def _sweep(
    record: Record,
    generator: Generator,
    seed: int,
    distribution: ImageDistribution,
    key: str,
    slices: Slices,
    craft: Callable[[float], Craft],
    eps_list: tuple[float, ...],
    *models: Scorer,
) -> None:
    """Run an attack with each eps that the record lacks, each from the same seed."""
    rows: list[dict[str, Any]] = record.figures.get(key, [])
    missing = [eps for eps in eps_list if eps not in [row["eps"] for row in rows]]
    for eps in missing:
        generator.manual_seed(seed)
        outcome = run_attack(slices, craft(eps), *models)
        # The distribution check never sees a difference image.
        rows.append({"eps": eps, **measure_outcome(slices, outcome, None if "difference" in key else distribution)})
        arrays = {f"{key}-{eps:g}": outcome.worst}
        record.keep(arrays | ({"attacked": outcome.image} if key == "pgd" else {}), **{key: rows})
        print(record.figures["name"], key, rows[-1], flush=True)


def _fgsm(slices: Slices, scorer: Scorer, limits: tuple[float, float]) -> Callable[[float], Craft]:
    """FGSM for any eps, from one gradient of each slice, computed when it is first asked for."""

    @cache
    def slopes() -> Tensor:
        ways = torch.ones(len(slices))
        return torch.cat([gradient(scorer(slices.mask[b]), slices.image[b], ways[b])[0] for b in slices.batches()])

    def of_eps(eps: float) -> Craft:
        return lambda _, image, direction, part: step_along(
            direction[:, None, None, None] * slopes()[part], image, eps, limits
        )

    return of_eps


def _pgd(eps: float, *, steps: int, generator: Generator) -> Craft:
    return lambda score, image, direction, _: (
        pgd(score, image, direction, eps, IMAGE_LIMITS, steps=steps, generator=generator).image
    )


def _defended(plain: Scorer, settings: AttackStudy, generator: Generator) -> dict[str, Scorer]:
    """The model behind each cheap defence."""
    return {
        "smoothed": lambda mask: smoothed(plain(mask), settings.smoothing),
        "averaged": lambda mask: averaged(plain(mask), settings.noise, settings.noise_copies, generator),
    }


def _share(hit: Tensor) -> float | None:
    return float(hit.float().mean()) if len(hit) else None


if __name__ == "__main__":
    attack_model(stage_arguments(__doc__, run=True, variant=True).run)
