"""The forward pass of a served model: Keras's weights in one loop over timesteps for all layers.

Keras runs one loop over all timesteps for each layer, and computes masked steps only to discard
them. This loop passes over a batch once and ends with its longest sequence. It consists of plain
TensorFlow operations, which any server can run and XLA can compile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from trainer.model.network import PROBABILITIES_LAYER

# From ids (batch,) int64 to the input of a model: these ids, or (batch, features) float32.
Represent = Callable[[tf.Tensor], tf.Tensor]
# From (batch, 4 · units) float32, in Keras's order, to the input, forget, cell and output gates,
# (batch, units) each.
Gates = Callable[[tf.Tensor], Sequence[tf.Tensor]]
# From the number of a timestep, the output at it, (batch, units), and the result so far, of the
# same shape and zeros at first, to the result.
Reduction = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]

# Up to so many ids, the product of each with the first layer's weights is computed beforehand. Of
# more it could take longer than all the rest, where a batch is small.
_MAX_TABLE_IDS = 256


def sigmoid_gates(x: tf.Tensor) -> Sequence[tf.Tensor]:
    """Return the gates as Keras computes them."""
    i, f, g, o = tf.split(x, 4, axis=1)
    return tf.sigmoid(i), tf.sigmoid(f), tf.tanh(g), tf.sigmoid(o)


def tanh_gates(x: tf.Tensor) -> Sequence[tf.Tensor]:
    """Return the gates by one tanh: sigmoid(x) = tanh(x / 2) / 2 + 1 / 2.

    The whole model takes XLA a tenth less time so, and TensorFlow's own operations more.
    """
    units = x.shape[1] // 4
    scale = tf.constant([0.5] * 2 * units + [1.0] * units + [0.5] * units)
    i, f, g, o = tf.split(tf.tanh(x * scale) * scale + (1 - scale), 4, axis=1)
    return i, f, g, o


class Layer(NamedTuple):
    """An LSTM layer.

    units: the width of its output. enter: from its input of a timestep and its output of the one
    before, (batch, units), to what enters its gates, (batch, 4 · units).
    """

    units: int
    enter: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def lstm_layer(kernel: Any, recurrent_kernel: Any, bias: Any) -> Layer:
    """Return the layer with these weights, as Keras has them, for inputs (batch, features)."""
    # One above the other, so that one product serves both.
    kernels, bias = tf.concat([kernel, recurrent_kernel], axis=0), tf.convert_to_tensor(bias)
    return Layer(
        recurrent_kernel.shape[0],
        lambda x, output: tf.concat([x, output], axis=1) @ kernels + bias,
    )


def forward(
    model: keras.Model,
    represent: Represent,
    num_ids: int,
    gates: Gates,
    ids: tf.Tensor,
    length: tf.Tensor,
) -> tf.Tensor:
    """Return the output of a model of `build_model`, up to the rounding of float32 sums.

    Args:
        model: evaluated without dropout.
        represent: from the ids of a timestep to the model's input.
        num_ids: ids are less than this.
        gates: `sigmoid_gates` or `tanh_gates`.
        ids: (batch, timesteps) int64.
        length: (batch,) int64, 1 or more.

    Returns:
        Probabilities (batch, classes) float32.
    """
    cells = [layer.cell for layer in model.layers if isinstance(layer, keras.layers.LSTM)]
    layers = [
        _first_layer(model, cells[0], represent, num_ids),
        *(lstm_layer(cell.kernel, cell.recurrent_kernel, cell.bias) for cell in cells[1:]),
    ]
    last = last_output(layers, gates, ids, length)
    dense = model.get_layer(PROBABILITIES_LAYER)
    return tf.nn.softmax(last @ tf.convert_to_tensor(dense.kernel) + dense.bias)


def _first_layer(
    model: keras.Model, cell: keras.layers.LSTMCell, represent: Represent, num_ids: int
) -> Layer:
    """Return the first layer, for inputs that are ids (batch,)."""
    embeddings = [layer for layer in model.layers if isinstance(layer, keras.layers.Embedding)]

    def inputs(ids: tf.Tensor) -> tf.Tensor:
        x = represent(ids)
        return tf.gather(embeddings[0].embeddings, x) if embeddings else x

    if num_ids > _MAX_TABLE_IDS:
        layer = lstm_layer(cell.kernel, cell.recurrent_kernel, cell.bias)
        return Layer(cell.units, lambda ids, output: layer.enter(inputs(ids), output))
    all_ids = tf.range(num_ids, dtype=tf.int64)
    table = inputs(all_ids) @ tf.convert_to_tensor(cell.kernel) + cell.bias
    recurrent_kernel = tf.convert_to_tensor(cell.recurrent_kernel)
    return Layer(cell.units, lambda ids, output: tf.gather(table, ids) + output @ recurrent_kernel)


def last_output(
    layers: Sequence[Layer], gates: Gates, sequence: tf.Tensor, length: tf.Tensor
) -> tf.Tensor:
    """Return the last layer's output at the last character of each row, (batch, units) float32.

    The loop ends with the longest row. The states of a shorter row change until then, on padding,
    but its result is taken at its own last character and stays.

    Args:
        layers: from the first to the last.
        gates: of all of them.
        sequence: (batch, timesteps, …), the first layer's inputs.
        length: (batch,), 1 or more.
    """
    [last] = _reduce_outputs(layers, gates, sequence, length, [_keep_last(length)])
    return last


def last_and_mean_output(
    layers: Sequence[Layer], gates: Gates, sequence: tf.Tensor, length: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return `last_output`, and the mean of the outputs at all characters of each row."""
    reductions = [_keep_last(length), _add_up(length)]
    last, total = _reduce_outputs(layers, gates, sequence, length, reductions)
    return last, total / tf.cast(length, tf.float32)[:, tf.newaxis]


