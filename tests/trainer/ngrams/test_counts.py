"""The counts of n-grams by label, and what is kept of them."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from trainer.ngrams.counts import NgramCounts, count_ngrams, encode_counts
from trainer.ngrams.language_models import decode_counts

pytestmark = pytest.mark.unit

# Buckets of "^a$" of label 0 twice, and of "^b$" of label 1: ^ 1, a 2, $ 3, b 4, ^a 5, a$ 6, ^b 7,
# b$ 8.
BUCKETS = np.array(
    [[[1, 0], [2, 5], [3, 6]], [[1, 0], [4, 7], [3, 8]], [[1, 0], [2, 5], [3, 6]]], np.int32
)
LABELS = np.array([0, 1, 0])


def count(max_codes: int = 1_000) -> NgramCounts:
    return count_ngrams([(BUCKETS[:1], LABELS[:1]), (BUCKETS[1:], LABELS[1:])], 2, 16, max_codes)


def test_occurrences_and_continuations_are_counted_by_label() -> None:
    counts = count()
    found = {
        bucket: counts.codes[counts.places[bucket]].tolist() for bucket in (1, 2, 3, 4, 5, 7, 8)
    }
    # One symbol follows ^ with each label, and ^a; what nothing follows counts as if one did.
    assert found == {
        1: [[2, 1], [1, 1]],
        2: [[2, 0], [1, 0]],
        3: [[2, 1], [1, 1]],
        4: [[0, 1], [0, 1]],
        5: [[2, 0], [1, 0]],
        7: [[0, 1], [0, 1]],
        8: [[0, 1], [0, 1]],
    }
    assert counts.symbols.tolist() == [[4, 2], [2, 2]]


def test_places_follow_the_frequency_and_then_the_bucket() -> None:
    assert count().places.tolist() == [0, 1, 3, 2, 6, 4, 5, 7, 8, *[0] * 8]


def test_two_symbols_that_follow_are_two() -> None:
    buckets = np.array([[[1, 0], [2, 4]], [[1, 0], [3, 5]]], np.int32)
    counts = count_ngrams([(buckets, np.array([1, 1]))], 2, 8)
    assert counts.codes[counts.places[1]].tolist() == [[0, 2], [0, 2]]


def test_of_rare_ngrams_the_codes_of_few_labels_are_kept() -> None:
    counts = count(max_codes=12)
    assert len(counts.codes) == 4
    # Those of ^a, a$, b, ^b and b$.
    assert counts.few_labels[:, 0].tolist() == [-1, 0, 0, 1, 1, 1]
    assert counts.few_codes[:, 0].tolist() == [[0, 0], [2, 1], [2, 1], [1, 1], [1, 1], [1, 1]]
    assert (counts.few_labels[:, 1:] == -1).all()


def test_of_rare_ngrams_the_four_most_frequent_labels_are_kept() -> None:
    rows = np.full((9, 2, 1), [[1], [2]], np.int32)
    labels = np.array([0, 1, 1, 2, 2, 3, 4, 4, 4])
    counts = count_ngrams([(rows, labels)], 5, 8, max_codes=1)
    assert len(counts.codes) == 2
    assert counts.few_labels.tolist() == [[-1, -1, -1, -1], [4, 1, 2, 0]]
    assert counts.few_codes.tolist() == [[[0, 0]] * 4, [[3, 1], [2, 1], [2, 1], [1, 1]]]


def test_codes_of_small_counts_are_exact_and_of_large_ones_near() -> None:
    exact = np.arange(17)
    np.testing.assert_array_equal(encode_counts(exact), exact)
    large = np.array([17, 19, 25, 64, 1_000, 123_456, 1_000_000])
    decoded = decode_counts(tf.constant(encode_counts(large))).numpy()
    np.testing.assert_allclose(decoded, large, rtol=0.06)
    assert encode_counts(np.array([10**12])) == 255
