"""The counts of n-grams by label, and what is kept of them."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from trainer.ngrams.counts import NgramCounts, count_ngrams, encode_counts
from trainer.ngrams.language_models import decode_counts

pytestmark = pytest.mark.unit

# Hashes of "^a$" of label 0 twice, and of "^b$" of label 1: ^ 1, a 2, $ 3, b 4, ^a 5, a$ 6, ^b -7,
# b$ 8.
HASHES = np.array(
    [[[1, 0], [2, 5], [3, 6]], [[1, 0], [4, -7], [3, 8]], [[1, 0], [2, 5], [3, 6]]], np.int32
)
LABELS = np.array([0, 1, 0])


def count(max_ngrams: int = 1_000, max_codes: int = 1_000) -> NgramCounts:
    blocks = [(HASHES[:1], LABELS[:1]), (HASHES[1:], LABELS[1:])]
    return count_ngrams(blocks, 2, max_ngrams, max_codes)


def places(counts: NgramCounts) -> dict[int, int]:
    """Return the place of each n-gram that is kept, by its hash."""
    _, keys, places = counts.ngrams
    return {key: place for key, place in zip(keys.tolist(), places.tolist(), strict=True) if key}


def test_occurrences_and_continuations_are_counted_by_label() -> None:
    counts = count()
    found = {key: counts.codes[place].tolist() for key, place in places(counts).items()}
    # One symbol follows ^ with each label, and ^a; what nothing follows counts as if one did.
    assert found == {
        1: [[2, 1], [1, 1]],
        2: [[2, 0], [1, 0]],
        3: [[2, 1], [1, 1]],
        4: [[0, 1], [0, 1]],
        5: [[2, 0], [1, 0]],
        6: [[2, 0], [1, 0]],
        -7: [[0, 1], [0, 1]],
        8: [[0, 1], [0, 1]],
    }
    assert counts.symbols.tolist() == [[4, 2], [2, 2]]


def test_places_follow_the_frequency_and_then_the_hash() -> None:
    assert places(count()) == {1: 1, 3: 2, 2: 3, 5: 4, 6: 5, 4: 6, 8: 7, -7: 8}


def test_ngrams_that_occur_as_often_are_kept_together() -> None:
    kept = {1: 1, 3: 2, 2: 3, 5: 4, 6: 5}
    assert [places(count(max_ngrams)) for max_ngrams in (7, 5)] == [kept, kept]
    counts = count(4)
    assert places(counts) == {1: 1, 3: 2}
    assert counts.codes.tolist() == [[[0, 0], [0, 0]], [[2, 1], [1, 1]], [[2, 1], [1, 1]]]
    assert len(counts.few_labels) == 1


def test_two_symbols_that_follow_are_two() -> None:
    hashes = np.array([[[1, 0], [2, 4]], [[1, 0], [3, 5]]], np.int32)
    counts = count_ngrams([(hashes, np.array([1, 1]))], 2)
    assert counts.codes[places(counts)[1]].tolist() == [[0, 2], [0, 2]]


def test_of_rare_ngrams_the_codes_of_few_labels_are_kept() -> None:
    counts = count(max_codes=12)
    assert len(counts.codes) == 4
    # Those of ^a, a$, b, b$ and ^b.
    assert counts.few_labels[:, 0].tolist() == [-1, 0, 0, 1, 1, 1]
    assert counts.few_codes[:, 0].tolist() == [[0, 0], [2, 1], [2, 1], [1, 1], [1, 1], [1, 1]]
    assert (counts.few_labels[:, 1:] == -1).all()


def test_of_rare_ngrams_the_four_most_frequent_labels_are_kept() -> None:
    rows = np.full((9, 2, 1), [[1], [2]], np.int32)
    labels = np.array([0, 1, 1, 2, 2, 3, 4, 4, 4])
    counts = count_ngrams([(rows, labels)], 5, max_codes=1)
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
