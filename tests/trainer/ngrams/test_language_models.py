"""The language models beside the same sums in plain Python."""

from __future__ import annotations

import math
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trainer.ngrams import language_models
from trainer.ngrams.counts import NgramCounts, count_ngrams, encode_counts
from trainer.ngrams.experts import Size
from trainer.ngrams.index import NgramIndex
from trainer.ngrams.language_models import (
    Statistics,
    decode_counts,
    label_log_probabilities,
)
from trainer.ngrams.model import hash_sequences

pytestmark = pytest.mark.unit

SIZE = Size(
    unknown_id=4,
    classes=2,
    max_length=5,
    lstms=1,
    units=(2,),
    bag_dim=2,
    lstm_dim=2,
    ngram_max=3,
    num_buckets=2**20,
)
SHARES = (0.25, 0.75)
# What is left of a count by its code.
CODED: list[float] = decode_counts(tf.constant(encode_counts(np.arange(100)))).numpy().tolist()
Sequence = list[int]
Rows = list[tuple[Sequence, int]]


def hash_ids(sequences: list[Sequence]) -> tuple[np.ndarray, np.ndarray]:
    """Return the hashes of the n-grams of sequences of ids and their lengths with marks."""
    ids = np.zeros((len(sequences), SIZE.max_length), np.int64)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = sequence
    lengths = np.array([len(sequence) for sequence in sequences])
    return hash_sequences(SIZE, tf.constant(ids), tf.constant(lengths))[1].numpy(), lengths + 2


def count(rows: Rows, max_codes: int = 10**6) -> NgramCounts:
    hashes, _ = hash_ids([sequence for sequence, _ in rows])
    labels = np.array([label for _, label in rows])
    return count_ngrams([(hashes, labels)], SIZE.classes, max_codes=max_codes)


def log_probabilities(counts: NgramCounts, sequences: list[Sequence], *, jit: bool) -> np.ndarray:
    codes, few_labels, few_codes, symbols = map(tf.constant, counts[1:])
    ngrams = NgramIndex(*map(tf.constant, counts.ngrams))
    shares = tf.math.log(SHARES)
    statistics = Statistics(ngrams, codes, few_labels, few_codes, symbols, shares)
    hashes, lengths = hash_ids(sequences)

    @tf.function(jit_compile=jit)
    def graph(hashes: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        return label_log_probabilities(statistics, hashes, length, SIZE.num_symbols)

    return np.array(graph(tf.constant(hashes), tf.constant(lengths, tf.int32)))


class WittenBell:
    """The models of all labels in dictionaries; a sequence begins with "^" and ends with "$"."""

    def __init__(self, rows: Rows) -> None:
        self.counts: list[Counter[Any]] = [Counter() for _ in SHARES]
        self.following: list[dict[Any, set[Any]]] = [defaultdict(set) for _ in SHARES]
        for sequence, label in rows:
            for context, symbol in self.contexts(sequence):
                self.counts[label][(*context, symbol)] += 1
                self.following[label][context].add(symbol)

    def contexts(self, sequence: Sequence) -> Iterator[tuple[tuple[Any, ...], Any]]:
        symbols = ["^", *sequence, "$"]
        for at in range(1, len(symbols)):
            for size in range(min(SIZE.ngram_max, at + 1)):
                yield tuple(symbols[at - size : at]), symbols[at]

    def probability(self, label: int, context: tuple[Any, ...], symbol: Any) -> float:
        shorter = self.probability(label, context[1:], symbol) if context else 1 / SIZE.num_symbols
        following = self.following[label].get(context, ())
        seen = sum(self.counts[label][(*context, other)] for other in following)
        if not seen:
            return shorter
        # The symbols of all rows together have no code.
        total = (CODED[seen] if context else seen) + len(following)
        count = CODED[self.counts[label][(*context, symbol)]]
        return min((count + len(following) * shorter) / total, 1)

    def log_probabilities(self, sequence: Sequence) -> np.ndarray:
        symbols = ["^", *sequence, "$"]
        scores = []
        for label, share in enumerate(SHARES):
            likelihood = 0.0
            for at in range(1, len(symbols)):
                longest = tuple(symbols[max(at - SIZE.ngram_max + 1, 0) : at])
                likelihood += math.log(self.probability(label, longest, symbols[at]))
            scores.append(math.log(share) + likelihood)
        total = float(np.logaddexp.reduce(scores))
        return np.subtract(scores, total)


sequences = st.lists(st.integers(1, 4), min_size=1, max_size=5)


@settings(max_examples=30, deadline=None)
@example(
    [([1, 1, 1, 1, 1], 0)] * 6 + [([2, 1], 1)], [[1, 1, 2]]
)  # Counts without a code of their own.
@given(
    st.lists(st.tuples(sequences, st.integers(0, 1)), min_size=1, max_size=12),
    st.lists(sequences, min_size=1, max_size=4),
)
def test_label_probabilities_are_those_of_the_reference(rows: Rows, asked: list[Sequence]) -> None:
    reference = WittenBell(rows)
    expected = [reference.log_probabilities(sequence) for sequence in asked]
    found = log_probabilities(count(rows), asked, jit=False)
    np.testing.assert_allclose(found, expected, atol=2e-5)


ROWS: Rows = [([1, 2, 1, 2], 0), ([1, 2, 3], 0), ([3, 3], 1), ([3, 3, 1], 1), ([2], 1)]


def test_xla_computes_the_same() -> None:
    asked = [[1, 2, 3, 4, 4], [3], [4, 4]]
    counts = count(ROWS)
    plain, compiled = (log_probabilities(counts, asked, jit=jit) for jit in (False, True))
    np.testing.assert_allclose(compiled, plain, atol=1e-5)


def test_of_many_symbols_no_digit_is_lost_in_their_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "SIZE", replace(SIZE, max_length=2000))
    asked = [np.random.default_rng(0).integers(1, 4, 2000).tolist()]
    rows = [([1, 2, 1, 2], 0), ([1, 2, 3], 0), ([2, 1, 2, 1], 1), ([2, 1, 3], 1)]
    [expected] = WittenBell(rows).log_probabilities(asked[0])[np.newaxis]
    [found] = log_probabilities(count(rows), asked, jit=False)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=2e-5)


def test_rows_are_computed_one_by_one_where_labels_are_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = [[1, 2, 3, 4, 4], [3], [4, 4]]
    counts = count(ROWS)
    expected = log_probabilities(counts, asked, jit=False)
    monkeypatch.setattr(language_models, "_MANY_LABELS", 1)
    for jit in (False, True):
        np.testing.assert_allclose(log_probabilities(counts, asked, jit=jit), expected, atol=1e-5)


def test_a_row_is_the_same_beside_longer_ones() -> None:
    counts = count(ROWS)
    alone = log_probabilities(counts, [[3]], jit=False)
    beside = log_probabilities(counts, [[3], [1, 2, 3, 4, 4]], jit=False)
    np.testing.assert_array_equal(alone[0], beside[0])


def test_it_makes_no_difference_where_the_counts_are() -> None:
    counts = count(ROWS, max_codes=1)
    assert len(counts.few_labels) > 10
    asked = [[1, 2, 1, 2], [3, 3, 1], [4, 4]]
    found = log_probabilities(counts, asked, jit=False)
    np.testing.assert_allclose(found, log_probabilities(count(ROWS), asked, jit=False), atol=1e-6)
