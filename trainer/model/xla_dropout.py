"""A dropout layer for XLA on CPUs: keras.layers.Dropout with a generator that is fast there."""

from __future__ import annotations

import keras
import tensorflow as tf

from trainer.model.dropout import drop


class XlaDropout(keras.layers.Dropout):
    """`keras.layers.Dropout` with masks from Threefry (Salmon et al., 2011), in XLA only.

    Keras leaves the choice of the generator to TensorFlow, which gives XLA on a CPU one that takes
    400 ns for each number, most of a step. Threefry takes 3 ns.
    """

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Return `inputs` of any shape, float32; in training with a share of them set to zero."""
        if not training:
            return inputs
        seed = tf.cast(self.seed_generator.next(), tf.int32)
        numbers = tf.random.stateless_uniform(tf.shape(inputs), seed, alg="threefry")
        return drop(inputs, self.rate, numbers)
