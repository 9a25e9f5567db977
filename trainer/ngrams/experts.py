"""The experts that a model of n-grams consists of, and their common answer.

The bag answers from the mean of the vectors of the distinct n-grams. Of few labels an n-gram has a
score for each, which is logistic regression; of many the vectors are narrower, as in fastText
(Joulin et al., 2017). The stacked LSTM reads the sum of the vectors at each position: that of the
character, and those of the n-grams that end there (Bojanowski et al., 2017). It answers from its
output at the last position and the mean of all. There may be several, whose log-probabilities are
averaged: each begins with other weights, and errs elsewhere.

These two have vectors, a loss and a softmax of their own: trained as one, the LSTM spoils the
vectors of the bag where rows are few. The third expert, `trainer.ngrams.language_models`, counts.
The log-probabilities of all are added, with weights, which gives one answer better than each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import keras
import tensorflow as tf

BAG, LSTM, LANGUAGE_MODELS = range(3)
# The weights of their log-probabilities, until validation rows tell more. Symbols near each other
# tell the same, which the language models' product of probabilities does not know: they are far
# too sure.
FIRST_MIXTURE = (0.4, 0.4, 0.05)
# Kernel, recurrent kernel and bias of an LSTM layer.
Layer = tuple[keras.Variable, keras.Variable, keras.Variable]
# From the number of an LSTM, its layers, (rows, positions, lstm_dim) float32 and lengths (rows,)
# int32 to the last layer's output at the last position of each row beside its mean over all,
# (rows, 2 · units).
Read = Callable[[int, Sequence[Layer], tf.Tensor, tf.Tensor], tf.Tensor]


@dataclass(frozen=True)
class Size:
    """The size of a model of n-grams.

    unknown_id: the largest id of a sequence; the marks of begin and end follow it. classes: labels.
    max_length: timesteps of a sequence, without marks. lstms: that are averaged. units: of each
    LSTM layer. bag_dim and lstm_dim: the widths of the vectors of the bag and of each LSTM; a
    bag_dim of `classes` stands for the scores of the labels themselves. ngram_max: the longest
    n-gram. num_buckets: a power of two.
    """

    unknown_id: int
    classes: int
    max_length: int
    lstms: int
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
    def num_symbols(self) -> int:
        """The symbols that can follow another: the ids, and the mark of the end."""
        return self.unknown_id + 1

    @property
    def lstms_dim(self) -> int:
        """The width of the vectors of all LSTMs together."""
        return self.lstms * self.lstm_dim

    @property
    def table_widths(self) -> tuple[int, ...]:
        """The widths of the vectors that stand side by side in a row of the table."""
        return self.bag_dim, *[self.lstm_dim] * self.lstms


class Inputs(NamedTuple):
    """What the experts answer from, for some rows.

    marked: (rows, positions) int32, the sequences with their marks. length: (rows,) int32, with the
    marks. mean: (rows, bag_dim) float32, of the bag's vectors. sums: (rows, positions, lstms ·
    lstm_dim) float32, of the vectors of each LSTM at each position.
    """

    marked: tf.Tensor
    length: tf.Tensor
    mean: tf.Tensor
    sums: tf.Tensor


class _Lstm:
    """The weights of a stacked LSTM, but for the vectors of n-grams.

    name: a prefix of those of its variables.
    """

    def __init__(self, size: Size, name: str) -> None:
        symbols = size.unknown_id + 3
        self.characters = _weight(f"{name}characters", (symbols, size.lstm_dim), _normal())
        self.layers = [
            _layer(f"{name}lstm_{number}", width, units)
            for number, (width, units) in enumerate(
                zip((size.lstm_dim, *size.units), size.units, strict=False), start=1
            )
        ]
        self.softmax = [
            _kernel(f"{name}lstm", 2 * size.units[-1], size.classes),
            _bias(f"{name}lstm", size.classes),
        ]

    @property
    def variables(self) -> list[keras.Variable]:
        """All weights, in a fixed order."""
        return [self.characters, *(each for layer in self.layers for each in layer), *self.softmax]


class Experts:
    """The weights that BAG and LSTM learn, but for the vectors of n-grams, and the mixture of all.

    All are variables of Keras.
    """

    def __init__(self, size: Size) -> None:
        self.size = size
        names = ["", *(f"member_{number}_" for number in range(2, size.lstms + 1))]
        self.lstms = [_Lstm(size, name) for name in names]
        self.bag_softmax = [_bias("bag", size.classes)]
        if not self.scores_labels:
            self.bag_softmax.insert(0, _kernel("bag", size.bag_dim, size.classes))
        self.mixture = keras.Variable(FIRST_MIXTURE, trainable=False, name="mixture")

    @property
    def scores_labels(self) -> bool:
        """Whether a vector of the bag is a score for each label."""
        return self.size.bag_dim == self.size.classes

    @property
    def trainable_variables(self) -> list[keras.Variable]:
        """All weights that gradients change, in a fixed order."""
        return [*(each for lstm in self.lstms for each in lstm.variables), *self.bag_softmax]

    @property
    def softmaxes(self) -> list[keras.Variable]:
        """The weights whose last axis is that of the labels."""
        return [*(each for lstm in self.lstms for each in lstm.softmax), *self.bag_softmax]

    @property
    def variables(self) -> list[keras.Variable]:
        """All weights, in a fixed order."""
        return [*self.trainable_variables, self.mixture]

    def log_probabilities(self, inputs: Inputs, read: Read) -> tf.Tensor:
        """Return the log-probabilities of the bag and of each LSTM, (rows, 1 + lstms, classes)."""
        scores = [_score(inputs.mean, self.bag_softmax)]
        of_lstms = tf.split(inputs.sums, len(self.lstms), axis=2)
        for number, (lstm, sums) in enumerate(zip(self.lstms, of_lstms, strict=True)):
            characters = tf.gather(tf.convert_to_tensor(lstm.characters), inputs.marked)
            outputs = read(number, lstm.layers, characters + sums, inputs.length)
            scores.append(_score(outputs, lstm.softmax))
        return tf.nn.log_softmax(tf.stack(scores, axis=1))


def average_lstms(log_probabilities: tf.Tensor) -> tf.Tensor:
    """Return the log-probabilities of BAG and LSTM, (rows, 2, classes).

    log_probabilities: of the bag and of each LSTM, (rows, 1 + lstms, classes).
    """
    bag, lstms = log_probabilities[:, :1], log_probabilities[:, 1:]
    if lstms.shape[1] > 1:
        lstms = tf.nn.log_softmax(tf.reduce_mean(lstms, axis=1, keepdims=True))
    return tf.concat([bag, lstms], axis=1)


def mix(log_probabilities: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Return the common log-probabilities (rows, classes) of experts (rows, experts, classes).

    weights: (experts,) float32, by which the log-probabilities are multiplied before they are
    added.
    """
    return tf.nn.log_softmax(tf.reduce_sum(log_probabilities * weights[:, tf.newaxis], axis=1))


