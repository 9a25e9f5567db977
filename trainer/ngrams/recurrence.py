"""How the LSTM of a model of n-grams reads a sequence in training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import tensorflow as tf

from trainer.model.dropout import drop, random_bits
from trainer.ngrams.experts import Layer

# (sequences, steps, kernel, recurrent kernel, bias) to outputs, as `xla_lstm.lstm`.
RunLSTM = Callable[[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]


class Dropout(NamedTuple):
    """The dropout of a step: a function of its key and of the row alone.

    rate: of the outputs of each LSTM layer; half of it for its inputs. key: (2,) int32, another one
    for all rows of each step that are computed together.
    """

    rate: float
    key: tf.Tensor

    def apply(self, values: tf.Tensor, lstm: int, layer: int, rate: float) -> tf.Tensor:
        """Return `values` with a share of them set to zero; lstm and layer: numbers from 0."""
        key = self.key + tf.constant([layer, lstm])
        return drop(values, rate, random_bits(tf.shape(values), key))


@dataclass(frozen=True)
class Recurrence:
    """A stack of LSTM layers, one after another over whole sequences.

    run_lstm: computes a layer. dropout: None outside of training.
    """

    run_lstm: RunLSTM
    dropout: Dropout | None = None

    def __call__(
        self, lstm: int, layers: Sequence[Layer], vectors: tf.Tensor, length: tf.Tensor
    ) -> tf.Tensor:
        """Return the last and the mean outputs, as `trainer.ngrams.experts.Read` describes."""
        dropout = self.dropout
        if dropout:
            vectors = dropout.apply(vectors, lstm, 0, dropout.rate / 2)
        outputs = tf.transpose(vectors, [1, 0, 2])
        for number, layer in enumerate(layers, start=1):
            weights = (tf.convert_to_tensor(each) for each in layer)
            outputs = self.run_lstm(outputs, tf.reduce_max(length), *weights)
            if number == len(layers):
                outputs = _last_and_mean(outputs, length)
            if dropout:
                outputs = dropout.apply(outputs, lstm, number, dropout.rate)
        return outputs


def _last_and_mean(outputs: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """Return of outputs (positions, rows, units) the last of each row beside their mean."""
    last = tf.gather_nd(outputs, tf.stack([length - 1, tf.range(tf.size(length))], axis=1))
    is_inside = tf.range(tf.shape(outputs)[0])[:, tf.newaxis] < length
    total = tf.reduce_sum(tf.where(is_inside[..., tf.newaxis], outputs, 0), axis=0)
    return tf.concat([last, total / tf.cast(length, tf.float32)[:, tf.newaxis]], axis=1)
