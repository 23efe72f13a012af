"""How far PGD gets: with more steps, with the smallest eps, and on more bad slices."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Generator

from SegQualityQCLib.estimators.networks.network_estimator import NetworkEstimator

from ..attacks.gradient_attacks import IMAGE_LIMITS, pgd, score_of_pipeline, smallest_eps
from ..study.configuration import AttackStudy
from .attack_slices import BAD, GOOD, Slices

UP, DOWN = 1.0, -1.0  # of the predicted Dice


def longer_attack(
    slices: Slices, estimator: NetworkEstimator, settings: AttackStudy, generator: Generator
) -> dict[str, Any]:
    """The error and the gain in logits after each step of a longer PGD, which show whether more steps do more harm."""
    slices = slices.part(slice(settings.long_slices))
    eps, total = settings.pgd_eps[0], settings.long_steps
    errors, gains = [], []
    for batch in slices.batches():
        image, dice = slices.image[batch], slices.dice[batch]
        score = score_of_pipeline(estimator, slices.mask[batch])
        clean = score(image).detach()
        worst = torch.zeros(total + 1, len(dice))
        for way in (UP, DOWN):
            found = pgd(score, image, torch.full_like(dice, way), eps, IMAGE_LIMITS, steps=total, generator=generator)
            worst = torch.maximum(worst, (torch.sigmoid(found.trace) - dice).abs())
            gains.append(way * (found.trace - clean))
        errors.append(worst)
    mae = torch.cat(errors, dim=1).mean(dim=1)
    gain = torch.cat(gains, dim=1).mean(dim=1)
    return {"eps": eps, "slices": len(slices), "mae": mae.tolist(), "gain": gain.tolist()}


def smallest_eps_of_slices(
    slices: Slices, estimator: NetworkEstimator, settings: AttackStudy, generator: Generator
) -> dict[str, Any]:
    """The smallest eps that makes each bad slice look good and each good one bad; ``None`` where the largest fails."""
    found: dict[str, Any] = {}
    for key, chosen, way, threshold in (
        ("bad_made_good", slices.dice < BAD, UP, GOOD),
        ("good_made_bad", slices.dice >= GOOD, DOWN, BAD),
    ):
        part = slices.part(torch.nonzero(chosen)[:, 0])
        values: list[float] = []
        for batch in part.batches():
            values += smallest_eps(
                score_of_pipeline(estimator, part.mask[batch]),
                part.image[batch],
                torch.full_like(part.dice[batch], way),
                threshold,
                IMAGE_LIMITS,
                largest=max(settings.eps),
                rounds=settings.bisection_rounds,
                steps=settings.bisection_steps,
                generator=generator,
            ).tolist()
        found[key] = [value if np.isfinite(value) else None for value in values]
    return found


def bad_made_good(
    slices: Slices, estimator: NetworkEstimator, settings: AttackStudy, generator: Generator
) -> dict[str, Any]:
    """Predicted Dice of bad slices, clean and after PGD upwards with its first eps."""
    eps, steps = settings.pgd_eps[0], settings.pgd_steps
    clean: list[float] = []
    attacked: list[float] = []
    for batch in slices.batches():
        score = score_of_pipeline(estimator, slices.mask[batch])
        up = torch.full_like(slices.dice[batch], UP)
        found = pgd(score, slices.image[batch], up, eps, IMAGE_LIMITS, steps=steps, generator=generator)
        with torch.no_grad():
            clean += torch.sigmoid(score(slices.image[batch])).tolist()
        attacked += torch.sigmoid(found.logits).tolist()
    true, patients = slices.dice.tolist(), slices.patient.tolist()
    return {"eps": eps, "patient": patients, "true": true, "clean": clean, "attacked": attacked}
