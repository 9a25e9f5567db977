"""What one replica computes in a step of a model of n-grams.

Hashing, looking vectors up and writing them back are plain TensorFlow operations on the rows of a
batch. The experts are one XLA function of the sums of these vectors, which returns the gradients by
them; those of the vectors are sums over the places where their n-grams stand.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import keras
import tensorflow as tf

from trainer.model import plain_lstm, xla_lstm
from trainer.model.dropout import drop, random_bits
from trainer.ngrams.experts import LANGUAGE_MODELS, Inputs, average_lstms, mix
from trainer.ngrams.hashing import buckets_of
from trainer.ngrams.language_models import add_language_models
from trainer.ngrams.model import (
    NgramModel,
    Read,
    hash_sequences,
    make_inputs,
    order_distinct,
    read_all,
)
from trainer.ngrams.recurrence import Dropout, Recurrence
from trainer.ngrams.table import Lookup, sum_by_row
from trainer.steps.losses import NUM_METRICS, balance, count_rows, metric_sums
from trainer.steps.replicas import (
    add_in_order,
    apply_gradients,
    gather,
    gather_sequences,
    keep_on_first,
    replica_number,
)
from trainer.steps.shares import Shares

# The number of a part, for the key of the n-grams that a step leaves out; no part has it.
_NGRAM_DROPOUT = -1
# What `NgramReplica.mixture_derivatives` returns.
MIXTURE_SUMS = 3 + 3 * 3

Features = dict[str, tf.Tensor]
# The log-probabilities of the experts for some rows, (rows, 3, classes), their labels and weights.
Answers = tuple[tf.Tensor, tf.Tensor, tf.Tensor]


class PartGradients(NamedTuple):
    """The gradients of a part's loss, and its metrics.

    mean: by the means of vectors, (rows, bag_dim). sums: by their sums at each position, (rows,
    positions, lstms · lstm_dim). weights: by the trainable variables of the experts. metrics: (3,).
    """

    mean: tf.Tensor
    sums: tf.Tensor
    weights: list[tf.Tensor]
    metrics: tf.Tensor


@dataclass(frozen=True)
class Regularization:
    """What keeps a model from learning its rows by heart.

    dropout: of the LSTM's outputs. ngram_dropout: the share of n-grams that a step leaves out.
    seed: of what is dropped.
    """

    dropout: float
    ngram_dropout: float
    seed: int


class NgramReplica:
    """One replica's part of a step; each method is called in its replica context.

    Args:
        model: to train.
        optimizer: of the weights of its experts, built for their variables.
        regularization: in training.
        table_rates: of the vectors of the bag and of the LSTM, in rates of the optimizer.
        shares: of replicas in a batch.
        class_weights: of the loss of each label, in the order of their ids.
        clip_norm: the largest norm of all gradients together.
        jit_compile: whether XLA compiles the experts.
    """

    def __init__(
        self,
        model: NgramModel,
        optimizer: keras.optimizers.Optimizer,
        regularization: Regularization,
        table_rates: tuple[float, float],
        *,
        shares: Shares,
        class_weights: Sequence[float] | None = None,
        clip_norm: float | None = None,
        jit_compile: bool = False,
    ) -> None:
        self.optimizer = optimizer
        self.shares = shares
        self.model = model
        self._regularization = regularization
        self._table_rates = table_rates
        self._class_weights = class_weights
        self._clip_norm = clip_norm
        self._run_lstm = xla_lstm.lstm if jit_compile else plain_lstm.lstm
        shape = [shares.batch_size, model.size.positions, model.size.ngram_max]
        self._ngram_bits = tf.function(
            partial(random_bits, shape), jit_compile=jit_compile, autograph=False
        )
        self._gradients = tf.function(
            self._part_gradients, jit_compile=jit_compile, autograph=False
        )
        self._log_probabilities = tf.function(
            self._part_answers, jit_compile=jit_compile, autograph=False
        )

    def train(self, features: Features, labels: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Update the model; return loss, correct answers and rows, (3,) float32, summed."""
        size = self.model.size
        marked, hashes = self._hash(features)
        lookup, read = self._look_up(buckets_of(hashes, size.num_buckets))
        own = Read(*(self._share(each) for each in read))
        inputs = self._make_inputs(marked, features["length"], lookup.vectors, own)
        rows = count_rows(weights)
        parts = self.shares.cut((self._pad_inputs(inputs), labels, weights), replica_number())
        results = [
            self._gradients(*part, rows, key)
            for part, key in zip(parts, self._part_keys(), strict=True)
        ]
        variables = self.model.experts.trainable_variables
        *dense, metrics = add_in_order(
            [(*result.weights, result.metrics) for result in results],
            self.shares.num_parts,
            [*(variable.shape for variable in variables), [NUM_METRICS]],
        )
        bag, lstm = (
            gather_sequences(each, size.positions) for each in _by_position(results, inputs, own)
        )
        distinct = tf.size(lookup.rows)
        by_vector = tf.concat(
            [
                sum_by_row(read.bag_places, bag, read.of_bag, distinct),
                sum_by_row(read.places, lstm, read.of_lstm, distinct),
            ],
            axis=1,
        )
        if self._clip_norm:
            (*dense, by_vector), _ = tf.clip_by_global_norm([*dense, by_vector], self._clip_norm)
        of_bag, of_lstm = self._table_rates
        rates = tf.constant([of_bag, *[of_lstm] * size.lstms])
        rates *= tf.convert_to_tensor(self.optimizer.learning_rate)
        updates = [
            apply_gradients(self.optimizer, dense, variables),
            # Adagrad does not depend on the scale of gradients, but for its epsilon: a sum over
            # rows, unlike a mean, is as large in a batch of any size.
            self.model.table.update(lookup, by_vector * rows, rates),
        ]
        with tf.control_dependencies(updates):  # A step ends with its update.
            return keep_on_first(metrics)

    def evaluate(self, features: Features, labels: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Return loss, correct answers and rows, (3,) float32, summed."""
        sums = [
            _metric_sums(labels, mix(answers, self.model.experts.mixture), weights)
            for answers, labels, weights in self._answer(features, labels, weights)
        ]
        return self._sum(sums, NUM_METRICS)

    def mixture_derivatives(
        self, features: Features, labels: tf.Tensor, weights: tf.Tensor
    ) -> tf.Tensor:
        """Return the derivatives of the loss by the experts' weights, summed over the rows.

        Returns:
            (12,) float32: the first ones, then the second ones, row by row.
        """
        mixture = tf.convert_to_tensor(self.model.experts.mixture)
        parts = self._answer(features, labels, weights)
        sums = [_mixture_derivatives(*part, mixture) for part in parts]
        return self._sum(sums, MIXTURE_SUMS)

    def _sum(self, parts: Sequence[tf.Tensor], size: int) -> tf.Tensor:
        """Return the sum over the parts of all replicas, (size,), as steps return it."""
        (whole,) = add_in_order([[part] for part in parts], self.shares.num_parts, [[size]])
        return keep_on_first(whole)

    def _answer(
        self, features: Features, labels: tf.Tensor, weights: tf.Tensor
    ) -> Iterator[Answers]:
        """Yield the experts' log-probabilities, labels and weights of each part.

        XLA compiles those that learn. Compiled, those of the language models would differ in their
        last bit from one number of replicas to another.
        """
        marked, hashes = self._hash(features)
        lookup = self.model.table.look_up(buckets_of(hashes, self.model.size.num_buckets))
        read = _read_lookup(lookup)
        inputs = self._make_inputs(marked, features["length"], lookup.vectors, read)
        whole = ((self._pad_inputs(inputs), hashes), labels, weights)
        for part, *more in self.shares.cut(whole, replica_number()):
            inputs, its_hashes = part
            learned = self._log_probabilities(inputs)
            yield (
                add_language_models(
                    learned,
                    self.model.statistics,
                    its_hashes,
                    inputs.length,
                    self.model.size.num_symbols,
                ),
                *more,
            )

    def _hash(self, features: Features) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the marked sequences of this replica's share, and the hashes of their n-grams.

        They are cut at the longest sequence of all replicas.
        """
        longest = tf.reduce_max(gather(tf.reduce_max(features["length"], keepdims=True)))
        ids = features["sequence"][:, :longest]
        return hash_sequences(self.model.size, ids, features["length"])

    def _look_up(self, buckets: tf.Tensor) -> tuple[Lookup, Read]:
        """Look up the n-grams of the whole batch; return also what is read of them.

        That is without those that the step leaves out.
        """
        buckets = gather_sequences(buckets, self.model.size.positions)
        lookup = self.model.table.look_up(buckets)
        read = _read_lookup(lookup)
        rate = self._regularization.ngram_dropout
        if rate:
            key = tf.random.experimental.stateless_fold_in(self._step_key(), _NGRAM_DROPOUT)
            bits = self._ngram_bits(tf.cast(key, tf.int32))[:, : tf.shape(buckets)[1]]
            read = read._replace(
                of_bag=drop(read.of_bag, rate, bits), of_lstm=drop(read.of_lstm, rate, bits)
            )
        return lookup, read

    def _make_inputs(
        self, marked: tf.Tensor, length: tf.Tensor, vectors: tf.Tensor, read: Read
    ) -> Inputs:
        size = self.model.size
        bag, lstm = tf.split(vectors, [size.bag_dim, size.lstms_dim], axis=1)
        return make_inputs(marked, length, bag, lstm, read)

    def _share(self, values: tf.Tensor) -> tf.Tensor:
        """Return this replica's rows of values (batch, …)."""
        return values[self.shares.rows(replica_number())]

    def _step_key(self) -> tf.Tensor:
        iterations = tf.convert_to_tensor(self.optimizer.iterations)
        return tf.stack([self._regularization.seed, tf.cast(iterations, tf.int64)])

    def _part_keys(self) -> list[tf.Tensor]:
        """Return a key for each part of this replica's share, by its number in the whole batch."""
        return [
            tf.random.experimental.stateless_fold_in(self._step_key(), number)
            for number in self.shares.parts(replica_number())
        ]

    def _pad_inputs(self, inputs: Inputs) -> Inputs:
        """Return the inputs in the shapes for which the experts are compiled."""
        return inputs._replace(marked=self._pad(inputs.marked), sums=self._pad(inputs.sums))

    def _pad(self, values: tf.Tensor) -> tf.Tensor:
        """Return `values` (rows, positions, …) with zeros at the positions that were cut off."""
        positions = self.model.size.positions
        widths = [[0, 0] for _ in values.shape]
        widths[1][1] = positions - tf.shape(values)[1]
        return tf.ensure_shape(tf.pad(values, widths), [None, positions, *values.shape[2:]])

    def _part_gradients(
        self,
        inputs: Inputs,
        labels: tf.Tensor,
        weights: tf.Tensor,
        rows: tf.Tensor,
        key: tf.Tensor,
    ) -> PartGradients:
        """Return a part's share of the gradients of the mean loss.

        rows: () float32, of the whole batch. key: of the part's dropout.
        """
        key = tf.cast(key, tf.int32)
        rate = self._regularization.dropout
        experts = self.model.experts
        variables = experts.trainable_variables
        with tf.GradientTape() as tape:
            tape.watch([inputs.mean, inputs.sums])
            dropout = Dropout(rate, key) if rate else None
            answers = experts.log_probabilities(inputs, Recurrence(self._run_lstm, dropout))
            balanced = balance(weights, labels, self._class_weights)
            loss = tf.reduce_sum(_losses(labels, answers) * balanced[:, tf.newaxis]) / rows
        gradients = tape.gradient(loss, [inputs.mean, inputs.sums, *variables])
        mean, sums, *dense = (tf.convert_to_tensor(each) for each in gradients)
        # Without the language models, which have counted these very rows.
        learned = tf.convert_to_tensor(experts.mixture)[:LANGUAGE_MODELS]
        metrics = _metric_sums(labels, mix(average_lstms(answers), learned), weights)
        return PartGradients(mean, sums, dense, metrics)

    def _part_answers(self, inputs: Inputs) -> tf.Tensor:
        answers = self.model.experts.log_probabilities(inputs, Recurrence(self._run_lstm))
        return average_lstms(answers)


def _read_lookup(lookup: Lookup) -> Read:
    """Return what is read of the n-grams of a lookup if none is left out."""
    exists = lookup.rows > 0
    bag_places, is_new = order_distinct(lookup.places)
    is_first = is_new & tf.gather(exists, bag_places)
    return read_all(lookup.places, tf.gather(exists, lookup.places), bag_places, is_first)


def _by_position(
    results: Sequence[PartGradients], inputs: Inputs, read: Read
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the gradients by the sums at each position, of the bag and of the LSTM.

    Both are (rows, positions, width), for the rows of all results, of which there may be none.
    """
    positions = tf.shape(read.places)[1]
    no_mean, no_sums = inputs.mean[:0], inputs.sums[:0]
    mean = tf.concat([no_mean, *(result.mean for result in results)], axis=0)
    mean /= read.count[:, tf.newaxis]
    sums = tf.concat([no_sums, *(result.sums[:, :positions] for result in results)], axis=0)
    return tf.repeat(mean[:, tf.newaxis], positions, axis=1), sums


def _mixture_derivatives(
    answers: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor, mixture: tf.Tensor
) -> tf.Tensor:
    """Return `NgramReplica.mixture_derivatives` of some rows."""
    probabilities = tf.exp(mix(answers, mixture))
    means = tf.reduce_sum(answers * probabilities[:, tf.newaxis], axis=2)
    first = means - tf.gather(answers, labels, axis=2, batch_dims=1)
    products = tf.matmul(answers * probabilities[:, tf.newaxis], answers, transpose_b=True)
    second = products - means[:, :, tf.newaxis] * means[:, tf.newaxis]
    both = tf.concat([first, tf.reshape(second, [-1, MIXTURE_SUMS - 3])], axis=1)
    return tf.reduce_sum(both * weights[:, tf.newaxis], axis=0)


def _losses(labels: tf.Tensor, answers: tf.Tensor) -> tf.Tensor:
    """Return the losses, (rows, …), of log-probabilities (rows, …, classes)."""
    return -tf.gather(answers, labels, axis=-1, batch_dims=1)


def _metric_sums(labels: tf.Tensor, answers: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Return `metric_sums` of log-probabilities (rows, classes)."""
    return metric_sums(labels, answers, _losses(labels, answers), weights)
