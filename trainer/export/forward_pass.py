"""The forward pass of a served model: Keras's weights in one loop over timesteps for all layers.

Keras runs one loop over all timesteps for each layer, and computes masked steps only to discard
them. This loop passes over a batch once and ends with its longest sequence. It consists of plain
TensorFlow operations, which any server can run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf


class _LayerWeights(NamedTuple):
    """The weights of an LSTM layer; its gates are in Keras's order: input, forget, cell, output.

    kernel: (inputs + units, 4 · units), the layer's kernel above its recurrent kernel, so that one
    product serves both. bias: (4 · units,).
    """

    kernel: tf.Tensor
    bias: tf.Tensor


def forward(model: keras.Model, sequence: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """Return the output of a model of `build_model`, up to the rounding of float32 sums.

    Args:
        model: evaluated without dropout.
        sequence: (batch, timesteps) ids, or (batch, timesteps, features) float32.
        length: (batch,) int64, 1 or more.

    Returns:
        Probabilities (batch, classes) float32.
    """
    cells = [layer.cell for layer in model.layers if isinstance(layer, keras.layers.LSTM)]
    layers = [(cell.kernel, cell.recurrent_kernel, cell.bias) for cell in cells]
    last = last_output(layers, _embedding_lookup(model), sequence, length)
    dense = model.get_layer("probabilities")
    return tf.nn.softmax(last @ tf.convert_to_tensor(dense.kernel) + dense.bias)


def _embedding_lookup(model: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    """Return the function from a timestep's input to that of the first LSTM layer."""
    tables = [layer for layer in model.layers if isinstance(layer, keras.layers.Embedding)]
    if not tables:
        return lambda x: x
    return lambda x: tf.gather(tables[0].embeddings, x)


def last_output(
    weights: Sequence[Sequence[Any]],
    embed: Callable[[tf.Tensor], tf.Tensor],
    sequence: tf.Tensor,
    length: tf.Tensor,
) -> tf.Tensor:
    """Return the last layer's output at the last character of each row, (batch, units) float32.

    The loop ends with the longest row. The states of a shorter row change until then, on padding,
    but its result is taken at its own last character and stays.

    Args:
        weights: kernel, recurrent kernel and bias of each LSTM layer, as Keras has them.
        embed: from a timestep's input to that of the first layer.
        sequence: (batch, timesteps, …).
        length: (batch,), 1 or more.
    """
    layers = [
        _LayerWeights(tf.concat([kernel, recurrent_kernel], axis=0), tf.convert_to_tensor(bias))
        for kernel, recurrent_kernel, bias in weights
    ]
    units = [layer.bias.shape[0] // 4 for layer in layers]
    # Time first: the rows of a timestep are then contiguous in memory.
    steps = tf.transpose(sequence, [1, 0, *range(2, len(sequence.shape))])
    batch, last_step = tf.size(length), tf.cast(length, tf.int32) - 1

    def step(number, outputs, states, result):  # type: ignore[no-untyped-def]
        x = embed(steps[number])
        outputs, states = _advance_layers(layers, x, outputs, states)
        result = tf.where((number == last_step)[:, tf.newaxis], outputs[-1], result)
        return number + 1, outputs, states, result

    zeros = [tf.zeros([batch, width]) for width in units]
    *_, result = tf.while_loop(
        lambda number, *_: number <= tf.reduce_max(last_step),
        step,
        (0, zeros, zeros, zeros[-1]),
    )
    return result


def _advance_layers(
    layers: Sequence[_LayerWeights],
    x: tf.Tensor,
    outputs: Sequence[tf.Tensor],
    states: Sequence[tf.Tensor],
) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
    """Return the outputs and cell states of all layers after one more timestep.

    Args:
        layers: from the first to the last.
        x: (batch, features) float32, the input of the first layer; each other layer's input is the
            new output of the layer before it.
        outputs: (batch, units) float32 for each layer, of the timestep before.
        states: the same.
    """
    new_outputs, new_states = [], []
    for layer, output, state in zip(layers, outputs, states, strict=True):
        gates = tf.concat([x, output], axis=1) @ layer.kernel + layer.bias
        i, f, g, o = tf.split(gates, 4, axis=1)
        state = tf.sigmoid(f) * state + tf.sigmoid(i) * tf.tanh(g)
        x = tf.sigmoid(o) * tf.tanh(state)
        new_outputs.append(x)
        new_states.append(state)
    return new_outputs, new_states
