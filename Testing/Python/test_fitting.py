"""What all trainings share: nothing is lost when one is interrupted."""

import csv

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

pytest.importorskip("lightning", reason="the training extra is not installed")

import lightning.pytorch as lightning

from training.fitting import fit

LOADER = DataLoader(TensorDataset(torch.arange(8.0)[:, None]), batch_size=4)


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
    settings = {"folder": tmp_path, "epochs": 6, "precision": "32-true"}
    settings |= {"validate_every": validate_every, "averaging": averaging}
    first = Line(stop_at=3)
    with pytest.raises(RuntimeError, match="power"):
        fit(first, LOADER, LOADER, **settings)
    second = Line()
    fit(second, LOADER, LOADER, **settings)
    assert first.epochs == [0, 1, 2] and second.epochs == [3, 4, 5]
    logged = [row for path in sorted(tmp_path.glob("csv/*/metrics.csv")) for row in csv.DictReader(path.open())]
    assert sorted({int(row["epoch"]) for row in logged if row["train_loss"]}) == list(range(6))
    assert not torch.equal(second.layer.weight, first.layer.weight)
