"""Which split and shard a row goes to: ranges of a stable hash of its sequence.

A dataset is all rows in the order of their 64-bit hash, cut into splits, and those into shards.
Three promises follow from that alone, on any runner and with any number of workers. Equal
sequences have equal hashes, so they meet in one shard: no sequence is in two splits, and
duplicates can be removed a shard at a time. The hash has nothing to do with the order of the
input, so every shard, and all of them in order, are shuffled. And the place of a row depends on
its sequence and `--seed` only, so the same rows give the same files, however they arrive.

The range is cut with exact fractions, not with floats: 0.8 of 2**64 has no exact float, and a
limit that were off by one would move rows between splits from one version to another. The splits
come in a fixed order, train first, so that the limits between them do not depend on the number of
shards: whether a row is in the train split is known before the rows are counted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate

import numpy as np
import numpy.typing as npt

ROWS_PER_SHARD = 1 << 18
_NUM_HASHES = 1 << 64


@dataclass(frozen=True, order=True)
class PlannedShard:
    """One file of a split to be written: `index` of `count`."""

    split: str
    index: int
    count: int

    def file_name(self, compression: str) -> str:
        """Return its path in the dataset directory."""
        suffix = ".gz" if compression == "gzip" else ""
        return f"{self.split}/part-{self.index:05d}-of-{self.count:05d}.tfrecord{suffix}"


@dataclass(frozen=True)
class Partition:
    """The shards of all splits, those of a split in hash order.

    upper_bounds: by split, in order, the greatest hash that belongs to each of its shards, (k,)
    uint64.
    """

    shards: tuple[PlannedShard, ...]
    upper_bounds: Mapping[str, npt.NDArray[np.uint64]]

    def assign(
        self, hashes: npt.NDArray[np.uint64], split: npt.NDArray[np.integer]
    ) -> npt.NDArray[np.int64]:
        """Return the position in `shards` of rows: (n,) int64.

        Args:
            hashes: of their sequences, (n,) uint64.
            split: the place of each among the splits, (n,).
        """
        position = np.zeros(len(hashes), np.int64)
        first = 0
        for place, bounds in enumerate(self.upper_bounds.values()):
            if len(bounds):
                inside = split == place
                position[inside] = first + np.searchsorted(bounds, hashes[inside], side="left")
                first += len(bounds)
        return position


def plan_partition(fractions: Mapping[str, Fraction], train_shards: int) -> Partition:
    """Cut the hash range by split, and each split evenly by shard.

    Args:
        fractions: of each split; those of 0 get no shard.
        train_shards: the number of shards of the first split, train. The other splits get as many
            as keep their size near that of a train shard.
    """
    largest = next(iter(fractions.values()))
    shards: list[PlannedShard] = []
    upper_bounds: dict[str, npt.NDArray[np.uint64]] = {}
    start = Fraction(0)
    for split, fraction in fractions.items():
        count = math.ceil(train_shards * fraction / largest)
        shards += [PlannedShard(split, index, count) for index in range(count)]
        upper_bounds[split] = cut_evenly(start, fraction, count)
        start += fraction
    return Partition(tuple(shards), upper_bounds)


def plan_even_partition(rows: Mapping[str, int], train_shards: int) -> Partition:
    """Cut the range of all hashes evenly by shard, for each split.

    Args:
        rows: of each split; those of 0 get no shard.
        train_shards: the number of shards of the first split, train, and of the others as for
            `plan_partition`.
    """
    # Rows that are added to others may be in any split.
    of_train = max(next(iter(rows.values())), 1)
    counts = {
        split: math.ceil(Fraction(train_shards * count, of_train)) for split, count in rows.items()
    }
    return Partition(
        tuple(
            PlannedShard(split, index, count)
            for split, count in counts.items()
            for index in range(count)
        ),
        {split: cut_evenly(Fraction(0), Fraction(1), count) for split, count in counts.items()},
    )


def cut_evenly(start: Fraction, size: Fraction, count: int) -> npt.NDArray[np.uint64]:
    """Return the greatest hash of each of `count` equal parts of a range of the hashes."""
    ends = [start + size * (index + 1) / count for index in range(count)]
    return np.array([math.ceil(end * _NUM_HASHES) - 1 for end in ends], np.uint64)


def assign_splits(
    hashes: npt.NDArray[np.uint64], fractions: Mapping[str, Fraction]
) -> npt.NDArray[np.int64]:
    """Return the place in `fractions` of each hash's split: (n,) uint64 to (n,) int64.

    It does not depend on the number of shards.
    """
    ends = accumulate(fractions.values())
    upper_bounds = np.array([math.ceil(end * _NUM_HASHES) - 1 for end in ends], np.uint64)
    return np.searchsorted(upper_bounds, hashes, side="left")


def default_train_shards(rows: int | Fraction) -> int:
    """Return the number of shards of about `ROWS_PER_SHARD` rows each, for so many train rows."""
    return max(1, math.ceil(rows / Fraction(ROWS_PER_SHARD)))
