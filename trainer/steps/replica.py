"""What one replica computes in a step: loss, gradients and the update of the weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import keras
import tensorflow as tf

from trainer.steps.losses import NUM_METRICS, balance, count_rows, metric_sums
from trainer.steps.replicas import add_in_order, apply_gradients, keep_on_first, replica_number
from trainer.steps.shares import Batch, Shares, trim_padding


class StepFunctions(Protocol):
    """What one replica computes in a step; each method is called in its replica context."""

    optimizer: keras.optimizers.Optimizer
    shares: Shares

    def train(self, *batch: Any) -> tf.Tensor:
        """Update the weights; return loss, correct answers and rows, (3,) float32, summed."""

    def evaluate(self, *batch: Any) -> tf.Tensor:
        """Return loss, correct answers and rows, (3,) float32, summed."""


class Objective:
    """The loss of a model, on one part of a batch.

    Args:
        model: to train; one of `build_xla_model` if jit_compile.
        class_weights: of the loss of each label, in the order of their ids.
        jit_compile: whether XLA compiles it.
    """

    def __init__(
        self,
        model: keras.Model,
        class_weights: Sequence[float] | None = None,
        *,
        jit_compile: bool = False,
    ) -> None:
        self.variables = model.trainable_variables
        self.jit_compile = jit_compile
        self.gradients = tf.function(self._gradients, jit_compile=jit_compile, autograph=False)
        self.sums = tf.function(self._sums, jit_compile=jit_compile, autograph=False)
        self._model = model
        self._class_weights = class_weights
        layers = [layer for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
        self._seeds = [layer.seed_generator.state for layer in layers]

    def draw_seeds(self, parts: range, count: int) -> list[list[tf.Tensor]]:
        """Return a seed of each dropout layer, (2,), for each of some parts of a batch.

        Each part's is its own, whichever replica computes it. If each part drew it itself, it would
        wait for the one before.

        Args:
            parts: the numbers of the parts.
            count: of all parts of the batch.
        """
        drawn = [[seed.value + _counted(number, seed) for seed in self._seeds] for number in parts]
        for seed in self._seeds:
            seed.assign(seed.value + _counted(count, seed))
        return drawn

    def _gradients(
        self,
        features: dict[str, tf.Tensor],
        labels: tf.Tensor,
        weights: tf.Tensor,
        rows: tf.Tensor,
        seeds: list[tf.Tensor],
    ) -> tuple[list[tf.Tensor], tf.Tensor]:
        """Return a part's gradients of the mean loss of the whole batch, and its sums.

        rows: () float32, of the whole batch, over which the mean is taken. seeds: of `draw_seeds`.
        """
        drawn = keras.StatelessScope(zip(self._seeds, seeds, strict=True))
        with drawn, tf.GradientTape() as tape:
            probabilities = self._model(features, training=True)
            loss = _loss(labels, probabilities)
            balanced = balance(weights, labels, self._class_weights)
            mean = tf.reduce_sum(loss * balanced) / rows
        # The embedding's is sparse: dense it has one shape, whatever the batch, and is far smaller.
        gradients = [tf.convert_to_tensor(each) for each in tape.gradient(mean, self.variables)]
        return gradients, metric_sums(labels, probabilities, loss, weights)

    def _sums(
        self, features: dict[str, tf.Tensor], labels: tf.Tensor, weights: tf.Tensor
    ) -> tf.Tensor:
        """Return the sums of a part; the model is not in training mode."""
        probabilities = self._model(features, training=False)
        return metric_sums(labels, probabilities, _loss(labels, probabilities), weights)


class Replica:
    """One replica's part of a step; each method is called in its replica context.

    Args:
        objective: what is minimised.
        optimizer: built for the variables of the objective.
        shares: of replicas in a batch; one part each, where XLA does not compile it.
        clip_norm: the largest norm of all gradients together.
    """

    def __init__(
        self,
        objective: Objective,
        optimizer: keras.optimizers.Optimizer,
        *,
        shares: Shares,
        clip_norm: float | None = None,
    ) -> None:
        self.optimizer = optimizer
        self.shares = shares
        self._objective = objective
        self._clip_norm = clip_norm

    def train(self, *batch: Any) -> tf.Tensor:
        """Update the weights; return loss, correct answers and rows, (3,) float32, summed."""
        *_, weights = batch
        rows = count_rows(weights)
        numbers, count = self.shares.parts(replica_number()), self.shares.num_parts
        seeds = self._objective.draw_seeds(numbers, count)
        results = [
            self._objective.gradients(*part, rows, its_seeds)
            for part, its_seeds in zip(self._parts(batch), seeds, strict=True)
        ]
        shapes = [*(variable.shape for variable in self._objective.variables), [NUM_METRICS]]
        *gradients, sums = add_in_order([(*each, more) for each, more in results], count, shapes)
        if self._clip_norm:
            gradients, _ = tf.clip_by_global_norm(gradients, self._clip_norm)
        update = apply_gradients(self.optimizer, gradients, self._objective.variables)
        with tf.control_dependencies([update]):  # A step ends with its update.
            return keep_on_first(sums)

    def evaluate(self, *batch: Any) -> tf.Tensor:
        """Return loss, correct answers and rows, (3,) float32, summed."""
        parts = [[self._objective.sums(*part)] for part in self._parts(batch)]
        (sums,) = add_in_order(parts, self.shares.num_parts, [[NUM_METRICS]])
        return keep_on_first(sums)

    def _parts(self, batch: Batch) -> list[Batch]:
        parts = self.shares.cut(batch, replica_number())
        return parts if self._objective.jit_compile else [trim_padding(part) for part in parts]


def _counted(steps: int | tf.Tensor, seed: keras.Variable) -> tf.Tensor:
    """Return what is added to the state of a generator that draws some seeds, (2,)."""
    return tf.stack([tf.zeros((), seed.dtype), tf.cast(steps, seed.dtype)])


def _loss(labels: tf.Tensor, probabilities: tf.Tensor) -> tf.Tensor:
    return keras.losses.sparse_categorical_crossentropy(labels, probabilities)
