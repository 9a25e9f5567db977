"""The model of n-grams in ONNX: `trainer.ngrams.classifier`, operation by operation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from trainer.ngrams.classifier import NgramClassifier
from trainer.ngrams.experts import BAG, LANGUAGE_MODELS, LSTM, Size
from trainer.onnx.graph import Graph
from trainer.onnx.hashing import buckets_of, hash_ngrams, mark_ends
from trainer.onnx.language_models import Statistics, add_language_models
from trainer.onnx.lstm import add_stacked_lstm, to_layer


class _Rows(NamedTuple):
    """What is read of the rows.

    marked: (rows, positions) int64. length: (rows,) int64, with the marks. buckets: (rows,
    positions, sizes) int64.
    """

    marked: str
    length: str
    buckets: str


def add_ngram_model(graph: Graph, classifier: NgramClassifier, ids: str, length: str) -> str:
    """Add a model of n-grams.

    Args:
        graph: to add to.
        classifier: whose weights and counts are taken.
        ids: (rows, max_length) int64.
        length: (rows,) int64.

    Returns:
        Probabilities (rows, labels) float32.
    """
    size = classifier.size
    marked = mark_ends(graph, ids, length, size.unknown_id, size.max_length)
    hashes = hash_ngrams(graph, marked, size.ngram_max)
    buckets = buckets_of(graph, hashes, size.num_buckets)
    rows = _Rows(marked, graph.apply("Add", length, np.int64(2)), buckets)
    vector_places = graph.constant(_array(classifier.vector_places))
    experts = {
        BAG: _add_bag(graph, classifier, rows, vector_places),
        LSTM: _add_lstms(graph, classifier, rows, vector_places),
        LANGUAGE_MODELS: add_language_models(
            graph,
            Statistics(*(_array(getattr(classifier, name)) for name in Statistics._fields)),
            hashes,
            rows.length,
            (size.positions, size.ngram_max, size.num_symbols),
        ),
    }
    mixture = _array(classifier.experts.mixture)
    weighted = [graph.apply("Mul", answer, mixture[place]) for place, answer in experts.items()]
    return graph.apply("Softmax", graph.apply("Sum", *weighted))


def _add_bag(graph: Graph, classifier: NgramClassifier, rows: _Rows, vector_places: str) -> str:
    """Return the log-probabilities of the bag, (rows, labels) float32."""
    size = classifier.size
    # (rows, sizes, positions): equal buckets of n-grams of one size stand side by side.
    by_size = graph.apply("Transpose", rows.buckets, perm=[0, 2, 1])
    ordered, _ = graph.apply_all("TopK", 2, by_size, np.array([size.positions]))
    before = graph.apply("Pad", ordered, np.array([0, 0, 1, 0, 0, -1]))
    repeats = graph.apply("Equal", ordered, before)
    distinct = graph.apply("Where", repeats, np.int64(0), ordered)
    # Of bucket 0, which is no n-gram, the vector is zero.
    vectors = graph.take(_array(classifier.bag_vectors), graph.take(vector_places, distinct))
    total = graph.sum(graph.cast(vectors, "float32"), 1, 2)
    exists = graph.cast(graph.apply("Greater", distinct, np.int64(0)), "float32")
    count = graph.unsqueeze(graph.sum(exists, 1, 2), 1)
    mean = graph.apply("Div", total, count)
    return _log_probabilities(graph, mean, classifier.experts.bag_softmax)


def _add_lstms(graph: Graph, classifier: NgramClassifier, rows: _Rows, vector_places: str) -> str:
    """Return the log-probabilities of the LSTMs, (rows, labels) float32."""
    size, lstms = classifier.size, classifier.experts.lstms
    places = graph.take(vector_places, rows.buckets)
    vectors = graph.take(_array(classifier.lstm_vectors), places)
    sums = graph.sum(graph.cast(vectors, "float32"), 2)
    steps = graph.apply("Transpose", sums, perm=[1, 0, 2])
    symbols = graph.apply("Transpose", rows.marked, perm=[1, 0])
    answers = []
    for number, lstm in enumerate(lstms):
        start = number * size.lstm_dim
        ngrams = graph.slice(steps, start, start + size.lstm_dim, axis=2)
        characters = graph.take(_array(lstm.characters), symbols)
        read = _read(graph, lstm.layers, graph.apply("Add", characters, ngrams), rows.length, size)
        answers.append(_log_probabilities(graph, read, lstm.softmax))
    if len(answers) == 1:
        return answers[0]
    return graph.apply("LogSoftmax", graph.apply("Mean", *answers))


def _read(graph: Graph, layers: Sequence[Any], steps: str, length: str, size: Size) -> str:
    """Return the last output beside the mean of all, (rows, 2 · units) float32.

    Args:
        graph: to add to.
        layers: the weights of each.
        steps: (positions, rows, lstm_dim) float32.
        length: (rows,) int64.
        size: of the model.
    """
    layers = [to_layer(layer) for layer in layers]
    outputs = add_stacked_lstm(graph, layers, steps, graph.cast(length, "int32"))
    numbers = np.arange(size.positions)[:, np.newaxis]
    is_inside = graph.unsqueeze(graph.apply("Less", numbers, length), 2)
    inside = graph.apply("Where", is_inside, outputs.steps, np.float32(0))
    count = graph.unsqueeze(graph.cast(length, "float32"), 1)
    mean = graph.apply("Div", graph.sum(inside, 0), count)
    return graph.apply("Concat", outputs.last, mean, axis=1)


def _log_probabilities(graph: Graph, inputs: str, weights: Sequence[Any]) -> str:
    """Return the log-softmax of scores; without a kernel, `inputs` are scores but for the bias."""
    *kernels, bias = map(_array, weights)
    for kernel in kernels:
        inputs = graph.apply("MatMul", inputs, kernel)
    return graph.apply("LogSoftmax", graph.apply("Add", inputs, bias))


def _array(variable: Any) -> np.ndarray[Any, Any]:
    """Return the value of a variable of Keras."""
    return np.asarray(variable)