def _layer(name: str, width: int, units: int) -> Layer:
    """Return kernel, recurrent kernel and bias of an LSTM layer, as keras.layers.LSTM begins."""
    bias = [0.0] * units + [1.0] * units + [0.0] * 2 * units
    return (
        _weight(f"{name}_kernel", (width, 4 * units), keras.initializers.GlorotUniform()),
        _weight(f"{name}_recurrent_kernel", (units, 4 * units), keras.initializers.Orthogonal()),
        keras.Variable(bias, name=f"{name}_bias"),
    )


def _kernel(name: str, width: int, classes: int) -> keras.Variable:
    return _weight(f"{name}_kernel", (width, classes), keras.initializers.GlorotUniform())


def _bias(name: str, classes: int) -> keras.Variable:
    return keras.Variable(tf.zeros([classes]), name=f"{name}_bias")


def _score(inputs: tf.Tensor, weights: Sequence[keras.Variable]) -> tf.Tensor:
    """Return the scores of the labels; without a kernel, `inputs` are scores but for the bias."""
    *kernels, bias = (tf.convert_to_tensor(each) for each in weights)
    for kernel in kernels:
        inputs @= kernel
    return inputs + bias


def _weight(
    name: str, shape: tuple[int, ...], initializer: keras.initializers.Initializer
) -> keras.Variable:
    return keras.Variable(initializer(shape), name=name)


def _normal() -> keras.initializers.Initializer:
    # Of the size that an LSTM's first weights expect, as in `trainer.model.network`.
    return keras.initializers.RandomNormal(stddev=1.0)
