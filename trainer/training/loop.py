"""The epochs of a run: train, validate, measure, save."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

from charseq.errors import DataError, Preempted
from trainer.data.batches import Batches
from trainer.settings import Settings
from trainer.steps.metrics import NO_METRICS, MetricSums, Score
from trainer.steps.steps import Steps
from trainer.training.checkpoint import Checkpoints
from trainer.training.distributed import any_worker
from trainer.training.divergence import check_sound
from trainer.training.history import History
from trainer.training.progress import Progress
from trainer.training.schedule import learning_rate, stops_early
from trainer.training.state import TrainState, best_epoch


class TrainingLoop:
    """A run from a state to the end of its last epoch, saved on the way.

    Args:
        settings: the options of the run.
        batches: of its dataset.
        steps: what it trains with.
        checkpoints: where it saves.
        preempted: set at SIGTERM; the run is then saved and left at the next return from a graph.
        state: where it begins.
        before_validation: called with `batches` before each validation.
    """

    def __init__(
        self,
        settings: Settings,
        batches: Batches,
        steps: Steps,
        checkpoints: Checkpoints,
        preempted: threading.Event,
        state: TrainState,
        before_validation: Callable[[Batches], None] = lambda _: None,
    ) -> None:
        self.state = state
        self._before_validation = before_validation
        self._settings = settings
        self._batches = batches
        self._steps = steps
        self._checkpoints = checkpoints
        self._preempted = preempted
        self._steps_per_epoch = batches.count("train")
        rows = batches.manifest.records("train")
        self._progress = Progress(settings.epochs, rows, self._steps_per_epoch)
        self._history = History(checkpoints.output, state.epochs, settings.best_by)

    def run(self) -> None:
        """Train and validate until the last epoch is done.

        Raises:
            DataError: the training diverged; no checkpoint of it replaces an earlier one.
            Preempted: `preempted` is set, and what was done is saved.
        """
        for epoch in self.state.epochs:  # An earlier version may have gone on after a divergence.
            self._check_loss(epoch.monitored_loss, f"in epoch {epoch.number}")
        try:
            while not self._is_done():
                self._train()
                self._end_epoch(self._validate())
        finally:
            self._progress.clear()

    def _is_done(self) -> bool:
        if self.state.epoch > self._settings.epochs:
            return True
        return stops_early(self._settings, self.state.epochs)

    def _train(self) -> None:
        """Take the steps of the epoch that are left; none, if it was killed after the last one."""
        started = time.monotonic() - self.state.seconds
        left = self._batches.training(self.state.epoch, self.state.step)
        numbers = range(self.state.step, self._steps_per_epoch)
        for step, sums in self._steps.train(left, numbers, self.state.sums, self._learning_rate):
            self._check_steps(step, sums)
            self.state = self.state.after_steps(step, sums, time.monotonic() - started)
            self._progress.update(self.state)
            self._save_if_preempted()
            self._checkpoints.save_if_due(self.state)

    def _check_steps(self, step: int, sums: MetricSums) -> None:
        """Check the loss of the steps that lead from the state to `step`, and to these sums."""
        first = self.state.total_steps + 1
        last = self.state.total_steps + step - self.state.step
        loss = sums.since(self.state.sums).score().loss
        self._check_loss(loss, f"in steps {first:,} to {last:,}")

    def _check_loss(self, loss: float, where: str) -> None:
        """Check that a loss is sound, and with it the weights of the newest checkpoint.

        Raises:
            DataError: it is not; the newest checkpoint, if no loss confirmed it, is removed.
        """
        labels = len(self._batches.manifest.labels)
        try:
            check_sound(loss, labels, where, self._settings)
        except DataError:
            self._progress.clear()
            self._checkpoints.discard_unconfirmed()
            raise
        self._checkpoints.confirm()

    def _learning_rate(self) -> float:
        return learning_rate(self._settings, self.state, self._steps_per_epoch)

    def _validate(self) -> Score | None:
        score = None
        self._before_validation(self._batches)
        for latest in validate(self._steps, self._batches):
            score = latest
            self._check_loss(score.loss, f"on validation after step {self.state.total_steps:,}")
            self._save_if_preempted()
        if score is None:
            self._check_last_update()
        return score

    def _check_last_update(self) -> None:
        """Check the weights that the last step of an epoch left, where no validation does so."""
        batch = self._batches.evaluation("train")
        for _, sums in self._steps.evaluate(batch, range(1), NO_METRICS):
            self._check_loss(sums.score().loss, f"after step {self.state.total_steps:,}")

    def _save_if_preempted(self) -> None:
        if any_worker(self._steps.strategy, self._preempted.is_set()):
            self._checkpoints.save(self.state)
            raise Preempted(f"SIGTERM: saved after step {self.state.total_steps}")

    def _end_epoch(self, validation: Score | None) -> None:
        """Print, log and save what the epoch measured, and begin the next one.

        The checkpoint comes last: a run that is killed before it ends the epoch once more.
        """
        self._checkpoints.check()
        epoch = self.state.measured(validation, self._learning_rate())
        self._progress.clear()
        print(f"epoch {epoch.number}/{self._settings.epochs}: {epoch}", flush=True)
        self.state = self.state.after_epoch(epoch)
        if best_epoch(self.state.epochs, self._settings.best_by) is epoch:
            self._checkpoints.save_best()
        self._history.add(epoch)
        self._checkpoints.save(self.state)
        self._checkpoints.confirm()


def validate(steps: Steps, batches: Batches) -> Iterator[Score]:
    """Measure on the validation split; yield the score of the rows so far every few steps.

    The last score is of all rows. Without such a split there is none.
    """
    count = batches.count("validation")
    if not count:
        return
    for _, sums in steps.evaluate(batches.evaluation("validation"), range(count), NO_METRICS):
        yield sums.score()
