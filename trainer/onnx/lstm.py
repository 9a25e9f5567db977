"""A stacked LSTM in ONNX, with Keras's weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from trainer.onnx.graph import Graph

Floats = npt.NDArray[np.float32]


class Layer(NamedTuple):
    """The weights of an LSTM layer of Keras, whose gates are input, forget, cell and output.

    kernel: (width, 4 · units). recurrent_kernel: (units, 4 · units). bias: (4 · units,).
    """

    kernel: Floats
    recurrent_kernel: Floats
    bias: Floats


class Outputs(NamedTuple):
    """Tensors of float32: at each step (steps, rows, units), at the last one (rows, units)."""

    steps: str
    last: str


def to_layer(weights: Sequence[Any]) -> Layer:
    """Return the layer of three variables of Keras."""
    return Layer(*(np.asarray(each, np.float32) for each in weights))


def add_stacked_lstm(graph: Graph, layers: Sequence[Layer], steps: str, length: str) -> Outputs:
    """Add LSTM layers, each of which reads the outputs of the one before.

    Args:
        graph: to add to.
        layers: from the first to the last.
        steps: (steps, rows, width) float32, the input of the first.
        length: (rows,) int32, the steps of each row.

    Returns:
        The outputs of the last; what they are behind the end of a row is left to the runtime.
    """
    last = steps
    for layer in layers:
        steps, last = _add_lstm(graph, layer, steps, length)
    return Outputs(steps, last)


def _add_lstm(graph: Graph, layer: Layer, steps: str, length: str) -> Outputs:
    kernel, recurrent_kernel, bias = map(order_gates, layer)
    every, last = graph.apply_all(
        "LSTM",
        2,
        steps,
        kernel.T[np.newaxis],
        recurrent_kernel.T[np.newaxis],
        # ONNX has a second bias, of the recurrent product.
        np.concatenate([bias, np.zeros_like(bias)])[np.newaxis],
        length,
        hidden_size=len(recurrent_kernel),
    )
    # Both have an axis for the two directions that a layer may have.
    return Outputs(graph.squeeze(every, 1), graph.squeeze(last, 0))


def order_gates(weights: Floats) -> Floats:
    """Return weights (…, 4 · units) with the gates in the order of ONNX: i, o, f, c."""
    i, f, c, o = np.split(weights, 4, axis=-1)
    return np.concatenate([i, o, f, c], axis=-1)
