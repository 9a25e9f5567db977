"""An LSTM layer for XLA on CPUs: keras.layers.LSTM's weights and outputs, no work on padding.

Keras's loop runs over every timestep, and computes a masked step only to throw it away. This one
stops at the longest sequence of a batch. The number of its steps is a value, not a shape, so that
XLA compiles it once.

Three things make it work, and make it fast:

- The gradient is written by hand. TensorFlow's own gradient of a loop pushes every intermediate
  value on a stack that grows with the steps, which XLA cannot compile. Here the forward loop writes
  into arrays whose size is known, one place a step, and the backward loop reads them.
- What the forward loop leaves are the derivatives that the backward loop multiplies with, not the
  gates that they are computed from: XLA would compute each of them again wherever it is used.
- The batch is the last axis inside the loops. The four gates then lie next to each other in memory,
  each in one piece, and one matrix product and one tanh compute all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

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
        """Create the weights of `keras.layers.LSTM`."""
        del length_shape
        super().build(sequences_shape)

    def call(self, sequences: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        """Return the outputs, as the class describes."""
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
        """Return the shape of the outputs."""
        batch = (length_shape[0], self.units)
        return (sequences_shape[0], *batch) if self.return_sequences else batch


def lstm(
    sequences: tf.Tensor,
    steps: tf.Tensor,
    kernel: tf.Tensor,
    recurrent_kernel: tf.Tensor,
    bias: tf.Tensor,
) -> tf.Tensor:
    """Return the outputs of an LSTM's first `steps` steps; the rest are zero.

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

    @tf.custom_gradient
    def outputs_and_gradient(
        sequences: tf.Tensor, kernel: tf.Tensor, recurrent_kernel: tf.Tensor, bias: tf.Tensor
    ) -> tuple[tf.Tensor, Callable[..., Any]]:
        sequences = _batch_last(sequences)
        # One product for both: a step's input stands above the output of the step before.
        kernels = tf.concat([kernel, recurrent_kernel], axis=0)
        history = _forward(sequences, steps, kernels, bias)

        def gradient(d_outputs: tf.Tensor) -> tuple[tf.Tensor, ...]:
            return _backward(sequences, steps, kernels, history, _batch_last(d_outputs))

        return _batch_last(history.outputs), gradient

    return outputs_and_gradient(sequences, kernel, recurrent_kernel, bias)


class _GateWeights(NamedTuple):
    """All four gates as one tanh: gates = tanh(matrix · inputs + bias) · scale + shift.

    The candidate is a tanh; the others are sigmoids, and sigmoid(x) = tanh(x / 2) / 2 + 1 / 2.

    matrix: (4 · units, features + units). bias, scale and shift: (4 · units, 1).
    """

    matrix: tf.Tensor
    bias: tf.Tensor
    scale: tf.Tensor
    shift: tf.Tensor


class _Cell(NamedTuple):
    """What a step passes on: its output and its cell state, (units, batch) each."""

    output: tf.Tensor
    state: tf.Tensor


class _History(NamedTuple):
    """What the forward loop leaves to the backward loop, at each step.

    outputs: (timesteps, units, batch).
    slopes: (timesteps, 4 · units, batch), the derivatives of the cell state by what enters the
        input gate, the forget gate and the candidate, and of the output by what enters the output
        gate.
    decays: (timesteps, 2 · units, batch), the derivatives of the cell state by the cell state of
        the step before, and of the output by the cell state.
    """

    outputs: tf.Tensor
    slopes: tf.Tensor
    decays: tf.Tensor


class _Gradients(NamedTuple):
    """What the backward loop carries from a step to the one before it.

    cell: of the output and of the state of the step, (units, batch) each.
    gates: (4 · units, batch), overwritten in each step: a place to put the four parts together.
    weights: (features + units + 1, 4 · units), summed over the steps; the last row is the bias.
    sequences: (timesteps, features, batch).
    """

    cell: _Cell
    gates: tf.Tensor
    weights: tf.Tensor
    sequences: tf.Tensor


def _forward(
    sequences: tf.Tensor, steps: tf.Tensor, kernels: tf.Tensor, bias: tf.Tensor
) -> _History:
    """Run the forward loop over sequences (timesteps, features, batch)."""
    timesteps, batch, dtype = sequences.shape[0], tf.shape(sequences)[2], sequences.dtype
    units = kernels.shape[1] // 4
    cell = tf.zeros([units, batch], dtype)
    history = _History(
        *(tf.zeros([timesteps, number * units, batch], dtype) for number in (1, 4, 2))
    )
    *_, history = tf.while_loop(
        lambda step, *_: step < steps,
        partial(_forward_step, sequences, _gate_weights(kernels, bias)),
        (0, _Cell(cell, cell), history),
    )
    return _History(*history)


def _gate_weights(kernels: tf.Tensor, bias: tf.Tensor) -> _GateWeights:
    """Return the weights of the gates with the halves of the sigmoids multiplied in."""
    units = kernels.shape[1] // 4

    def by_gate(sigmoid: float, tanh: float) -> tf.Tensor:
        rows = [sigmoid] * 2 * units + [tanh] * units + [sigmoid] * units
        return tf.constant(rows, kernels.dtype)[:, tf.newaxis]

    scale, shift = by_gate(0.5, 1.0), by_gate(0.5, 0.0)
    return _GateWeights(tf.transpose(kernels) * scale, bias[:, tf.newaxis] * scale, scale, shift)


