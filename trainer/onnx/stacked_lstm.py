"""The plain models in ONNX: ids as vectors, one-hot vectors or numbers, into a stacked LSTM."""

from __future__ import annotations

import keras
import numpy as np

from charseq.manifest import Manifest
from trainer.onnx.graph import Graph
from trainer.onnx.lstm import Floats, Layer, add_stacked_lstm, to_layer


def add_stacked_model(
    graph: Graph, model: keras.Model, representation: str, manifest: Manifest, ids: str, length: str
) -> str:
    """Add a model of `trainer.model.network.build_model`.

    Args:
        graph: to add to.
        model: whose weights are taken.
        representation: embedding, one_hot or scalar.
        manifest: of the dataset that it was trained on.
        ids: (rows, max_length) int64.
        length: (rows,) int64.

    Returns:
        Probabilities (rows, labels) float32.
    """
    cells = [layer.cell for layer in model.layers if isinstance(layer, keras.layers.LSTM)]
    layers = [to_layer((cell.kernel, cell.recurrent_kernel, cell.bias)) for cell in cells]
    steps = graph.apply("Transpose", ids, perm=[1, 0])
    if representation == "embedding":
        vectors = model.get_layer("embedding").embeddings
        steps = graph.take(np.asarray(vectors, np.float32), steps)
    elif representation == "one_hot":
        num_ids = manifest.unknown_id + 1
        layers[0] = _for_all_ids(layers[0], num_ids)
        steps = graph.apply("OneHot", steps, np.int64(num_ids), np.array([0, 1], np.float32))
    else:
        numbers = graph.cast(steps, "float32")
        scaled = graph.apply("Div", numbers, np.float32(manifest.alphabet_size))
        steps = graph.unsqueeze(scaled, 2)
    last = add_stacked_lstm(graph, layers, steps, graph.cast(length, "int32")).last
    dense = model.get_layer("probabilities")
    kernel, bias = (np.asarray(each, np.float32) for each in (dense.kernel, dense.bias))
    return graph.apply("Softmax", graph.apply("Gemm", last, kernel, bias))


def _for_all_ids(layer: Layer, num_ids: int) -> Layer:
    """Return a layer for one-hot vectors of all ids; padding and unknown count as zero vectors."""
    kernel: Floats = np.zeros((num_ids, layer.kernel.shape[1]), np.float32)
    kernel[1 : len(layer.kernel) + 1] = layer.kernel
    return layer._replace(kernel=kernel)
