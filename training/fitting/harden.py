"""Stage 9: fine-tune a trained REG-Net on attacked images and on those of a faulty scanner.

Half of each batch is attacked through the whole pipeline, by a step of 1.25 eps from a random start (Wong et al.,
"Fast is better than free", ICLR 2020) or a few shorter ones, each slice with an eps of its own up to the largest one,
and each pushed where its prediction has more room to be wrong. The other half is not attacked, so that the clean error
hardly suffers; some of its slices get ghosts, motion or a spike, which attacks do not resemble. REC-Net is attacked
through, but frozen. All networks may see the image blurred, here and in the bundle: that takes away the fine patterns
that attacks are made of.

In the end the weights are mixed with those before, by the share that the study gives them: on clean images that can
give back more than it takes on attacked ones (Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022).
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from SegQualityQCLib.errors import InputError
from SegQualityQCLib.storage.atomic_files import write_text_atomically

from ..attacks.corruptions import CORRUPTIONS, STRENGTHS
from ..attacks.gradient_attacks import IMAGE_LIMITS, gradient, score_of_regression
from ..candidates.pool import net_pool, perturbed_pool
from ..data.split import read_split
from ..data.windows import Windows
from ..study.configuration import HARDENED, Hardening, Structure, Study
from ..study.paths import run_name
from ..study.stage_arguments import stage_arguments
from .reg_net import (
    AUGMENTATION,
    TRAINED,
    BalancedSample,
    RegTraining,
    finish,
    frozen_rec_net,
    validation_loaders,
    write_folded,
)
from .trainer import fit

FAULTS = ("ghosting", "motion", "spike")  # what the augmentation of all trainings lacks


class HardenedTraining(RegTraining):
    """REG-Net's training with half of each batch attacked, and faults of a scanner in some of the others."""

    hardening: Hardening

    def training_step(self, batch: Tensor) -> Tensor:
        """The loss of :class:`RegTraining` on attacked and clean slices."""
        image, mask, reference, dice = self.batch(batch, AUGMENTATION)
        half = len(image) // 2
        attacked = self._attacked(image[:half], mask[:half], dice[:half])
        image = torch.cat([attacked, with_faults(image[half:], self.hardening.faults, self.study.window_spacing_mm)])
        loss, error = self.loss(image, mask, reference, dice)
        self.log("train_mae_attacked", error[:half].mean(), on_epoch=True, on_step=False, prog_bar=True)
        self.log("train_mae", error[half:].mean(), on_epoch=True, on_step=False, prog_bar=True)
        return loss

    @torch.no_grad()
    def _attacked(self, image: Tensor, mask: Tensor, dice: Tensor) -> Tensor:
        steps = self.hardening.steps
        direction = torch.where(torch.rand_like(dice) < dice, -1.0, 1.0)
        eps = self.hardening.eps * torch.rand_like(dice)[:, None, None, None]
        low, high = (image - eps).clamp(*IMAGE_LIMITS), (image + eps).clamp(*IMAGE_LIMITS)
        at = torch.clamp(image + eps * (2 * torch.rand_like(image) - 1), low, high)
        score = score_of_regression(self.network, mask)
        self.network.eval()  # dropout would blur the gradient
        for _ in range(steps):
            slope, _ = gradient(lambda i: score(self.first_channel(i, mask)), at, direction)
            at = torch.clamp(at + 1.25 / steps * eps * slope.sign(), low, high)
        self.network.train()
        return at


def with_faults(image: Tensor, share: float, spacing_mm: float) -> Tensor:
    """Some slices as a scanner with faults of random strength would give them, in the range that they had.

    Args:
        image: Shape (n, 1, h, w) in [-1, 1].
        share: How many of the slices, 0 to 1.
        spacing_mm: Of the pixels.
    """
    rng = np.random.default_rng(int(torch.randint(2**31, ())))
    changed = image.cpu().numpy().copy()
    for place in np.flatnonzero(rng.random(len(changed)) < share):
        clean = changed[place]
        fault = CORRUPTIONS[rng.choice(FAULTS)]
        faulty = fault((clean + 1) / 2, rng.uniform(0, STRENGTHS), rng, (spacing_mm, spacing_mm, 1.0))
        (low, high), (faulty_low, faulty_high) = (np.percentile(each, (0.5, 99.5)) for each in (clean, faulty))
        stretched = low + (faulty - faulty_low) * (high - low) / max(faulty_high - faulty_low, 1e-6)
        changed[place] = stretched.clip(*IMAGE_LIMITS)
    return torch.from_numpy(changed).to(image)


def harden(study: Study, structure: Structure, kind: str, seed: int, *, devices: str = "1") -> None:
    """Write reg_net.pt of the hardened net beside the trained one's folder; an interrupted run goes on.

    Raises:
        InputError: The study's section ``hardening`` has no settings for this kind.
    """
    if kind not in study.hardening:
        raise InputError(f"The study {study.name} does not harden {kind}: add it to the section hardening of its file.")
    settings = study.hardening[kind]
    torch.manual_seed(seed)
    study = replace(
        study,
        reg_net=replace(study.reg_net, epochs=settings.epochs, learning_rate=settings.learning_rate),
        sampling=replace(study.sampling, train=settings.train),
    )
    windows = Windows.of(study)
    split = read_split(study)
    pools = (net_pool(study, structure, windows), perturbed_pool(study, structure, windows))
    rec_net = frozen_rec_net(study, structure) if kind == "rec-reg" else None
    module = HardenedTraining(study, windows, structure.label, pools, rec_net, settings.smoothing)
    module.hardening = settings
    base = study.folder / run_name(kind, structure, seed) / TRAINED
    trained = torch.load(base, weights_only=True)
    module.network.load_state_dict(trained)
    folder = study.folder / run_name(kind, structure, seed, HARDENED)
    _forget_run_of_other_weights(folder, hashlib.sha256(base.read_bytes()).hexdigest())
    sample = BalancedSample(study, pools, windows.rows_of(split["train"]), seed + 500)
    validation = validation_loaders(study, pools, windows.rows_of(split["validation"]))
    fit(
        module,
        DataLoader(sample, study.reg_net.batch_size, shuffle=True, drop_last=True),
        validation,
        folder=folder,
        epochs=settings.epochs,
        precision=study.precision,
        devices=devices,
        averaging=study.reg_net.averaging,
        validate_every=min(2, settings.epochs),
    )
    hardened = module.network.state_dict()
    mixed = {key: torch.lerp(trained[key].float(), hardened[key].float(), settings.share) for key in trained}
    module.network.load_state_dict(mixed)
    finish(module, sample, validation, folder, epochs=settings.epochs, averaged=True)
    write_folded(module.network, folder)


def _forget_run_of_other_weights(folder: Path, checksum: str) -> None:
    """Begin anew where the weights before are no longer those that an earlier run began with."""
    note = folder / "base.sha256"
    if folder.is_dir() and not (note.is_file() and note.read_text(encoding="utf-8") == checksum):
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_text_atomically(note, checksum)


if __name__ == "__main__":
    arguments = stage_arguments(__doc__, structure=True, devices=True, kind=str, seed=int)
    harden(arguments.study, arguments.structure, arguments.kind, arguments.seed, devices=arguments.devices)
