"""The language models of the labels in ONNX: those of `trainer.ngrams.language_models`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from trainer.ngrams.counts import DECODED
from trainer.ngrams.index import COMPARED
from trainer.ngrams.language_models import TINY
from trainer.onnx.graph import Graph
from trainer.onnx.hashing import to_signed

_Array = np.ndarray[Any, Any]


class Statistics(NamedTuple):
    """The arrays of `trainer.ngrams.language_models.Statistics`, and of its index, in NumPy."""

    starts: _Array
    keys: _Array
    places: _Array
    codes: _Array
    few_labels: _Array
    few_codes: _Array
    symbols: _Array
    log_shares: _Array


def add_language_models(
    graph: Graph, statistics: Statistics, hashes: str, length: str, size: tuple[int, int, int]
) -> str:
    """Return the log-probabilities of the labels, (rows, labels) float32.

    Args:
        graph: to add to.
        statistics: of the language models.
        hashes: (rows, positions, sizes) int64, of `trainer.onnx.hashing`.
        length: (rows,) int64, with both marks.
        size: positions, sizes, and the symbols that can follow another one.
    """
    positions, sizes, num_symbols = size
    places = _find(graph, statistics, hashes)
    look_up = _LookUp(graph, statistics)
    seen, continuations = (graph.constant(each) for each in statistics.symbols)
    probability = graph.constant(np.float32(1 / num_symbols))
    for number in range(sizes):
        of_size = graph.squeeze(graph.slice(places, number, number + 1, axis=2), 2)
        counts = look_up.counts(of_size)
        occur = graph.squeeze(graph.slice(counts, 0, 1, axis=2), 2)
        occur = graph.slice(occur, 1, positions, axis=1)
        probability = _interpolate(graph, occur, seen, continuations, probability)
        contexts = graph.slice(counts, 0, -1, axis=1)
        seen, continuations = (
            graph.squeeze(graph.slice(contexts, of_kind, of_kind + 1, axis=2), 2)
            for of_kind in (0, 1)
        )
    logarithms = graph.apply("Log", graph.apply("Max", probability, np.float32(TINY)))
    logarithms = graph.cast(logarithms, "float64")
    is_inside = graph.apply("Less", np.arange(1, positions), graph.unsqueeze(length, 1))
    inside = graph.apply("Where", graph.unsqueeze(is_inside, 2), logarithms, np.float64(0))
    log_shares = statistics.log_shares.astype(np.float64)
    likelihoods = graph.apply("Add", graph.sum(inside, 1), log_shares)
    return graph.cast(graph.apply("LogSoftmax", likelihoods), "float32")


def _interpolate(graph: Graph, occur: str, seen: str, continuations: str, probability: str) -> str:
    """Return the probability of each symbol after one symbol more than `probability` is of.

    Args:
        graph: to add to.
        occur: how often the n-grams that end with the symbols occur.
        seen: how often what is before the symbols does.
        continuations: how many different symbols follow it.
        probability: after one symbol less.
    """
    expected = graph.apply("Add", occur, graph.apply("Mul", continuations, probability))
    total = graph.apply("Max", graph.apply("Add", seen, continuations), np.float32(1))
    longer = graph.apply("Min", graph.apply("Div", expected, total), np.float32(1))
    return graph.apply("Where", graph.apply("Greater", seen, np.float32(0)), longer, probability)


def _find(graph: Graph, statistics: Statistics, hashes: str) -> str:
    """Return the places of n-grams, int32 of the shape of `hashes`; 0 for what is not there."""
    slots = graph.apply("BitwiseAnd", hashes, np.int64(len(statistics.starts) - 1))
    starts = graph.unsqueeze(graph.take(statistics.starts, slots), 3)
    compared = graph.apply("Add", starts, np.arange(COMPARED, dtype=np.int32))
    keys, wanted = graph.take(statistics.keys, compared), to_signed(graph, hashes)
    is_key = graph.apply("Equal", keys, graph.unsqueeze(wanted, 3))
    places = graph.take(statistics.places, compared)
    return graph.sum(graph.apply("Where", is_key, places, np.int32(0)), 3)


class _LookUp:
    """The counts of n-grams by their places."""

    def __init__(self, graph: Graph, statistics: Statistics) -> None:
        self._graph = graph
        self._last_coded = np.int32(len(statistics.codes) - 1)
        self._decoded, self._codes = map(graph.constant, (DECODED, statistics.codes))
        self._few: list[str] = []  # Labels and codes, unless all n-grams have codes of all labels.
        if len(statistics.few_labels) > 1:
            self._few = [*map(graph.constant, (statistics.few_labels, statistics.few_codes))]

    def counts(self, places: str) -> str:
        """Return the counts of the n-grams at `places`, (rows, positions, 2, labels) float32."""
        graph = self._graph
        if not self._few:
            return self._decode(graph.take(self._codes, places))
        is_coded = graph.apply("LessOrEqual", places, self._last_coded)
        coded = graph.apply("Where", is_coded, places, np.int32(0))
        other = graph.apply("Max", graph.apply("Sub", places, self._last_coded), np.int32(0))
        counts = self._decode(graph.take(self._codes, coded))
        labels, codes = (graph.take(each, other) for each in self._few)
        values = self._decode(codes)
        # Of the label -1, which stands for none, the values are 0.
        labels = graph.unsqueeze(labels, 2)
        return graph.apply(
            "ScatterElements",
            counts,
            graph.apply("Concat", labels, labels, axis=2),
            graph.apply("Transpose", values, perm=[0, 1, 3, 2]),
            axis=3,
            reduction="add",
        )

    def _decode(self, codes: str) -> str:
        return self._graph.take(self._decoded, self._graph.cast(codes, "int32"))
