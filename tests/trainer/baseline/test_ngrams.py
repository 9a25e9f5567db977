"""N-grams of ids and the buckets they are hashed to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.baseline.ngrams import BUCKETS, distinct_ngrams, hash_ngrams

pytestmark = pytest.mark.unit

BEGIN, END = 1 << 24, (1 << 24) + 1
MASK = 2**32 - 1


def hash_one(ids: Sequence[int]) -> int:
    """The same hash in Python's integers."""
    hashed = 2_166_136_261
    for each in ids:
        hashed = (hashed ^ each) * 16_777_619 & MASK
    hashed = (hashed ^ (hashed >> 16)) * 0x85EBCA6B & MASK
    return (hashed ^ (hashed >> 13)) % BUCKETS


def ngrams_of(row: Sequence[int]) -> set[tuple[int, ...]]:
    """The n-grams of a row; marks alone are none."""
    marked = (BEGIN, *row, END)
    runs = {marked[i : i + n] for n in range(1, 5) for i in range(len(marked) - n + 1)}
    return runs - {(BEGIN,), (END,)}


@pytest.mark.parametrize(
    ("ids", "bucket"),
    [
        ((1,), 135_863),
        ((2,), 131_085),
        ((1, 2), 82_206),
        ((2, 1), 7_330),
        ((1, 2, 3, 4), 65_865),
        ((BEGIN, 1), 221_760),
        ((8193, END), 5_106),
    ],
)
def test_buckets_stay_the_same_in_all_versions(ids: tuple[int, ...], bucket: int) -> None:
    columns = [np.array([each], np.uint32) for each in ids]
    assert hash_ngrams(columns).tolist() == [bucket] == [hash_one(ids)]


def test_the_ngrams_of_two_rows() -> None:
    ids = np.array([[7, 7, 7], [3, 9, 9]])
    ngrams = distinct_ngrams(ids, np.array([3, 1]))
    first = [(7,), (7, 7), (7, 7, 7), (BEGIN, 7), (7, END), (BEGIN, 7, 7), (7, 7, END)]
    first += [(BEGIN, 7, 7, 7), (7, 7, 7, END)]
    second = [(3,), (BEGIN, 3), (3, END), (BEGIN, 3, END)]
    assert ngrams.counts.tolist() == [9, 4]
    expected = [*sorted(map(hash_one, first)), *sorted(map(hash_one, second))]
    assert ngrams.buckets.tolist() == expected


@given(st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=7), min_size=1, max_size=5))
def test_every_ngram_is_there_once_a_row(rows: list[list[int]]) -> None:
    lengths = np.array([len(row) for row in rows])
    # What is beyond a row must not matter.
    ids = np.array([row + [5] * (7 - len(row)) for row in rows])
    ngrams = distinct_ngrams(ids, lengths)
    expected = [sorted(set(map(hash_one, ngrams_of(row)))) for row in rows]
    assert ngrams.counts.tolist() == [len(row) for row in expected]
    assert ngrams.buckets.tolist() == [bucket for row in expected for bucket in row]
