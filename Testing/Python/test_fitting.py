"""What all trainings share: nothing is lost when one is interrupted."""

import csv
import os
import signal

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

pytest.importorskip("lightning", reason="the training extra is not installed")

import lightning.pytorch as lightning

from training.fitting.trainer import fit

LOADER = DataLoader(TensorDataset(torch.arange(8.0)[:, None]), batch_size=4)


SETTINGS = {"epochs": 6, "precision": "32-true"}


class Line(lightning.LightningModule):
    """Learns to predict 1, and keeps the epochs that it was trained in."""

    def __init__(self, stop_at: int | None = None) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.stop_at = stop_at
        self.epochs = []

    def on_train_epoch_start(self):
        if self.current_epoch == self.stop_at:
            raise RuntimeError("the power went off")
        self.epochs.append(self.current_epoch)

    def loss(self, batch):
        return (self.layer(batch[0]) - 1).abs().mean()

    def training_step(self, batch):
        loss = self.loss(batch)
        self.log("train_loss", loss, on_epoch=True, on_step=False)
        return loss

    def validation_step(self, batch):
        self.log("val_loss", self.loss(batch))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.01)


@pytest.mark.parametrize("averaging", [0.0, 0.9])
@pytest.mark.parametrize("validate_every", [1, 5])
def test_an_interrupted_training_goes_on_with_the_epoch_it_was_in(tmp_path, validate_every, averaging):
    settings = {**SETTINGS, "folder": tmp_path, "validate_every": validate_every, "averaging": averaging}
    first = Line(stop_at=3)
    with pytest.raises(RuntimeError, match="power"):
        fit(first, LOADER, LOADER, **settings)
    second = Line()
    fit(second, LOADER, LOADER, **settings)
    assert first.epochs == [0, 1, 2]
    assert second.epochs == [3, 4, 5]
    assert not torch.equal(second.layer.weight, first.layer.weight)


def test_a_training_that_was_stopped_after_its_last_epoch_has_its_averaged_weights(tmp_path):
    first, second = Line(), Line()
    for module in (first, second):
        fit(module, LOADER, LOADER, folder=tmp_path, averaging=0.9, **SETTINGS)
    assert second.epochs == []
    assert torch.equal(second.layer.weight, first.layer.weight)


def test_the_curves_before_an_interruption_are_kept(tmp_path):
    with pytest.raises(RuntimeError, match="power"):
        fit(Line(stop_at=3), LOADER, LOADER, folder=tmp_path, **SETTINGS)
    fit(Line(), LOADER, LOADER, folder=tmp_path, **SETTINGS)
    rows = [row for path in sorted(tmp_path.glob("csv/*/metrics.csv")) for row in csv.DictReader(path.open())]
    assert [int(row["epoch"]) for row in rows if row["train_loss"]] == list(range(6))


class Chance(Line):
    """Keeps a random number of each epoch."""

    def __init__(self, stop_at: int | None = None) -> None:
        super().__init__(stop_at)
        self.drawn = []

    def on_train_epoch_start(self):
        super().on_train_epoch_start()
        self.drawn.append(torch.rand(()).item())


def test_chance_goes_on_too_and_does_not_begin_anew(tmp_path):
    whole, first, second = Chance(), Chance(stop_at=3), Chance()
    torch.manual_seed(1)
    fit(whole, LOADER, LOADER, folder=tmp_path / "whole", **SETTINGS)
    torch.manual_seed(1)
    with pytest.raises(RuntimeError, match="power"):
        fit(first, LOADER, LOADER, folder=tmp_path / "parts", **SETTINGS)
    torch.manual_seed(1)
    fit(second, LOADER, LOADER, folder=tmp_path / "parts", **SETTINGS)
    assert first.drawn + second.drawn == whole.drawn
    assert len(set(whole.drawn)) == 6


class Ended(Line):
    """Is told to end in its third epoch, as by a cluster whose time is up."""

    def on_train_epoch_start(self):
        super().on_train_epoch_start()
        if self.current_epoch == 2:
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_training_that_is_told_to_end_does_not_end_as_if_all_had_gone_well(tmp_path):
    with pytest.raises(SystemExit) as ended:
        fit(Ended(), LOADER, LOADER, folder=tmp_path, **SETTINGS)
    assert ended.value.code == 128 + signal.SIGTERM
    rest = Line()
    fit(rest, LOADER, LOADER, folder=tmp_path, **SETTINGS)
    assert rest.epochs == [2, 3, 4, 5]
