"""Many steps inside one tf.function, each a batch that is split over the replicas of a strategy.

Each replica sums over its own rows, the sums are added up, and only then is there a mean: a row
that fills up the last batch has weight 0, and a replica that has only such rows changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from trainer.steps.clock import begin_after, next_batch
from trainer.steps.metrics import MetricSums
from trainer.steps.replica import StepFunctions
from trainer.steps.shares import Shares


class Steps:
    """Steps of training and of evaluation, `steps_per_execution` of them between two returns."""

    def __init__(
        self,
        strategy: tf.distribute.Strategy,
        replica: StepFunctions,
        steps_per_execution: int = 16,
    ) -> None:
        self.strategy = strategy
        self._optimizer = replica.optimizer
        self._shares = replica.shares
        self._steps_per_execution = steps_per_execution
        self._train_steps = repeat_step(strategy, replica.train)
        self._evaluation_steps = repeat_step(strategy, replica.evaluate)

    def train(
        self,
        batches: tf.data.Dataset,
        steps: range,
        sums: MetricSums,
        learning_rate: Callable[[], float],
    ) -> Iterator[tuple[int, MetricSums]]:
        """Take these steps; yield, after each execution, the steps done and the sums.

        Args:
            batches: the first one is for the first of `steps`.
            steps: by number, from 0 in each epoch.
            sums: of the steps before; those yielded include them.
            learning_rate: called before each execution.
        """
        return self._run(self._train_steps, batches, steps, sums, learning_rate)

    def evaluate(
        self, batches: tf.data.Dataset, steps: range, sums: MetricSums
    ) -> Iterator[tuple[int, MetricSums]]:
        """Measure like `train`, with the weights left as they are."""
        return self._run(self._evaluation_steps, batches, steps, sums)

    def _run(
        self,
        run_steps: Callable[..., tuple[tf.Tensor, tf.Tensor]],
        batches: tf.data.Dataset,
        steps: range,
        sums: MetricSums,
        learning_rate: Callable[[], float] | None = None,
    ) -> Iterator[tuple[int, MetricSums]]:
        iterator = distribute(self.strategy, batches, self._shares)
        for first in steps[:: self._steps_per_execution]:
            if learning_rate:
                self._optimizer.learning_rate.assign(learning_rate())
            done = min(first + self._steps_per_execution, steps.stop)
            more, waited = run_steps(iterator, tf.constant(done - first))
            sums = sums.plus(*more.numpy().tolist(), float(waited))
            yield done, sums


def repeat_step(
    strategy: tf.distribute.Strategy, step: Callable[..., tf.Tensor], num_sums: int = 3
) -> Callable[..., tuple[tf.Tensor, tf.Tensor]]:
    """Return a graph that takes a number of batches of an iterator.

    It returns what `step` returns, (num_sums,) float32, summed over the batches and replicas; and
    the seconds of waiting for batches, () float64.
    """

    def run_steps(batches: Iterator[Any], count: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        def run_step(
            done: tf.Tensor, sums: tf.Tensor, waited: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            batch, received, seconds = next_batch(batches, strategy, after=sums)
            on_replicas = strategy.run(begin_after(received, step), args=batch)
            more = strategy.reduce(tf.distribute.ReduceOp.SUM, on_replicas, axis=None)
            return done + 1, sums + more, waited + seconds

        begin = (0, tf.zeros(num_sums), tf.zeros((), tf.float64))
        _, sums, waited = tf.while_loop(lambda done, *_: done < count, run_step, begin)
        return sums, waited

    graph: Callable[..., tuple[tf.Tensor, tf.Tensor]] = tf.function(run_steps, autograph=False)
    return graph


def distribute(
    strategy: tf.distribute.Strategy, batches: tf.data.Dataset, shares: Shares
) -> Iterator[Any]:
    """Return an iterator over batches, as `repeat_step` takes it."""
    distributed = strategy.distribute_datasets_from_function(
        lambda context: split_over_replicas(batches, context, shares)
    )
    iterator: Iterator[Any] = iter(distributed)
    return iterator


def split_over_replicas(
    batches: tf.data.Dataset, context: tf.distribute.InputContext, shares: Shares
) -> tf.data.Dataset:
    """Return, of every batch, the shares of one worker's replicas, one after another."""
    num_replicas, num_workers = context.num_replicas_in_sync, context.num_input_pipelines
    if num_replicas == 1:
        return batches
    here = num_replicas // num_workers
    first = context.input_pipeline_id * here
    rows = [shares.rows(number) for number in range(first, first + here)]

    def divide(*batch: Any) -> tf.data.Dataset:
        # Not `from_tensors`: TensorFlow counts it as stateful, and then makes no batch ahead.
        datasets = [
            tf.data.Dataset.from_tensor_slices(
                tf.nest.map_structure(lambda each, own=own: each[tf.newaxis, own], batch)
            )
            for own in rows
        ]
        whole = datasets[0]
        for other in datasets[1:]:
            whole = whole.concatenate(other)
        return whole

    return batches.flat_map(divide)
