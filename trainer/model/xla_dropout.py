"""A dropout layer for XLA on CPUs: keras.layers.Dropout with masks that are fast there."""

from __future__ import annotations

import keras
import tensorflow as tf

from trainer.model.dropout import drop, random_bits


class XlaDropout(keras.layers.Dropout):
    """`keras.layers.Dropout` with masks of `trainer.model.dropout`.

    Keras leaves the choice of the generator to TensorFlow, which gives XLA on a CPU one that takes
    most of a step.
    """

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Return `inputs` of any shape, float32; in training with a share of them set to zero."""
        if not training:
            return inputs
        key = tf.cast(self.seed_generator.next(), tf.int32)
        return drop(inputs, self.rate, random_bits(tf.shape(inputs), key))
