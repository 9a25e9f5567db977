"""Pairs of similar sequences among those that have keys in one range of hashes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cpdist

from pipeline.identity import Identity
from pipeline.rows.packing import pack_rows, unpack_rows
from pipeline.rows.spilling import Packed
from pipeline.similar.keys import Hashes, by_length, make_keys, make_signatures

Places = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# The sequences of a key are compared each with so many that follow in the order of text.
_NEIGHBOURS = 64
_PAIRS_AT_ONCE = 1 << 20
_KEYED = pa.schema(
    [("hash", pa.uint64()), ("sequence", pa.string()), ("keys", pa.list_(pa.uint64()))]
)


def range_of(hashes: Hashes, bits: int) -> Hashes:
    """Return the number of the range of each hash, of 2**bits ranges: (n,) uint64."""
    return hashes >> np.uint64(64 - bits)


def pack_keys(
    hashes: Hashes, sequence: pa.StringArray, identity: Identity, bits: int
) -> Iterator[tuple[int, bytes]]:
    """Yield the number of each range of hashes, and the sequences with keys in it, packed.

    The hash of a sequence is one of its keys.

    Args:
        hashes: (n,) uint64.
        sequence: (n,) string, as it is cut.
        identity: what is wanted.
        bits: there are 2**bits ranges.
    """
    hashes, first = np.unique(hashes, return_index=True)
    sequence = sequence.take(pa.array(first))
    rows, keys = [np.arange(len(hashes))], [hashes]
    for of_length, codes in by_length(sequence):
        made = make_keys(codes, identity)
        rows.append(np.repeat(of_length, made.shape[1]))
        keys.append(made.reshape(-1))
    row, key = np.concatenate(rows), np.concatenate(keys)
    number = range_of(key, bits)
    order = np.lexsort((row, number))
    row, key, number = row[order], key[order], number[order]
    numbers, starts = np.unique(number, return_index=True)
    ends = np.append(starts[1:], len(row))
    for each, start, end in zip(numbers.tolist(), starts.tolist(), ends.tolist(), strict=True):
        inside, offsets = np.unique(row[start:end], return_index=True)
        offsets = np.append(offsets, end - start).astype(np.int32)
        columns = [
            pa.array(hashes[inside]),
            sequence.take(pa.array(inside)),
            pa.ListArray.from_arrays(pa.array(offsets), pa.array(key[start:end])),
        ]
        yield each, pack_rows(pa.RecordBatch.from_arrays(columns, schema=_KEYED))


class KeyedSequences:
    """The distinct sequences that have a key in one range of hashes.

    Args:
        packed: what `pack_keys` yielded for that range.
        identity: what is wanted.
    """

    def __init__(self, packed: Iterable[Packed], identity: Identity) -> None:
        rows = unpack_rows(packed, _KEYED)
        hashes, first, row_of = np.unique(
            rows["hash"].to_numpy(), return_index=True, return_inverse=True
        )
        sequence = rows["sequence"].take(pa.array(first))
        # From here on, a sequence is its place in the order of text.
        by_text = pc.sort_indices(sequence).to_numpy()
        place = np.empty(len(hashes), np.int64)
        place[by_text] = np.arange(len(hashes))
        keys = rows["keys"]
        members = np.repeat(place[row_of], pc.list_value_length(keys).to_numpy())
        self._hashes = hashes[by_text]
        self._keys, self._members = _shared_keys(keys.flatten().to_numpy(), members)
        self._comparison = _Comparison(sequence.take(pa.array(by_text)), identity)

    def count(self, number: int, bits: int) -> int:
        """Return how many of the sequences have their hash in range `number` of 2**bits."""
        return int(np.count_nonzero(range_of(self._hashes, bits) == number))

    def similar_pairs(self) -> Iterator[tuple[Hashes, Hashes]]:
        """Yield hashes of similar sequences, (k,) and (k,), some pairs more than once."""
        for candidates in _candidates(self._keys, self._members):
            a, b = _unpair(self._comparison.similar(candidates))
            if len(a):
                yield self._hashes[a], self._hashes[b]


def _shared_keys(key: Hashes, member: Places) -> tuple[Hashes, Places]:
    """Return the keys that several members have, with each of these, in order: (k,) and (k,)."""
    order = np.argsort(key, kind="stable")
    key, member = key[order], member[order]
    is_same = key[1:] == key[:-1]
    is_shared = np.append(is_same, False) | np.append(False, is_same)
    key, member = key[is_shared], member[is_shared]
    order = np.lexsort((member, key))
    key, member = key[order], member[order]
    is_new = np.append(True, (key[1:] != key[:-1]) | (member[1:] != member[:-1]))[: len(key)]
    return key[is_new], member[is_new]


def _candidates(key: Hashes, member: Places) -> Iterator[Places]:
    """Yield pairs of members with a key in common, see `_pair`; some more than once."""
    first = np.arange(len(key))
    for distance in range(1, _NEIGHBOURS + 1):
        first = first[first + distance < len(key)]
        first = first[key[first] == key[first + distance]]
        if not len(first):
            return
        for start in range(0, len(first), _PAIRS_AT_ONCE):
            some = first[start : start + _PAIRS_AT_ONCE]
            yield _pair(member[some], member[some + distance])


def _pair(a: Places, b: Places) -> Places:
    """Return pairs of numbers below 2**31 as one number each."""
    return (a << 32) | b


def _unpair(pairs: Places) -> tuple[Places, Places]:
    return pairs >> 32, pairs & 0xFFFFFFFF


class _Comparison:
    """Sequences that are compared in pairs."""

    def __init__(self, sequence: pa.StringArray, identity: Identity) -> None:
        self._texts = np.array(sequence.to_pylist(), object)
        self._length = pc.utf8_length(sequence).to_numpy()
        self._signature = np.zeros(len(sequence), np.uint64)
        for rows, codes in by_length(sequence):
            self._signature[rows] = make_signatures(codes)
        longest = int(self._length.max(initial=0))
        self._edits = np.array([identity.edits(length) for length in range(longest + 1)])

    def similar(self, pairs: Places) -> Places:
        """Return those of the pairs that have the wanted identity."""
        a, b = _unpair(pairs)
        edits = self._edits[np.maximum(self._length[a], self._length[b])]
        differing = np.bitwise_count(self._signature[a] ^ self._signature[b])
        maybe = differing <= 2 * edits
        maybe &= np.abs(self._length[a] - self._length[b]) <= edits
        pairs = np.unique(pairs[maybe])
        a, b = _unpair(pairs)
        edits = self._edits[np.maximum(self._length[a], self._length[b])]
        distance = cpdist(
            self._texts[a],
            self._texts[b],
            scorer=Levenshtein.distance,
            score_cutoff=int(edits.max(initial=0)),
            dtype=np.int32,
            workers=1,
        )
        similar: Places = pairs[distance <= edits]
        return similar
