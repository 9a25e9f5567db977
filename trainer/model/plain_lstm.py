"""An LSTM of plain TensorFlow operations, which every server, and every device, can run."""

from __future__ import annotations

import tensorflow as tf


def lstm(
    sequences: tf.Tensor,
    steps: tf.Tensor,
    kernel: tf.Tensor,
    recurrent_kernel: tf.Tensor,
    bias: tf.Tensor,
) -> tf.Tensor:
    """Return what `trainer.model.xla_lstm.lstm` returns, up to the rounding of float32 sums.

    Args and Returns: as there.
    """
    units = recurrent_kernel.shape[0]
    inputs = sequences[:steps] @ kernel + bias
    outputs = tf.TensorArray(tf.float32, size=steps, element_shape=[None, units])

    def step(number, output, state, outputs):  # type: ignore[no-untyped-def]
        i, f, g, o = tf.split(inputs[number] + output @ recurrent_kernel, 4, axis=1)
        state = tf.sigmoid(f) * state + tf.sigmoid(i) * tf.tanh(g)
        output = tf.sigmoid(o) * tf.tanh(state)
        return number + 1, output, state, outputs.write(number, output)

    zeros = tf.zeros([tf.shape(sequences)[1], units])
    *_, outputs = tf.while_loop(lambda number, *_: number < steps, step, (0, zeros, zeros, outputs))
    return tf.pad(outputs.stack(), [[0, tf.shape(sequences)[0] - steps], [0, 0], [0, 0]])
