"""Character n-grams of sequences of ids, as numbers of hash buckets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from charseq.measures.gains import Ints

MAX_N = 4
BUCKETS = 1 << 18

# Of the begin and the end of a sequence; characters have ids below, as there are fewer in Unicode.
_BEGIN, _END = 1 << 24, (1 << 24) + 1
_NONE = np.uint32(2**32 - 1)


class Ngrams(NamedTuple):
    """The distinct n-grams of some rows, row after row.

    buckets: (ngrams,) int32, the bucket of each, ascending in a row. counts: (rows,) int32, how
    many of them are a row's.
    """

    buckets: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int32]


def distinct_ngrams(ids: npt.NDArray[np.integer[Any]], lengths: Ints) -> Ngrams:
    """Return the n-grams of some rows, n from 1 to 4, each once a row.

    A mark stands before and after a sequence, and is in n-grams of two and more. N-grams that
    share a bucket are one.

    Args:
        ids: (rows, max_length), from 1; what is beyond a row's length is ignored.
        lengths: (rows,), 1 to max_length.
    """
    rows, max_length = ids.shape
    marked = np.empty((rows, max_length + 2), np.uint32)
    marked[:, 0] = _BEGIN
    marked[:, 1:-1] = ids
    marked[np.arange(rows), lengths + 1] = _END
    buckets = np.concatenate(
        [_ngrams_of(marked[:, 1:-1], lengths, 1)]
        + [_ngrams_of(marked, lengths + 2, n) for n in range(2, MAX_N + 1)],
        axis=1,
    )
    buckets.sort(axis=1)
    is_new = buckets != _NONE
    is_new[:, 1:] &= buckets[:, 1:] != buckets[:, :-1]
    return Ngrams(buckets[is_new].astype(np.int32), is_new.sum(axis=1, dtype=np.int32))


def _ngrams_of(ids: npt.NDArray[np.uint32], lengths: Ints, n: int) -> npt.NDArray[np.uint32]:
    """Return the bucket of each n-gram, (rows, width - n + 1); `_NONE` if it is not inside."""
    width = max(ids.shape[1] - n + 1, 0)
    buckets = hash_ngrams([ids[:, place : place + width] for place in range(n)])
    return np.where(np.arange(width) + n <= lengths[:, np.newaxis], buckets, _NONE)


def hash_ngrams(ids: Sequence[npt.NDArray[np.uint32]]) -> npt.NDArray[np.uint32]:
    """Return the buckets of n-grams; `ids` holds their first, second, … ids in arrays.

    FNV-1a over the ids, then a round of MurmurHash3's finalizer, so that the low bits depend on
    all others: multiplications modulo 2^32, xor and shifts.
    """
    hashes = np.full_like(ids[0], 2_166_136_261)
    for each in ids:
        hashes = (hashes ^ each) * np.uint32(16_777_619)
    hashes = (hashes ^ (hashes >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    return (hashes ^ (hashes >> np.uint32(13))) % np.uint32(BUCKETS)
