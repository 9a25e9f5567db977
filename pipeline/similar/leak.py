"""How many rows to measure with have a similar train row, found exactly for some of them.

With the splits of --similar, and with those that the hash alone would give.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist

Hashes = npt.NDArray[np.uint64]
Bools = npt.NDArray[np.bool_]
Identities = npt.NDArray[np.float32]

SAMPLED_SEQUENCES = 2_000
ROWS_AT_ONCE = 4_096


def identities(first: Sequence[str], second: Sequence[str], threads: int) -> Identities:
    """Return the identity of each of n sequences with each of m: (n, m) float32.

    It is 1 - edit distance / length of the longer one (Levenshtein 1966).
    """
    return cdist(
        first,
        second,
        scorer=Levenshtein.normalized_similarity,
        dtype=np.float32,
        workers=threads,
    )


class Roles(NamedTuple):
    """What n sequences are: whether they are measured with, and whether trained on, (n, 2) bool.

    Each in the first column with the splits of --similar, in the second with those of the hash.
    """

    is_measured: Bools
    is_train: Bools


@dataclass(frozen=True)
class Sample:
    """The n sequences of the least ranks that are measured with.

    rank: (n,) uint64, ascending. sequence: (n,) string. is_measured: (n, 2) bool, see `Roles`;
    at most `SAMPLED_SEQUENCES` in each column.
    """

    rank: Hashes
    sequence: pa.StringArray
    is_measured: Bools


class Leak(NamedTuple):
    """Sequences to measure with: how many were sampled, and how many have a similar train row."""

    sampled: int
    near: int


def take_sample(rank: Hashes, sequence: pa.StringArray, is_measured: Bools) -> Sample:
    """Return a sample of n sequences.

    Args:
        rank: a hash that splits do not follow from, (n,) uint64; equal ones are one sequence.
        sequence: (n,) string.
        is_measured: (n, 2) bool, see `Roles`.
    """
    rank, first = np.unique(rank, return_index=True)
    chosen = is_measured[first]
    chosen &= np.cumsum(chosen, axis=0) <= SAMPLED_SEQUENCES
    kept = np.flatnonzero(chosen.any(axis=1))
    return Sample(rank[kept], sequence.take(pa.array(first[kept])), chosen[kept])


def add_samples(samples: Iterable[Sample]) -> Sample:
    """Return the sample of all sequences of which there are samples."""
    none = Sample(np.zeros(0, np.uint64), pa.array([], pa.string()), np.zeros((0, 2), np.bool_))
    parts = [none, *samples]
    return take_sample(
        np.concatenate([part.rank for part in parts]),
        pa.concat_arrays([part.sequence for part in parts]),
        np.concatenate([part.is_measured for part in parts]),
    )


def find_nearest(sample: Sample, sequence: pa.StringArray, is_train: Bools) -> Identities:
    """Return the identity of the nearest train row of each sequence of a sample: (n, 2) float32.

    It is -1 where there is none.

    Args:
        sample: n sequences.
        sequence: of m rows, (m,) string.
        is_train: (m, 2) bool, see `Roles`.
    """
    nearest = np.full((len(sample.rank), 2), -1, np.float32)
    sampled = sample.sequence.to_pylist()
    rows = np.flatnonzero(is_train.any(axis=1))
    for start in range(0, len(rows), ROWS_AT_ONCE):
        some = rows[start : start + ROWS_AT_ONCE]
        found = identities(sampled, sequence.take(pa.array(some)).to_pylist(), threads=1)
        for column in range(2):
            best = found[:, is_train[some, column]].max(axis=1, initial=-1)
            nearest[:, column] = np.maximum(nearest[:, column], best)
    return nearest


def count_leaks(sample: Sample, nearest: Iterable[Identities], threshold: float) -> list[Leak]:
    """Return the leaks with the splits of --similar, and with those of the hash alone.

    Args:
        sample: n sequences.
        nearest: of all rows, what `find_nearest` returned, (n, 2) float32 each.
        threshold: the identity from which on a train row is similar.
    """
    none = np.full((len(sample.rank), 2), -1, np.float32)
    is_near = np.maximum.reduce([none, *nearest]) >= np.float32(threshold)
    return [
        Leak(
            int(sample.is_measured[:, column].sum()),
            int((near & sample.is_measured[:, column]).sum()),
        )
        for column, near in enumerate(is_near.T)
    ]
