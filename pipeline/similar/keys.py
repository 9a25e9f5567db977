"""Keys of sequences: two that are nearly equal have one in common, most others have not.

Short sequences have a key for each way to delete as many characters as may differ: two sequences
within k edits have a common subsequence that lacks at most k characters of either, so that none is
missed (deletion neighbourhoods: Mor and Fraenkel 1982). Longer ones have a key for each of their
q-grams, wherever it stands, or for a sample of them (Linclust: Steinegger and Söding 2018).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.identity import MAX_GRAMS, Identity, gram_lengths
from pipeline.rows.hashing import mix

Hashes = npt.NDArray[np.uint64]
Codes = npt.NDArray[np.uint32]

_BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2**64
_INVERSE = pow(_BASE, -1, 1 << 64)
_SIGNATURE_BITS = np.uint64(64)


def by_length(sequence: pa.StringArray) -> Iterator[tuple[npt.NDArray[np.int64], Codes]]:
    """Yield the rows of each length, (m,), and their code points, (m, length) uint32."""
    length = pc.utf8_length(sequence).to_numpy()
    order = np.argsort(length, kind="stable")
    text = "".join(sequence.take(pa.array(order)).to_pylist())
    codes = np.frombuffer(text.encode("utf-32-le"), "<u4")
    lengths, counts = np.unique(length, return_counts=True)
    row = character = 0
    for size, count in zip(lengths.tolist(), counts.tolist(), strict=True):
        end = character + size * count
        yield order[row : row + count], codes[character:end].reshape(count, size)
        row, character = row + count, end


def make_keys(codes: Codes, identity: Identity) -> Hashes:
    """Return the keys of sequences of one length: (n, length) uint32 to (n, keys) uint64.

    A key may occur more than once in a row.
    """
    length = codes.shape[1]
    columns = [np.zeros((len(codes), 0), np.uint64)]
    with np.errstate(over="ignore"):
        characters = mix(codes.astype(np.uint64) + np.uint64(1))
        if identity.has_variants(length):
            columns.append(_variants(characters, identity.edits(length)))
        for gram in gram_lengths(identity, length):
            if gram <= length:
                columns.append(_least(_grams(characters, gram)))
    return np.concatenate(columns, axis=1)


def _variants(characters: Hashes, most: int) -> Hashes:
    """Return a hash for each way to delete at most so many characters: (n, length) to (n, keys).

    The hash of a text is the sum of its characters, each multiplied with _BASE to the power of its
    place; where a character is deleted, all behind it move one place to the front.
    """
    length = characters.shape[1]
    powers = np.array([pow(_BASE, place, 1 << 64) for place in range(length)], np.uint64)
    sums = np.zeros((len(characters), length + 1), np.uint64)
    np.cumsum(characters * powers, axis=1, out=sums[:, 1:])
    moves = [np.uint64(pow(_INVERSE, places, 1 << 64)) for places in range(most + 1)]
    keys = []
    for deleted in range(most + 1):
        for places in combinations(range(length), deleted):
            starts, ends = (0, *(place + 1 for place in places)), (*places, length)
            runs = zip(moves, starts, ends, strict=False)
            keys.append(sum((sums[:, end] - sums[:, start]) * move for move, start, end in runs))
    return mix(np.stack(keys, axis=1))


def _grams(characters: Hashes, gram: int) -> Hashes:
    """Return a hash of each q-gram: (n, length) to (n, length - gram + 1)."""
    num_grams = characters.shape[1] - gram + 1
    value = np.full((len(characters), num_grams), gram, np.uint64)
    for place in range(gram):
        value = value * np.uint64(_BASE) + characters[:, place : place + num_grams]
    return mix(value)


def _least(grams: Hashes) -> Hashes:
    if grams.shape[1] <= MAX_GRAMS:
        return grams
    return np.partition(grams, MAX_GRAMS - 1, axis=1)[:, :MAX_GRAMS]


def make_signatures(codes: Codes) -> Hashes:
    """Return 64 bits that tell the characters of each sequence: (n, length) uint32 to (n,) uint64.

    An edit changes two bits at most: a bit is set by the first, second, … of a character.
    """
    ordered = np.sort(codes, axis=1).astype(np.uint64)
    places = np.broadcast_to(np.arange(codes.shape[1]), codes.shape)
    is_new = np.ones(codes.shape, np.bool_)
    is_new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    occurrence = places - np.maximum.accumulate(np.where(is_new, places, 0), axis=1)
    with np.errstate(over="ignore"):
        bits = mix((ordered << np.uint64(32)) + occurrence.astype(np.uint64)) % _SIGNATURE_BITS
    signatures: Hashes = np.bitwise_or.reduce(np.uint64(1) << bits, axis=1)
    return signatures
