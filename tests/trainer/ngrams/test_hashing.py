"""The hashes and the buckets of n-grams."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.ngrams.hashing import buckets_of, hash_ngrams, mark_ends

pytestmark = pytest.mark.unit

UNKNOWN = 5
BEGIN, END = 6, 7
BUCKETS = 2**20


def hash_of(symbols: list[int]) -> int:
    """Return the hash of an n-gram, in plain integers of any size, cut to 32 bits."""
    hashed = 0
    for symbol in symbols:
        hashed = (hashed ^ symbol) * 0x9E3779B1 % 2**32
        hashed ^= hashed >> 15
    hashed = (hashed + len(symbols)) * 0x85EBCA6B % 2**32
    hashed = (hashed ^ hashed >> 13) * 0xC2B2AE35 % 2**32
    return max(hashed ^ hashed >> 16, 1)


def test_marks_stand_at_both_ends() -> None:
    ids = tf.constant([[1, 2, 3], [4, 0, 0]], tf.int64)
    marked = mark_ends(ids, tf.constant([3, 1], tf.int64), UNKNOWN)
    assert marked.numpy().tolist() == [[BEGIN, 1, 2, 3, END], [BEGIN, 4, END, 0, 0]]


def test_buckets_by_position_and_size() -> None:
    """Twenty values that another implementation of the hash must give, too."""
    marked = tf.constant([[6, 1, 2, 3, 7], [6, 4, 7, 0, 0]])
    assert buckets_of(hash_ngrams(marked, 3), BUCKETS).numpy().tolist() == [
        [
            [185486, 0, 0],
            [381807, 1037304, 0],
            [22220, 935272, 499341],
            [915873, 147528, 374101],
            [562977, 193312, 457167],
        ],
        [[185486, 0, 0], [606160, 1894, 0], [562977, 106984, 65546], [0, 0, 0], [0, 0, 0]],
    ]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 2**20), min_size=1, max_size=8), st.integers(1, 6))
def test_xla_and_plain_integers_agree(symbols: list[int], ngram_max: int) -> None:
    hashed = tf.function(hash_ngrams, jit_compile=True)
    hashes = hashed(tf.constant([symbols + [0] * (8 - len(symbols))]), ngram_max)
    expected = np.zeros((8, ngram_max), int)
    for last in range(len(symbols)):
        for size in range(1, min(ngram_max, last + 1) + 1):
            expected[last, size - 1] = hash_of(symbols[last + 1 - size : last + 1])
    np.testing.assert_array_equal(hashes.numpy()[0].view(np.uint32), expected)
    buckets = np.where(expected, expected % 1024 + 1, 0)
    np.testing.assert_array_equal(buckets_of(hashes, 1024).numpy()[0], buckets)


def test_buckets_are_filled_evenly() -> None:
    """10,000 distinct bigrams in 8,192 buckets fill as many as by chance."""
    pairs = np.stack(np.meshgrid(np.arange(1, 101), np.arange(1, 101)), axis=2).reshape(-1, 2)
    buckets = buckets_of(hash_ngrams(tf.constant(pairs, tf.int32), 2), 2**13).numpy()[:, 1, 1]
    assert len(np.unique(buckets)) == pytest.approx(
        2**13 * (1 - np.exp(-(10**4) / 2**13)), rel=0.02
    )
