"""The forward pass of a served model: Keras's weights, and one loop over characters for all layers.

Keras runs a loop over all timesteps for each layer, and computes a masked step only to throw it
away. This one goes through a batch once, and ends with its longest sequence. It is made of plain
TensorFlow operations, so that any server runs it.
"""

from __future__ import annotations

import keras
import tensorflow as tf


def forward(model: keras.Model, sequence: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """What a model of `build_model` gives, but for the rounding of sums, in float32.

    Args:
        model: its dropout is left out.
        sequence: (batch, timesteps) ids, or (batch, timesteps, features) float32.
        length: (batch,) int64, 1 or more.

    Returns:
        probabilities (batch, classes) float32.
    """
    cells = [layer.cell for layer in model.layers if isinstance(layer, keras.layers.LSTM)]
    tables = [layer for layer in model.layers if isinstance(layer, keras.layers.Embedding)]
    # One product for both: a layer's input stands beside its output of the step before.
    weights = [
        (tf.concat([cell.kernel, cell.recurrent_kernel], axis=0), cell.bias) for cell in cells
    ]
    # Time first: a step is then one piece of memory.
    steps = tf.transpose(sequence, [1, 0, *range(2, len(sequence.shape))])
    batch, last_step = tf.size(length), tf.cast(length, tf.int32) - 1

    def step(number, outputs, states, result):  # type: ignore[no-untyped-def]
        x = steps[number]
        x = tf.gather(tables[0].embeddings, x) if tables else x
        new_outputs, new_states = [], []
        for (both, bias), output, state in zip(weights, outputs, states, strict=True):
            gates = tf.concat([x, output], axis=1) @ both + bias
            i, f, g, o = tf.split(gates, 4, axis=1)
            state = tf.sigmoid(f) * state + tf.sigmoid(i) * tf.tanh(g)
            x = tf.sigmoid(o) * tf.tanh(state)
            new_outputs.append(x)
            new_states.append(state)
        result = tf.where((number == last_step)[:, tf.newaxis], x, result)
        return number + 1, new_outputs, new_states, result

    zeros = [tf.zeros([batch, cell.units]) for cell in cells]
    *_, result = tf.while_loop(
        lambda number, *_: number <= tf.reduce_max(last_step),
        step,
        (0, zeros, zeros, zeros[-1]),
    )
    dense = model.get_layer("probabilities")
    return tf.nn.softmax(result @ tf.convert_to_tensor(dense.kernel) + dense.bias)
