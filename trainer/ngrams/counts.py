"""How often the n-grams of some rows occur with each label, in a compact form.

Counts are codes of one byte. Of the most frequent n-grams those of all labels are kept; of the
others, which mostly have one label or two, those of their four most frequent ones. Where there are
too many, n-grams that are rarer than others are left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from trainer.ngrams.index import NgramIndex, index_ngrams

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
# Hashes of n-grams (rows, positions, sizes), as of `trainer.ngrams.hashing`, and labels (rows,).
Rows = tuple[npt.NDArray[np.int32], Int64s]

_MAX_NGRAMS = 2**20
# Bytes of the codes of all labels.
_MAX_CODES = 16_000_000
FEW = 4
# A code is a floating-point number of 4 bits of exponent and 4 of mantissa: bits of a float32 from
# `CODE_SHIFT` on, above those of 16, from which 16 is then taken.
CODE_SHIFT, CODE_BASE = 19, 16.0
DECODED = (
    (np.arange(256, dtype=np.uint32) << CODE_SHIFT) + np.float32(CODE_BASE).view(np.uint32)
).view(np.float32) - CODE_BASE
# What the continuations of a sequence's beginning are counted for: it is no n-gram.
_NO_CONTEXT = -1


class NgramCounts(NamedTuple):
    """Counts of n-grams by label.

    ngrams: where they are; places follow the frequency. codes: (coded + 1, 2, labels) uint8, of
    `encode_counts`, by place: how often an n-gram occurs, and how many different symbols follow it;
    those of place 0, of all other n-grams, are zeros. few_labels: (others + 1, 4) int32, of the
    places after those with codes: the most frequent labels, -1 for none; the first row is for no
    n-gram. few_codes: (others + 1, 4, 2) uint8, the codes of these labels. symbols: (2, labels)
    float32: the symbols that occur, and how many of them differ.
    """

    ngrams: NgramIndex
    codes: npt.NDArray[np.uint8]
    few_labels: Int32s
    few_codes: npt.NDArray[np.uint8]
    symbols: npt.NDArray[np.float32]


class _Pairs(NamedTuple):
    """N-grams and labels that occur together.

    keys: hash · labels + label, ascending. counts: how often. contexts: the hash of what is before
    the last symbol of the n-gram, 0 for nothing.
    """

    keys: Int64s
    counts: Int64s
    contexts: Int64s


def count_ngrams(
    blocks: Iterable[Rows],
    num_labels: int,
    max_ngrams: int = _MAX_NGRAMS,
    max_codes: int = _MAX_CODES,
) -> NgramCounts:
    """Count the n-grams of all rows.

    Args:
        blocks: the rows, some at a time.
        num_labels: that there are.
        max_ngrams: to be kept; if there are more, those that occur less often than some number.
        max_codes: the bytes that all codes may take.
    """
    pairs = _merge([_pairs(*block, num_labels) for block in blocks])
    hashes, labels = np.divmod(pairs.keys, num_labels)
    followed = pairs.contexts >= 0
    contexts = pairs.contexts[followed] * num_labels + labels[followed]
    # What is no context is the end of a sequence.
    continuations = np.maximum(_count_in(contexts, pairs.keys), 1)
    return NgramCounts(
        *_rank(hashes, labels, pairs.counts, continuations, num_labels, max_ngrams, max_codes),
        _count_symbols(pairs, labels, num_labels),
    )


def encode_counts(counts: Int64s) -> npt.NDArray[np.uint8]:
    """Return a byte for each count: exact up to 16, and within 6 % up to a million."""
    middles = (DECODED[1:] + DECODED[:-1]) / 2
    return np.searchsorted(middles, counts).astype(np.uint8)


def _pairs(hashes: Int32s, labels: Int64s, num_labels: int) -> _Pairs:
    """Return the pairs of some rows."""
    whole = hashes.view(np.uint32).astype(np.int64)
    contexts = np.full(whole.shape, _NO_CONTEXT, np.int64)
    contexts[:, 1:, 0] = 0
    contexts[:, 1:, 1:] = whole[:, :-1, :-1]
    exists = whole > 0
    keys = (whole * num_labels + labels[:, np.newaxis, np.newaxis])[exists]
    distinct, first, counts = np.unique(keys, return_index=True, return_counts=True)
    return _Pairs(distinct, counts, contexts[exists][first])


def _merge(parts: list[_Pairs]) -> _Pairs:
    """Return the pairs of several parts, each once; of each the first context counts."""
    keys, counts, contexts = (np.concatenate(column) for column in zip(*parts, strict=True))
    distinct, first, places = np.unique(keys, return_index=True, return_inverse=True)
    summed = np.bincount(places, counts, len(distinct)).astype(np.int64)
    return _Pairs(distinct, summed, contexts[first])


def _count_in(values: Int64s, keys: Int64s) -> Int64s:
    """Return how often each of `keys`, ascending, is in `values`."""
    distinct, counts = np.unique(values, return_counts=True)
    places = np.searchsorted(distinct, keys)
    places[places == len(distinct)] = 0
    return np.where(distinct[places] == keys, counts[places], 0)


def _count_symbols(pairs: _Pairs, labels: Int64s, num_labels: int) -> npt.NDArray[np.float32]:
    """Return the symbols that occur with each label, and how many of them differ, (2, labels)."""
    single = pairs.contexts == 0
    occur = np.bincount(labels[single], pairs.counts[single], num_labels)
    differ = np.bincount(labels[single], minlength=num_labels)
    return np.stack([occur, differ]).astype(np.float32)


def _rank(
    hashes: Int64s,
    labels: Int64s,
    counts: Int64s,
    continuations: Int64s,
    num_labels: int,
    max_ngrams: int,
    max_codes: int,
) -> tuple[Any, Any, Any, Any]:
    """Return all of `NgramCounts` but `symbols`."""
    distinct, first, of_pairs = np.unique(hashes, return_index=True, return_inverse=True)
    occurrences = np.add.reduceat(counts, first)
    order = np.argsort(-occurrences, kind="stable")
    order = order[: _num_kept(occurrences[order], max_ngrams)]
    places = np.zeros(len(distinct), np.int64)
    places[order] = np.arange(1, len(order) + 1)
    of_pairs = places[of_pairs]
    num_coded = min(len(order), max(max_codes // (2 * num_labels), 1))
    values = encode_counts(np.stack([counts, continuations], axis=1))
    codes = np.zeros((num_coded + 1, 2, num_labels), np.uint8)
    coded = (of_pairs > 0) & (of_pairs <= num_coded)
    codes[of_pairs[coded], :, labels[coded]] = values[coded]
    few_labels = np.full((len(order) - num_coded + 1, FEW), -1, np.int32)
    few_codes = np.zeros((*few_labels.shape, 2), np.uint8)
    others = np.flatnonzero(of_pairs > num_coded)
    others = others[np.lexsort((-counts[others], of_pairs[others]))]
    row = of_pairs[others] - num_coded
    column = np.arange(len(row)) - np.searchsorted(row, row)
    is_kept = column < FEW
    at = row[is_kept], column[is_kept]
    few_labels[at], few_codes[at] = labels[others[is_kept]], values[others[is_kept]]
    index = index_ngrams(distinct[order].astype(np.uint32).view(np.int32))
    return index, codes, few_labels, few_codes


def _num_kept(occurrences: Int64s, max_ngrams: int) -> int:
    """Return how many n-grams are kept, by their occurrences, falling: none or all of each number.

    What follows an n-gram is less probable if some of it is left out, at random, and some is not.
    """
    if len(occurrences) <= max_ngrams:
        return len(occurrences)
    return int(np.searchsorted(-occurrences, -occurrences[max_ngrams]))
