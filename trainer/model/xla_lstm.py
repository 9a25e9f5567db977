"""An LSTM layer for XLA on CPUs: keras.layers.LSTM's weights and outputs, no work on padding.

Keras's loop runs over every timestep, and computes a masked step only to throw it away. This one
stops at the longest sequence of a batch. The number of its steps is a value, not a shape, so that
XLA compiles it once; and because the gradient is written by hand, nothing has to grow inside the
loops, which XLA could not compile. The way forward leaves the slopes that the way back multiplies
with, not the gates that they are made of: XLA would work each out as often as it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from tensorflow.compiler.tf2xla.python.xla import dynamic_update_slice


class XlaLSTM(keras.layers.LSTM):
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

    def of_gates(sigmoid: float, tanh: float) -> tf.Tensor:
        """A number for each row of (4 · units, batch): one for i, f and o, another for g."""
        rows = [sigmoid] * 2 * units + [tanh] * units + [sigmoid] * units
        return tf.constant(rows, sequences.dtype)[:, tf.newaxis]

    @tf.custom_gradient
    def outputs_and_gradient(
        sequences: tf.Tensor, kernel: tf.Tensor, recurrent_kernel: tf.Tensor, bias: tf.Tensor
    ) -> tuple[tf.Tensor, Callable[..., Any]]:
        # Batch last: a gate is then one piece of memory, and so are its neighbours.
        sequences = _batch_last(sequences)
        # One product for both: a step's input stands beside the output of the one before.
        both = tf.concat([kernel, recurrent_kernel], axis=0)
        # One tanh for all gates: sigmoid(x) = tanh(x / 2) / 2 + 1 / 2.
        scale, shift = of_gates(0.5, 1.0), of_gates(0.5, 0.0)
        scaled, scaled_bias = tf.transpose(both) * scale, bias[:, tf.newaxis] * scale

        def forward(step, output, cell, outputs, slopes, decays):  # type: ignore[no-untyped-def]
            inputs = tf.concat([sequences[step], output], axis=0)
            gates = tf.tanh(scaled @ inputs + scaled_bias) * scale + shift
            i, f, g, o = tf.split(gates, 4, axis=0)
            before, cell = cell, f * cell + i * g
            squashed = tf.tanh(cell)
            output = o * squashed
            outputs = _write(outputs, output, step, 0, 0)
            by_gate = [g * i * (1 - i), before * f * (1 - f), i * (1 - g * g)]
            for number, slope in enumerate([*by_gate, squashed * o * (1 - o)]):
                slopes = _write(slopes, slope, step, number * units, 0)
            for number, decay in enumerate((f, o * (1 - squashed * squashed))):
                decays = _write(decays, decay, step, number * units, 0)
            return step + 1, output, cell, outputs, slopes, decays

        state = zeros(units, batch)
        # slopes: of the cell by what goes into i, f and g, of the output by what goes into o.
        # decays: of the cell by the cell before, of the output by the cell.
        *_, outputs, slopes, decays = tf.while_loop(
            lambda step, *_: step < steps,
            forward,
            (0, state, state, zeros(timesteps, units, batch), zeros(timesteps, 4 * units, batch),
             zeros(timesteps, 2 * units, batch)),
        )  # fmt: skip

        def gradient(d_outputs: tf.Tensor) -> tuple[tf.Tensor, ...]:
            d_outputs, ones = _batch_last(d_outputs), tf.ones([1, batch], sequences.dtype)

            def backward(step, d_output, d_cell, d_gates, d_weights, d_sequences):  # type: ignore[no-untyped-def]
                of_i, of_f, of_g, of_o = tf.split(slopes[step], 4, axis=0)
                by_gate = (of_i * d_cell, of_f * d_cell, of_g * d_cell, of_o * d_output)
                # Each in its place: XLA would put a concatenation together number by number.
                for number, d_gate in enumerate(by_gate):
                    d_gates = _write(d_gates, d_gate, number * units, 0)
                begun = tf.cast(step > 0, sequences.dtype)  # Before the first step all is zero.
                before = tf.maximum(step - 1, 0)
                inputs = tf.concat([sequences[step], outputs[before] * begun, ones], axis=0)
                d_weights += tf.matmul(inputs, d_gates, transpose_b=True)
                d_inputs = both @ d_gates
                d_sequences = _write(d_sequences, d_inputs[:features], step, 0, 0)
                d_output = d_inputs[features:] + d_outputs[before]
                d_cell = d_cell * decays[step][:units] + d_output * decays[before][units:]
                return step - 1, d_output, d_cell, d_gates, d_weights, d_sequences

            # Not `d_outputs[steps - 1]`: TensorFlow then has XLA compile anew for each `steps`.
            d_output, last_decays = (tf.gather(each, steps - 1) for each in (d_outputs, decays))
            *_, d_weights, d_sequences = tf.while_loop(
                lambda step, *_: step >= 0,
                backward,
                (steps - 1, d_output, d_output * last_decays[units:], zeros(4 * units, batch),
                 zeros(features + units + 1, 4 * units), tf.zeros_like(sequences)),
            )  # fmt: skip
            d_kernel, d_recurrent_kernel, d_bias = tf.split(d_weights, [features, units, 1], axis=0)
            return _batch_last(d_sequences), d_kernel, d_recurrent_kernel, d_bias[0]

        return _batch_last(outputs), gradient

    return outputs_and_gradient(sequences, kernel, recurrent_kernel, bias)


def _batch_last(sequences: tf.Tensor) -> tf.Tensor:
    """(timesteps, batch, features) to (timesteps, features, batch), or back."""
    return tf.transpose(sequences, [0, 2, 1])


def _write(whole: tf.Tensor, part: tf.Tensor, *start: int | tf.Tensor) -> tf.Tensor:
    """`whole` with `part` at `start`, an index for each axis of `whole`; XLA does it in place."""
    part = tf.reshape(part, tf.concat([[1] * (len(start) - len(part.shape)), tf.shape(part)], 0))
    return dynamic_update_slice(whole, part, tf.stack(start))
