"""Which rows a base has already, by the indexes of its shards."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from io import BytesIO
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from charseq.chain import Named
from charseq.manifest import SPLITS, Manifest, index_path
from pipeline.base import Base
from pipeline.manifests.verified import read_verified
from pipeline.shards.partition import cut_evenly
from pipeline.split_fractions import parse_split

Hashes = npt.NDArray[np.uint64]
Bools = npt.NDArray[np.bool_]


class Index(NamedTuple):
    """The index of a shard: hashes of sequences, ascending, and of sequence and label, (k,)."""

    hashes: Hashes
    pairs: Hashes


class KnownRows(NamedTuple):
    """Which of n rows a base has, (n,) bool, and which sequences, under any label, (n,) bool."""

    is_row: Bools
    is_sequence: Bools


def find_known(base: Base, split: str, hashes: Hashes, pairs: Hashes) -> KnownRows:
    """Return which rows a split of a base has.

    Args:
        base: what is searched.
        split: of it.
        hashes: of the sequences of n rows, (n,) uint64, ascending.
        pairs: of sequence and label, (n,) uint64, see `pipeline.shards.index`.

    Raises:
        DataError: an index cannot be read, or has changed.
    """
    is_row, is_sequence = np.zeros(len(hashes), np.bool_), np.zeros(len(hashes), np.bool_)
    for index in _read_indexes(base, split, hashes):
        is_row |= np.isin(pairs, index.pairs)
        is_sequence |= np.isin(hashes, index.hashes)
    return KnownRows(is_row, is_sequence)


def find_splits(base: Base, hashes: Hashes) -> npt.NDArray[np.int8]:
    """Return the place in SPLITS where a base has each sequence, -1 where it has not: (n,) int8.

    Args:
        base: what is searched.
        hashes: (n,) uint64, ascending.

    Raises:
        DataError: as `find_known`.
    """
    split = np.full(len(hashes), -1, np.int8)
    for place, name in enumerate(SPLITS):
        for index in _read_indexes(base, name, hashes):
            split[np.isin(hashes, index.hashes)] = place
    return split


def _read_indexes(base: Base, split: str, hashes: Hashes) -> Iterator[Index]:
    """Yield the indexes of a split that may have one of n hashes, (n,) uint64, ascending."""
    if not len(hashes):
        return
    least, greatest = hashes[0], hashes[-1]
    for member in base.members:
        shards = [shard for shard in member.manifest.shards if shard.split == split]
        last = _last_hashes(member.manifest, split, len(shards))
        # Each begins where the one before ends.
        first = np.append(np.zeros(1, np.uint64), last)[: len(shards)]
        for shard, begins, ends in zip(shards, first, last, strict=True):
            if shard.records and begins <= greatest and least <= ends:
                index = read_array(member, index_path(shard.path))
                yield Index(index[:, 0], index[:, 1])


def _last_hashes(manifest: Manifest, split: str, shards: int) -> Hashes:
    """Return the greatest hash that belongs to each shard of a split: (shards,) uint64."""
    if manifest.options.get("stratify") or manifest.options.get("group_column"):
        return cut_evenly(Fraction(0), Fraction(1), shards)
    fractions = parse_split(manifest.options["split"])
    before = sum(
        (share for name, share in fractions.items() if SPLITS.index(name) < SPLITS.index(split)),
        Fraction(0),
    )
    return cut_evenly(before, fractions[split], shards)


def read_array(dataset: Named, name: str) -> Hashes:
    """Return the content of a `.npy` file of a dataset.

    Raises:
        DataError: it is not there, or has changed.
    """
    array: Hashes = np.load(BytesIO(read_verified(dataset, name)), allow_pickle=False)
    return array
