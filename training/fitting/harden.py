"""Stage 9: fine-tune a trained REG-Net on attacked images and on those of a faulty scanner.

Half of each batch is attacked through the whole pipeline, by a step of 1.25 eps from a random start (Wong et al.,
"Fast is better than free", ICLR 2020) or a few shorter ones, each slice with its own eps up to the largest one,
and each in the direction in which its prediction can be more wrong. The other half is not attacked, so that the clean
error hardly grows; some of its slices get ghosts, motion or a spike, which attacks do not resemble. Attacks go through
REC-Net, which stays frozen. All networks may see the image blurred, here and in the bundle: that removes the fine
patterns of attacks.

In the end the weights are mixed with those before, by the share that the study gives: on clean images that can gain
more than it loses on attacked ones (Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022).
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
from ..study.configuration import Hardening
from ..study.run import Run
from ..study.stage_arguments import stage_arguments
from .reg_net import AUGMENTATION, TRAINED, RegTraining, finish, frozen_rec_net, write_folded
from .reg_net_data import BalancedSample, training_data
from .trainer import fit

_SCANNER_FAULTS = ("ghosting", "motion", "spike")  # not in the augmentation of all trainings


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
        self.network.eval()  # dropout would add noise to the gradient
        for _ in range(steps):
            slope, _ = gradient(lambda i: score(self.first_channel(i, mask)), at, direction)
            at = torch.clamp(at + 1.25 / steps * eps * slope.sign(), low, high)
        self.network.train()
        return at


def with_faults(image: Tensor, share: float, spacing_mm: float) -> Tensor:
    """Add scanner faults of random strength to some slices, within their range of intensities.

    Args:
        image: Shape (n, 1, h, w) in [-1, 1].
        share: How many of the slices, 0 to 1.
        spacing_mm: Of the pixels.
    """
    rng = np.random.default_rng(int(torch.randint(2**31, ())))
    changed = image.cpu().numpy().copy()
    for place in np.flatnonzero(rng.random(len(changed)) < share):
        clean = changed[place]
        fault = CORRUPTIONS[rng.choice(_SCANNER_FAULTS)]
        faulty = fault((clean + 1) / 2, rng.uniform(0, STRENGTHS), rng, (spacing_mm, spacing_mm, 1.0))
        (low, high), (faulty_low, faulty_high) = (np.percentile(each, (0.5, 99.5)) for each in (clean, faulty))
        stretched = low + (faulty - faulty_low) * (high - low) / max(faulty_high - faulty_low, 1e-6)
        changed[place] = stretched.clip(*IMAGE_LIMITS)
    return torch.from_numpy(changed).to(image)


def harden(run: Run, *, devices: str = "1") -> None:
    """Fine-tune a trained run; write reg_net.pt of the hardened run. An interrupted training goes on.

    Args:
        run: The trained run, which no variant changes.
        devices: Number of GPUs, or of processes on a CPU.

    Raises:
        InputError: The study's section ``hardening`` has no settings for the method.
    """
    if run.method not in run.study.hardening:
        raise InputError(
            f"The study {run.study.name} does not harden {run.method}: add it to the section hardening of its file."
        )
    settings, hardened, structure = run.study.hardening[run.method], run.hardened, run.structure
    torch.manual_seed(run.seed)
    study = replace(
        run.study,
        reg_net=replace(run.study.reg_net, epochs=settings.epochs, learning_rate=settings.learning_rate),
        sampling=replace(run.study.sampling, train=settings.train),
    )
    data = training_data(study, structure)
    rec_net = frozen_rec_net(study, structure) if run.method == "rec-reg" else None
    module = HardenedTraining(study, data.windows, structure.label, data.pools, rec_net, settings.smoothing)
    module.hardening = settings
    base = run.folder / TRAINED
    trained = torch.load(base, weights_only=True)
    module.network.load_state_dict(trained)
    _forget_run_of_other_weights(hardened.folder, hashlib.sha256(base.read_bytes()).hexdigest())
    sample = BalancedSample(study, data.pools, data.train, run.seed + 500)
    validation = data.validation_loaders()
    fit(
        module,
        DataLoader(sample, study.reg_net.batch_size, shuffle=True, drop_last=True),
        validation,
        folder=hardened.folder,
        epochs=settings.epochs,
        precision=study.precision,
        devices=devices,
        averaging=study.reg_net.averaging,
        validate_every=min(2, settings.epochs),
    )
    module.network.load_state_dict(_mixed(trained, module.network.state_dict(), settings.share))
    finish(module, sample, validation, hardened.folder, epochs=settings.epochs, averaged=True)
    write_folded(module.network, hardened.weights)


def _mixed(trained: dict[str, Tensor], hardened: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """The weights on the line from the trained to the hardened ones, at ``share`` of the way."""
    return {key: torch.lerp(trained[key].float(), hardened[key].float(), share) for key in trained}


def _forget_run_of_other_weights(folder: Path, checksum: str) -> None:
    """Begin anew where the trained weights are not those that an earlier run began with."""
    note = folder / "base.sha256"
    if folder.is_dir() and not (note.is_file() and note.read_text(encoding="utf-8") == checksum):
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_text_atomically(note, checksum)


if __name__ == "__main__":
    arguments = stage_arguments(__doc__, run=True, devices=True)
    harden(arguments.run, devices=arguments.devices)