def _keep_last(length: tf.Tensor) -> Reduction:
    def reduce(number: tf.Tensor, output: tf.Tensor, last: tf.Tensor) -> tf.Tensor:
        is_last = number == tf.cast(length, tf.int32) - 1
        return tf.where(is_last[:, tf.newaxis], output, last)

    return reduce


def _add_up(length: tf.Tensor) -> Reduction:
    def reduce(number: tf.Tensor, output: tf.Tensor, total: tf.Tensor) -> tf.Tensor:
        is_inside = number < tf.cast(length, tf.int32)
        return total + tf.where(is_inside[:, tf.newaxis], output, 0)

    return reduce


def _reduce_outputs(
    layers: Sequence[Layer],
    gates: Gates,
    sequence: tf.Tensor,
    length: tf.Tensor,
    reductions: Sequence[Reduction],
) -> list[tf.Tensor]:
    """Return what each reduction makes of the last layer's outputs, (batch, units) float32."""
    # Time first: the rows of a timestep are then contiguous in memory.
    steps = tf.transpose(sequence, [1, 0, *range(2, len(sequence.shape))])
    batch, longest = tf.size(length), tf.cast(tf.reduce_max(length), tf.int32)

    def step(number, outputs, states, results):  # type: ignore[no-untyped-def]
        outputs, states = _advance_layers(layers, gates, steps[number], outputs, states)
        results = [
            reduce(number, outputs[-1], result)
            for reduce, result in zip(reductions, results, strict=True)
        ]
        return number + 1, outputs, states, results

    zeros = [tf.zeros([batch, layer.units]) for layer in layers]
    first = (0, zeros, zeros, [zeros[-1]] * len(reductions))
    *_, results = tf.while_loop(lambda number, *_: number < longest, step, first)
    return list(results)


def _advance_layers(
    layers: Sequence[Layer],
    gates: Gates,
    x: tf.Tensor,
    outputs: Sequence[tf.Tensor],
    states: Sequence[tf.Tensor],
) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
    """Return the outputs and cell states of all layers after one more timestep.

    Args:
        layers: from the first to the last.
        gates: of all of them.
        x: (batch, …), the input of the first layer; each other layer's input is the new output of
            the layer before it.
        outputs: (batch, units) float32 for each layer, of the timestep before.
        states: the same.
    """
    new_outputs, new_states = [], []
    for layer, output, state in zip(layers, outputs, states, strict=True):
        i, f, g, o = gates(layer.enter(x, output))
        state = f * state + i * g
        x = o * tf.tanh(state)
        new_outputs.append(x)
        new_states.append(state)
    return new_outputs, new_states