def _forward_step(
    sequences: tf.Tensor, weights: _GateWeights, step: tf.Tensor, cell: _Cell, history: _History
) -> tuple[tf.Tensor, _Cell, _History]:
    """Compute one step and write it into the history."""
    inputs = tf.concat([sequences[step], cell.output], axis=0)
    gates = tf.tanh(weights.matrix @ inputs + weights.bias) * weights.scale + weights.shift
    i, f, g, o = tf.split(gates, 4, axis=0)
    before, state = cell.state, f * cell.state + i * g
    squashed = tf.tanh(state)
    output = o * squashed
    slopes = (g * i * (1 - i), before * f * (1 - f), i * (1 - g * g), squashed * o * (1 - o))
    decays = (f, o * (1 - squashed * squashed))
    history = _History(
        _write(history.outputs, output, step, 0, 0),
        _write_parts(history.slopes, slopes, step),
        _write_parts(history.decays, decays, step),
    )
    return step + 1, _Cell(output, state), history


def _backward(
    sequences: tf.Tensor,
    steps: tf.Tensor,
    kernels: tf.Tensor,
    history: _History,
    d_outputs: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Run the backward loop.

    Args:
        sequences: (timesteps, features, batch).
        steps: () int32, as in the forward loop.
        kernels: (features + units, 4 · units).
        history: of the forward loop.
        d_outputs: (timesteps, units, batch), the gradient of the loss by the outputs.

    Returns:
        The gradients by the sequences (timesteps, batch, features), the kernel, the recurrent
        kernel and the bias.
    """
    units = kernels.shape[1] // 4
    features = kernels.shape[0] - units
    batch, dtype = tf.shape(sequences)[2], sequences.dtype
    # Not `d_outputs[steps - 1]`: TensorFlow then has XLA compile anew for each value of `steps`.
    d_output, last_decays = (tf.gather(each, steps - 1) for each in (d_outputs, history.decays))
    gradients = _Gradients(
        _Cell(d_output, d_output * last_decays[units:]),
        tf.zeros([4 * units, batch], dtype),
        tf.zeros([features + units + 1, 4 * units], dtype),
        tf.zeros_like(sequences),
    )
    _, gradients = tf.while_loop(
        lambda step, *_: step >= 0,
        partial(_backward_step, sequences, kernels, history, d_outputs),
        (steps - 1, gradients),
    )
    d_kernel, d_recurrent, d_bias = tf.split(gradients.weights, [features, units, 1], axis=0)
    return _batch_last(gradients.sequences), d_kernel, d_recurrent, d_bias[0]


def _backward_step(
    sequences: tf.Tensor,
    kernels: tf.Tensor,
    history: _History,
    d_outputs: tf.Tensor,
    step: tf.Tensor,
    gradients: _Gradients,
) -> tuple[tf.Tensor, _Gradients]:
    """Add the gradients of one step and return those of the step before it.

    Before step 0 there is no step, but XLA needs the same operations: its output is read at step 0
    and multiplied by 0, and what is returned for its cell is not used.
    """
    d_cell, d_gates, d_weights, d_sequences = gradients
    units, batch = kernels.shape[1] // 4, tf.shape(sequences)[2]
    features = kernels.shape[0] - units
    slopes = tf.split(history.slopes[step], 4, axis=0)
    d_targets = (d_cell.state, d_cell.state, d_cell.state, d_cell.output)
    for number, (slope, d_target) in enumerate(zip(slopes, d_targets, strict=True)):
        # Each in its place: XLA would put a concatenation together number by number.
        d_gates = _write(d_gates, slope * d_target, number * units, 0)
    exists = tf.cast(step > 0, sequences.dtype)
    before = tf.maximum(step - 1, 0)
    ones = tf.ones([1, batch], sequences.dtype)
    inputs = tf.concat([sequences[step], history.outputs[before] * exists, ones], axis=0)
    d_weights += tf.matmul(inputs, d_gates, transpose_b=True)
    d_inputs = kernels @ d_gates
    d_sequences = _write(d_sequences, d_inputs[:features], step, 0, 0)
    d_output = d_inputs[features:] + d_outputs[before]
    decays = history.decays
    d_state = d_cell.state * decays[step][:units] + d_output * decays[before][units:]
    return step - 1, _Gradients(_Cell(d_output, d_state), d_gates, d_weights, d_sequences)


def _batch_last(sequences: tf.Tensor) -> tf.Tensor:
    """Turn (timesteps, batch, features) into (timesteps, features, batch), or back."""
    return tf.transpose(sequences, [0, 2, 1])


def _write_parts(whole: tf.Tensor, parts: tuple[tf.Tensor, ...], step: tf.Tensor) -> tf.Tensor:
    """Return `whole` with `parts`, (units, batch) each, one after another at `step`."""
    for number, part in enumerate(parts):
        whole = _write(whole, part, step, number * part.shape[0], 0)
    return whole


def _write(whole: tf.Tensor, part: tf.Tensor, *start: int | tf.Tensor) -> tf.Tensor:
    """Return `whole` with `part` at `start`, an index for each axis; XLA does it in place."""
    part = tf.reshape(part, tf.concat([[1] * (len(start) - len(part.shape)), tf.shape(part)], 0))
    return dynamic_update_slice(whole, part, tf.stack(start))
