"""An LSTM layer for XLA on CPUs: keras.layers.LSTM's weights and outputs, no work on padding.

Keras's loop runs over every timestep, and computes a masked step only to throw it away. This one
stops at the longest sequence of a batch. The number of its steps is a value, not a shape, so that
XLA compiles it once; and because the gradient is written by hand, nothing has to grow inside the
loops, which XLA could not compile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from tensorflow.compiler.tf2xla.python.xla import dynamic_update_slice


class CompiledLSTM(keras.layers.LSTM):
    """`keras.layers.LSTM` on time-major sequences of known lengths, in XLA only.

    Call: sequences (timesteps, batch, features) float32 and lengths (batch,) int64, 1 or more, to
    (timesteps, batch, units), zero or unspecified behind a sequence's end; without
    `return_sequences` to (batch, units), the output at its last character.
    """

    def build(
        self, sequences_shape: tuple[int | None, ...], length_shape: tuple[int | None, ...]
    ) -> None:
        """Make the weights of `keras.layers.LSTM`."""
        del length_shape
        super().build(sequences_shape)

    def call(self, sequences: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        """As the class says."""
        weights = (self.cell.kernel, self.cell.recurrent_kernel, self.cell.bias)
        steps = tf.cast(tf.reduce_max(length), tf.int32)
        outputs = lstm(sequences, steps, *(tf.convert_to_tensor(each) for each in weights))
        if self.return_sequences:
            return outputs
        last = tf.stack([length - 1, tf.range(tf.size(length, tf.int64))], axis=1)
        return tf.gather_nd(outputs, last)

    def compute_output_shape(
        self, sequences_shape: tuple[int | None, ...], length_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """The shape of what `call` gives."""
        batch = (length_shape[0], self.units)
        return (sequences_shape[0], *batch) if self.return_sequences else batch


def lstm(
    sequences: tf.Tensor,
    steps: tf.Tensor,
    kernel: tf.Tensor,
    recurrent_kernel: tf.Tensor,
    bias: tf.Tensor,
) -> tf.Tensor:
    """The outputs of an LSTM's first `steps` steps; the rest are zero.

    Hochreiter and Schmidhuber, 1997, with a forget gate (Gers et al., 2000), as Keras computes it.

    Args:
        sequences: (timesteps, batch, features).
        steps: () int32.
        kernel: (features, 4 · units): input, forget, candidate and output gate side by side.
        recurrent_kernel: (units, 4 · units).
        bias: (4 · units,).

    Returns:
        (timesteps, batch, units).
    """
    features, units = kernel.shape[0], recurrent_kernel.shape[0]
    timesteps, batch = sequences.shape[0], tf.shape(sequences)[1]

    def zeros(*shape: int | tf.Tensor) -> tf.Tensor:
        return tf.zeros(shape, sequences.dtype)

    @tf.custom_gradient
    def outputs_and_gradient(
        sequences: tf.Tensor, kernel: tf.Tensor, recurrent_kernel: tf.Tensor, bias: tf.Tensor
    ) -> tuple[tf.Tensor, Callable[..., Any]]:
        # One product for both: a step's input stands beside the output of the one before.
        both = tf.concat([kernel, recurrent_kernel], axis=0)

        def forward(step, output, cell, outputs, cells, gates):  # type: ignore[no-untyped-def]
            inputs = tf.concat([sequences[step], output], axis=1)
            i, f, g, o = tf.split(inputs @ both + bias, 4, axis=1)
            i, f, g, o = tf.sigmoid(i), tf.sigmoid(f), tf.tanh(g), tf.sigmoid(o)
            cell = f * cell + i * g
            output = o * tf.tanh(cell)
            outputs = _write(outputs, step, output)
            cells = _write(cells, step, cell)
            gates = _write(gates, step, tf.concat([i, f, g, o], axis=1))
            return step + 1, output, cell, outputs, cells, gates

        state, history = zeros(batch, units), zeros(timesteps, batch, units)
        *_, outputs, cells, gates = tf.while_loop(
            lambda step, *_: step < steps,
            forward,
            (0, state, state, history, history, zeros(timesteps, batch, 4 * units)),
        )

        def gradient(d_outputs: tf.Tensor) -> tuple[tf.Tensor, ...]:
            def backward(step, d_output, d_cell, d_both, d_bias, d_sequences):  # type: ignore[no-untyped-def]
                i, f, g, o = tf.split(gates[step], 4, axis=1)
                begun = tf.cast(step > 0, sequences.dtype)  # Before the first step all is zero.
                before = tf.maximum(step - 1, 0)
                output_before, cell_before = outputs[before] * begun, cells[before] * begun
                d_output += d_outputs[step]
                squashed = tf.tanh(cells[step])
                d_cell += d_output * o * (1 - squashed * squashed)
                d_gates = tf.concat(
                    [
                        d_cell * g * i * (1 - i),
                        d_cell * cell_before * f * (1 - f),
                        d_cell * i * (1 - g * g),
                        d_output * squashed * o * (1 - o),
                    ],
                    axis=1,
                )
                d_inputs = tf.matmul(d_gates, both, transpose_b=True)
                inputs = tf.concat([sequences[step], output_before], axis=1)
                d_both += tf.matmul(inputs, d_gates, transpose_a=True)
                d_bias += tf.reduce_sum(d_gates, axis=0)
                d_sequences = _write(d_sequences, step, d_inputs[:, :features])
                return step - 1, d_inputs[:, features:], d_cell * f, d_both, d_bias, d_sequences

            *_, d_both, d_bias, d_sequences = tf.while_loop(
                lambda step, *_: step >= 0,
                backward,
                (steps - 1, state, state, tf.zeros_like(both), tf.zeros_like(bias),
                 tf.zeros_like(sequences)),
            )  # fmt: skip
            return d_sequences, d_both[:features], d_both[features:], d_bias

        return outputs, gradient

    return outputs_and_gradient(sequences, kernel, recurrent_kernel, bias)


def _write(history: tf.Tensor, step: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
    """`history` (timesteps, …) with `value` (…) at `step`."""
    start = tf.concat([[step], tf.zeros(len(value.shape), tf.int32)], axis=0)
    return dynamic_update_slice(history, value[tf.newaxis], start)
