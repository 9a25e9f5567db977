"""How the LSTM of a model of n-grams reads a sequence in training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import tensorflow as tf

from trainer.model.dropout import drop
from trainer.ngrams.experts import Layer

# (sequences, steps, kernel, recurrent kernel, bias) to outputs, as `xla_lstm.lstm`.
RunLSTM = Callable[[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]
# What XLA runs fast on CPUs, as in `trainer.model.xla_dropout`, does not run outside of XLA.
XLA_GENERATOR, PLAIN_GENERATOR = "threefry", "philox"


class Dropout(NamedTuple):
    """The dropout of a step: a function of its key and of the row alone.

    rate: of the outputs of each LSTM layer; half of it for its inputs. key: (2,) int32, another one
    for all rows of each step that are computed together. generator: of TensorFlow's stateless ones.
    """

    rate: float
    key: tf.Tensor
    generator: str

    def apply(self, values: tf.Tensor, layer: int, rate: float) -> tf.Tensor:
        """Return `values` with a share of them set to zero; layer: of the model, from 0."""
        key = self.key + tf.constant([layer, 0])
        numbers = tf.random.stateless_uniform(tf.shape(values), key, alg=self.generator)
        return drop(values, rate, numbers)


@dataclass(frozen=True)
class Recurrence:
    """A stack of LSTM layers, one after another over whole sequences.

    run_lstm: computes a layer. dropout: None outside of training.
    """

    run_lstm: RunLSTM
    dropout: Dropout | None = None

    def __call__(self, layers: Sequence[Layer], vectors: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        """Return the last outputs, as `trainer.ngrams.experts.Read` describes."""
        dropout = self.dropout
        if dropout:
            vectors = dropout.apply(vectors, 0, dropout.rate / 2)
        outputs = tf.transpose(vectors, [1, 0, 2])
        for number, layer in enumerate(layers, start=1):
            weights = (tf.convert_to_tensor(each) for each in layer)
            outputs = self.run_lstm(outputs, tf.reduce_max(length), *weights)
            if number == len(layers):
                last = tf.stack([length - 1, tf.range(tf.size(length))], axis=1)
                outputs = tf.gather_nd(outputs, last)
            if dropout:
                outputs = dropout.apply(outputs, number, dropout.rate)
        return outputs
