"""The two experts that a model of n-grams consists of, and their common answer.

The bag answers from the mean of the vectors of all n-grams, as fastText does (Joulin et al., 2017).
The stacked LSTM answers from the sum of the vectors at each position: that of the character, and
those of the n-grams that end there (Bojanowski et al., 2017). Each has vectors, a loss and a
softmax of its own: trained as one, the LSTM spoils the vectors of the bag where rows are few. Their
log-probabilities are added, with weights, which gives one answer better than either.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import keras
import tensorflow as tf

BAG, LSTM = range(2)
# (sequences, steps, kernel, recurrent kernel, bias) to outputs, as `xla_lstm.lstm`.
RunLSTM = Callable[[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]
_GENERATOR = "threefry"


@dataclass(frozen=True)
class Size:
    """The size of a model of n-grams.

    unknown_id: the largest id of a sequence; the marks of begin and end follow it. classes: labels.
    max_length: timesteps of a sequence, without marks. units: of each LSTM layer. bag_dim and
    lstm_dim: the widths of the vectors of the two experts. ngram_max: the longest n-gram.
    num_buckets: a power of two.
    """

    unknown_id: int
    classes: int
    max_length: int
    units: tuple[int, ...]
    bag_dim: int
    lstm_dim: int
    ngram_max: int
    num_buckets: int

    @property
    def positions(self) -> int:
        """The positions of a sequence with its marks."""
        return self.max_length + 2

    @property
    def table_width(self) -> int:
        """The width of a row of the table: the vectors of both experts side by side."""
        return self.bag_dim + self.lstm_dim


class Inputs(NamedTuple):
    """What the experts answer from, for some rows.

    marked: (rows, positions) int32, the sequences with their marks. length: (rows,) int32, with the
    marks. mean: (rows, bag_dim) float32, of the bag's vectors. sums: (rows, positions, lstm_dim)
    float32, of the LSTM's vectors at each position.
    """

    marked: tf.Tensor
    length: tf.Tensor
    mean: tf.Tensor
    sums: tf.Tensor


class Dropout(NamedTuple):
    """The dropout of a step: a function of its key and of the row alone.

    rate: of the outputs of each LSTM layer; half of it for its inputs. key: (2,) int32, another one
    for all rows of each step that are computed together.
    """

    rate: float
    key: tf.Tensor

    def apply(self, values: tf.Tensor, layer: int, rate: float) -> tf.Tensor:
        """Return `values` with a share of them set to zero; layer: of the model, from 0."""
        key = self.key + tf.constant([layer, 0])
        numbers = tf.random.stateless_uniform(tf.shape(values), key, alg=_GENERATOR)
        return values * tf.cast(numbers >= rate, values.dtype) / (1 - rate)


class Experts:
    """The weights of the experts, but for the vectors of n-grams; all are variables of Keras."""

    def __init__(self, size: Size) -> None:
        self.size = size
        symbols = size.unknown_id + 3
        self.characters = _weight("characters", (symbols, size.lstm_dim), _normal())
        self.layers = [
            _layer(number, width, units)
            for number, (width, units) in enumerate(
                zip((size.lstm_dim, *size.units), size.units, strict=False), start=1
            )
        ]
        self.lstm_softmax = _softmax("lstm", size.units[-1], size.classes)
        self.bag_softmax = _softmax("bag", size.bag_dim, size.classes)
        self.mixture = keras.Variable([0.5, 0.5], trainable=False, name="mixture")

    @property
    def trainable_variables(self) -> list[keras.Variable]:
        """All weights that gradients change, in a fixed order."""
        layers = [weight for layer in self.layers for weight in layer]
        return [self.characters, *layers, *self.lstm_softmax, *self.bag_softmax]

    @property
    def variables(self) -> list[keras.Variable]:
        """All weights, in a fixed order."""
        return [*self.trainable_variables, self.mixture]

    def log_probabilities(
        self, inputs: Inputs, run_lstm: RunLSTM, dropout: Dropout | None = None
    ) -> tf.Tensor:
        """Return the log-probabilities of each expert, (rows, 2, classes): BAG, then LSTM."""
        bag = _dense(inputs.mean, self.bag_softmax)
        recurrent = _dense(self._last_output(inputs, run_lstm, dropout), self.lstm_softmax)
        return tf.nn.log_softmax(tf.stack([bag, recurrent], axis=1))

    def _last_output(self, inputs: Inputs, run_lstm: RunLSTM, dropout: Dropout | None) -> tf.Tensor:
        vectors = tf.gather(tf.convert_to_tensor(self.characters), inputs.marked) + inputs.sums
        if dropout:
            vectors = dropout.apply(vectors, 0, dropout.rate / 2)
        outputs = tf.transpose(vectors, [1, 0, 2])
        steps = tf.reduce_max(inputs.length)
        rows = tf.range(tf.size(inputs.length))
        for number, layer in enumerate(self.layers, start=1):
            outputs = run_lstm(outputs, steps, *(tf.convert_to_tensor(each) for each in layer))
            if number == len(self.layers):
                outputs = tf.gather_nd(outputs, tf.stack([inputs.length - 1, rows], axis=1))
            if dropout:
                outputs = dropout.apply(outputs, number, dropout.rate)
        return outputs


def mix(log_probabilities: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Return the common log-probabilities (rows, classes) of experts (rows, 2, classes).

    weights: (2,) float32, by which the log-probabilities are multiplied before they are added.
    """
    return tf.nn.log_softmax(tf.reduce_sum(log_probabilities * weights[:, tf.newaxis], axis=1))


def _layer(
    number: int, width: int, units: int
) -> tuple[keras.Variable, keras.Variable, keras.Variable]:
    """Return kernel, recurrent kernel and bias of an LSTM layer, as keras.layers.LSTM begins."""
    name = f"lstm_{number}"
    bias = [0.0] * units + [1.0] * units + [0.0] * 2 * units
    return (
        _weight(f"{name}_kernel", (width, 4 * units), keras.initializers.GlorotUniform()),
        _weight(f"{name}_recurrent_kernel", (units, 4 * units), keras.initializers.Orthogonal()),
        keras.Variable(bias, name=f"{name}_bias"),
    )


def _softmax(name: str, width: int, classes: int) -> tuple[keras.Variable, keras.Variable]:
    kernel = _weight(f"{name}_kernel", (width, classes), keras.initializers.GlorotUniform())
    return kernel, keras.Variable(tf.zeros([classes]), name=f"{name}_bias")


def _dense(inputs: tf.Tensor, weights: Sequence[keras.Variable]) -> tf.Tensor:
    kernel, bias = (tf.convert_to_tensor(each) for each in weights)
    return inputs @ kernel + bias


def _weight(
    name: str, shape: tuple[int, ...], initializer: keras.initializers.Initializer
) -> keras.Variable:
    return keras.Variable(initializer(shape), name=name)


def _normal() -> keras.initializers.Initializer:
    # Of the size that an LSTM's first weights expect, as in `trainer.model.network`.
    return keras.initializers.RandomNormal(stddev=1.0)
