"""Steps of training and of evaluation: a batch on every replica of a strategy at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import keras
import tensorflow as tf

from trainer.training.state import MetricSums

# XLA computes one part of a batch on one core, and several parts at once. A number of rows, not of
# parts for each core: the sums, and so the weights, do not depend on the machine.
_ROWS_PER_PART = 128

Batch = tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]


class Steps:
    """Steps of a model and its optimizer under a strategy.

    batch_size: of all replicas together. jit_compile: the model is one of `build_xla_model`.
    class_weights: of the loss of each label, in the order of their ids. clip_norm: the largest norm
    of all gradients together.
    """

    def __init__(
        self,
        strategy: tf.distribute.Strategy,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        *,
        batch_size: int,
        jit_compile: bool,
        class_weights: Sequence[float] | None = None,
        clip_norm: float | None = None,
        steps_per_execution: int = 16,
    ) -> None:
        self.strategy = strategy
        self._model = model
        self._optimizer = optimizer
        self._class_weights = class_weights
        self._clip_norm = clip_norm
        self._steps_per_execution = steps_per_execution
        self._parts_of_share = num_microbatches(batch_size // strategy.num_replicas_in_sync)
        self._in_parts = jit_compile
        self._gradients = tf.function(self._part_gradients, jit_compile=jit_compile)
        self._sums = tf.function(self._part_sums, jit_compile=jit_compile)
        # Over several replicas it adds up what they give, which XLA cannot do.
        alone = jit_compile and strategy.num_replicas_in_sync == 1
        self._apply = tf.function(self._apply_gradients, jit_compile=True) if alone else (
            self._apply_gradients
        )  # fmt: skip
        self._train_steps = self._repeated(self._train_step)
        self._evaluation_steps = self._repeated(self._evaluation_step)

    def train(
        self,
        batches: tf.data.Dataset,
        steps: range,
        sums: MetricSums,
        learning_rate: Callable[[], float],
    ) -> Iterator[tuple[int, MetricSums]]:
        """Take these steps; yield every few of them the last one and the sums, `sums` included.

        learning_rate: asked before each few steps.
        """
        return self._run(self._train_steps, batches, steps, sums, learning_rate)

    def evaluate(
        self, batches: tf.data.Dataset, steps: range, sums: MetricSums
    ) -> Iterator[tuple[int, MetricSums]]:
        """Like `train`, with the weights left as they are."""
        return self._run(self._evaluation_steps, batches, steps, sums)

    def _run(
        self,
        run_steps: Callable[..., tuple[tf.Tensor, tf.Tensor]],
        batches: tf.data.Dataset,
        steps: range,
        sums: MetricSums,
        learning_rate: Callable[[], float] | None = None,
    ) -> Iterator[tuple[int, MetricSums]]:
        iterator = iter(
            self.strategy.distribute_datasets_from_function(
                lambda context: split_over_replicas(batches, context)
            )
        )
        for first in steps[:: self._steps_per_execution]:
            if learning_rate:
                self._optimizer.learning_rate.assign(learning_rate())
            done = min(first + self._steps_per_execution, steps.stop)
            more, waited = run_steps(iterator, tf.constant(done - first))
            sums = sums.plus(*more.numpy().tolist(), float(waited))
            yield done, sums

    def _repeated(
        self, step: Callable[..., tf.Tensor]
    ) -> Callable[..., tuple[tf.Tensor, tf.Tensor]]:
        """A graph that takes `count` batches of an iterator.

        It gives loss, correct answers and rows (3,), and the seconds it waited for batches ().
        """

        def run_steps(batches: Iterator[Any], count: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            sums, waited = tf.zeros(3), tf.zeros((), tf.float64)
            for _ in tf.range(count):
                with tf.control_dependencies([sums]):  # Not before the last step is over.
                    asked = _now()
                with tf.control_dependencies([asked]):
                    batch = next(batches)
                with tf.control_dependencies(self.strategy.experimental_local_results(batch[2])):
                    got = _now()
                waited += got - asked
                on_replicas = self.strategy.run(_begun_after(got, step), args=batch)
                sums += self.strategy.reduce(tf.distribute.ReduceOp.SUM, on_replicas, axis=None)
            return sums, waited

        graph: Callable[..., tuple[tf.Tensor, tf.Tensor]] = tf.function(run_steps)
        return graph

    def _train_step(self, *batch: Any) -> tf.Tensor:
        """One replica's part of a step; gives loss, correct answers and rows (3,)."""
        replica = tf.distribute.get_replica_context()
        *_, weights = batch
        rows = replica.all_reduce(tf.distribute.ReduceOp.SUM, tf.reduce_sum(weights))
        results = [self._gradients(*part, rows) for part in self._parts(batch)]
        gradients = [tf.add_n(parts) for parts in zip(*(g for g, _ in results), strict=True)]
        if self._clip_norm:
            # The optimizer adds up over replicas, and would clip before that.
            total = replica.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
            clipped, _ = tf.clip_by_global_norm(total, self._clip_norm)
            gradients = [each / self.strategy.num_replicas_in_sync for each in clipped]
        with tf.control_dependencies([self._apply(*gradients)]):  # A step ends with its update.
            return tf.add_n([sums for _, sums in results])

    def _evaluation_step(self, *batch: Any) -> tf.Tensor:
        return tf.add_n([self._sums(*part) for part in self._parts(batch)])

    def _parts(self, batch: Any) -> list[Batch]:
        """The rows of a replica, in as many parts as XLA is to compute at once."""
        features, labels, weights = batch
        if not self._in_parts:
            longest = tf.reduce_max(features["length"])
            return [({**features, "sequence": features["sequence"][:, :longest]}, labels, weights)]
        rows, count = tf.size(labels), self._parts_of_share
        bounds = [rows * number // count for number in range(count + 1)]
        return [
            tf.nest.map_structure(lambda each, f=first, to=last: each[f:to], batch)
            for first, last in pairwise(bounds)
        ]

    def _part_gradients(
        self, features: dict[str, tf.Tensor], labels: tf.Tensor, weights: tf.Tensor, rows: tf.Tensor
    ) -> tuple[list[tf.Tensor], tf.Tensor]:
        """Gradients of the mean loss over all `rows` of a batch, of these; and their sums (3,)."""
        variables = self._model.trainable_variables
        with tf.GradientTape() as tape:
            probabilities = self._model(features, training=True)
            loss = _loss(labels, probabilities)
            balanced = weights * self._weights_of(labels)
            mean = tf.reduce_sum(loss * balanced) / rows
        # The embedding's is sparse: dense it has one shape, whatever the batch, and is far smaller.
        gradients = [tf.convert_to_tensor(each) for each in tape.gradient(mean, variables)]
        return gradients, _sums(labels, probabilities, loss, weights)

    def _part_sums(
        self, features: dict[str, tf.Tensor], labels: tf.Tensor, weights: tf.Tensor
    ) -> tf.Tensor:
        probabilities = self._model(features, training=False)
        return _sums(labels, probabilities, _loss(labels, probabilities), weights)

    def _apply_gradients(self, *gradients: tf.Tensor) -> tf.Tensor:
        self._optimizer.apply(gradients, self._model.trainable_variables)
        return tf.identity(self._optimizer.iterations)

    def _weights_of(self, labels: tf.Tensor) -> tf.Tensor | float:
        return tf.gather(self._class_weights, labels) if self._class_weights else 1.0


def num_microbatches(rows: int) -> int:
    """In how many parts XLA is to compute so many rows; two of few rows, for two cores."""
    return max(rows // _ROWS_PER_PART, min(2, rows // (_ROWS_PER_PART // 4)), 1)


def split_over_replicas(
    batches: tf.data.Dataset, context: tf.distribute.InputContext
) -> tf.data.Dataset:
    """Of every batch, the shares of one worker's replicas, one after another."""
    replicas, workers = context.num_replicas_in_sync, context.num_input_pipelines
    if replicas == 1:
        return batches
    here = replicas // workers
    size = batches.element_spec[1].shape[0]

    def shares(*batch: Any) -> tf.data.Dataset:
        first = context.input_pipeline_id * here
        bounds = [size * number // replicas for number in range(first, first + here + 1)]
        # Not `from_tensors`: TensorFlow counts it as stateful, and then makes no batch ahead.
        datasets = [
            tf.data.Dataset.from_tensor_slices(
                tf.nest.map_structure(lambda each, f=f, to=to: each[tf.newaxis, f:to], batch)
            )
            for f, to in pairwise(bounds)
        ]
        whole = datasets[0]
        for other in datasets[1:]:
            whole = whole.concatenate(other)
        return whole

    return batches.flat_map(shares)


def _begun_after(moment: tf.Tensor, step: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
    """`step` held back until `moment` is there: else the clock waits for a free core."""

    def run(*batch: Any) -> tf.Tensor:
        with tf.control_dependencies([moment]):
            return step(*tf.nest.map_structure(tf.identity, batch))

    return run


def _now() -> tf.Tensor:
    """Seconds () float64; `tf.timestamp` is refused where operations are to be deterministic."""
    return tf.ensure_shape(tf.numpy_function(time.perf_counter, [], tf.float64), [])


def _loss(labels: tf.Tensor, probabilities: tf.Tensor) -> tf.Tensor:
    return keras.losses.sparse_categorical_crossentropy(labels, probabilities)


def _sums(
    labels: tf.Tensor, probabilities: tf.Tensor, loss: tf.Tensor, weights: tf.Tensor
) -> tf.Tensor:
    """Loss, correct answers and rows (3,) float32, summed over rows of weight 1."""
    correct = tf.cast(tf.argmax(probabilities, axis=1) == labels, tf.float32)
    return tf.stack([tf.reduce_sum(values * weights) for values in (loss, correct)]
                    + [tf.reduce_sum(weights)])  # fmt: skip
