"""The time of an epoch of a training, also of one that was stopped, from its TensorBoard logs."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from statistics import mean

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def minutes_an_epoch(run: Path) -> float | None:
    """Mean minutes of the epochs in a run's folder and its cycles, with validation; ``None`` where no log holds two.

    An epoch lasts from the end of the one before, so that the first one after each start is not counted.
    """
    seconds = []
    for log in run.rglob("events.out.tfevents.*"):
        events = EventAccumulator(str(log))
        events.Reload()
        once_an_epoch = [tag for tag in events.Tags()["scalars"] if tag.startswith("train_")]
        if once_an_epoch:
            ends = [event.wall_time for event in events.Scalars(once_an_epoch[0])]
            seconds += [end - before for before, end in pairwise(ends)]
    return mean(seconds) / 60 if seconds else None
