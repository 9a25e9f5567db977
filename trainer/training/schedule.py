"""The learning rate of each step, and the end of a run: functions of its options and state."""

from __future__ import annotations

import math
from collections.abc import Sequence

from trainer.settings import Settings
from trainer.training.state import Epoch, TrainState, best_epoch

_PLATEAU_EPOCHS = 2
_PLATEAU_FACTOR = 0.5


def learning_rate(settings: Settings, state: TrainState, steps_per_epoch: int) -> float:
    """Return the learning rate of the next step.

    constant: `settings.learning_rate`. cosine: from there down to 0 after the last epoch, half a
    period (Loshchilov and Hutter, 2017, without restarts). plateau: halved at every plateau.
    """
    if settings.schedule == "cosine":
        done = state.total_steps / (settings.epochs * steps_per_epoch)
        return settings.learning_rate * (1 + math.cos(math.pi * done)) / 2
    if settings.schedule == "plateau":
        return settings.learning_rate * _PLATEAU_FACTOR ** count_plateaus(state.epochs)
    return settings.learning_rate


def count_plateaus(epochs: Sequence[Epoch]) -> int:
    """Return how often two epochs in a row were not better than the best one before them."""
    best, since_best, plateaus = math.inf, 0, 0
    for epoch in epochs:
        better = epoch.monitored_loss < best
        best, since_best = min(best, epoch.monitored_loss), 0 if better else since_best + 1
        if since_best == _PLATEAU_EPOCHS:
            since_best, plateaus = 0, plateaus + 1
    return plateaus


def stops_early(settings: Settings, epochs: Sequence[Epoch]) -> bool:
    """Return whether the best epoch is `settings.early_stop` or more epochs ago (0: never)."""
    if not settings.early_stop or not epochs:
        return False
    return epochs[-1].number - best_epoch(epochs).number >= settings.early_stop
