"""The state of a run: how far it is, and what it has measured so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from trainer.steps.metrics import NO_METRICS, MetricSums, Score


@dataclass(frozen=True)
class Epoch:
    """What one epoch measured.

    number: from 1. train: the mean over the epoch, while the weights change. validation: with the
    weights at its end; None where the dataset has no such split. seconds: of its training alone.
    input_wait: the share of them, 0 to 1, in which the model waited for rows. learning_rate: at
    its end.
    """

    number: int
    train: Score
    validation: Score | None
    seconds: float
    sequences_per_second: float
    input_wait: float
    learning_rate: float

    def __str__(self) -> str:
        validation = f"; validation {self.validation}" if self.validation else ""
        speed = f"{self.seconds:.1f} s, {self.sequences_per_second:,.0f} sequences/s"
        speed += f", {self.input_wait:.1%} of the time waiting for rows"
        return f"{self.train}{validation}; {speed}"

    @property
    def monitored_loss(self) -> float:
        """The loss that epochs are compared by: of the validation split, if there is one."""
        return (self.validation or self.train).loss

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Epoch:
        """Return the epoch that `asdict` turned into `content`."""
        validation = content["validation"]
        return cls(
            **{
                **content,
                "train": Score(**content["train"]),
                "validation": Score(**validation) if validation else None,
            }
        )


def best_epoch(epochs: Sequence[Epoch], by: str = "loss") -> Epoch:
    """Return the best epoch, the first of equals.

    by: loss, for the lowest monitored one; accuracy, for the highest; or last, for the last epoch.
    """
    if by == "last":
        return epochs[-1]
    if by == "accuracy":
        return max(epochs, key=lambda epoch: (epoch.validation or epoch.train).accuracy)
    return min(epochs, key=lambda epoch: epoch.monitored_loss)


@dataclass(frozen=True)
class TrainState:
    """How far a run is: `step` steps of epoch `epoch` (from 1) are done, and all of `epochs`.

    total_steps: since the first epoch. sums and seconds: of this epoch's steps so far.
    """

    epoch: int = 1
    step: int = 0
    total_steps: int = 0
    sums: MetricSums = NO_METRICS
    seconds: float = 0.0
    epochs: tuple[Epoch, ...] = ()

    def measured(self, validation: Score | None, learning_rate: float) -> Epoch:
        """Return the measures of the epoch, all of whose steps are done."""
        return Epoch(
            number=self.epoch,
            train=self.sums.score(),
            validation=validation,
            seconds=self.seconds,
            sequences_per_second=self.sums.rows / self.seconds,
            input_wait=self.sums.waited / self.seconds,
            learning_rate=learning_rate,
        )

    def after_epoch(self, epoch: Epoch) -> TrainState:
        """Return the state at the beginning of the next epoch."""
        epochs = (*self.epochs, epoch)
        return TrainState(self.epoch + 1, total_steps=self.total_steps, epochs=epochs)

    def after_steps(self, step: int, sums: MetricSums, seconds: float) -> TrainState:
        """Return the state in the same epoch when `step` of its steps are done."""
        total_steps = self.total_steps + step - self.step
        return replace(self, step=step, total_steps=total_steps, sums=sums, seconds=seconds)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> TrainState:
        """Return the state that `asdict` and JSON turned into `content`."""
        sums = MetricSums(*content["sums"])
        epochs = tuple(Epoch.from_json(epoch) for epoch in content["epochs"])
        return cls(**{**content, "sums": sums, "epochs": epochs})
