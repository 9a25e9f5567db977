"""Which split and shard a row goes to: a stable hash of its sequence, and ranges of it.

The dataset is all rows in the order of their 64-bit hash, cut into splits and those into shards.
So equal sequences meet in one shard, and every shard is shuffled, whatever order rows came in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

ROWS_PER_SHARD = 1 << 18


@dataclass(frozen=True, order=True)
class Shard:
    """One file of a split: `index` of `count`."""

    split: str
    index: int
    count: int

    def file_name(self, compression: str) -> str:
        """Its path in the dataset directory."""
        suffix = ".gz" if compression == "gzip" else ""
        return f"{self.split}/part-{self.index:05d}-of-{self.count:05d}.tfrecord{suffix}"


@dataclass(frozen=True)
class Partition:
    """Shards in hash order; `last[i]` is the greatest hash that belongs to shard i."""

    shards: tuple[Shard, ...]
    last: npt.NDArray[np.uint64]

    def of(self, hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        """The position in `shards` of each hash: (n,) uint64 to (n,) int64."""
        return np.searchsorted(self.last, hashes, side="left")


def plan_partition(fractions: Mapping[str, Fraction], train_shards: int) -> Partition:
    """Cut the hash range by split, and each split evenly by shard.

    The other splits get as many shards as keep theirs near the size of a train shard.
    """
    shards: list[Shard] = []
    last: list[int] = []
    start = Fraction(0)
    for split, fraction in fractions.items():
        count = math.ceil(train_shards * fraction / fractions["train"])
        for index in range(count):
            shards.append(Shard(split, index, count))
            last.append(math.ceil((start + fraction * (index + 1) / count) * 2**64) - 1)
        start += fraction
    return Partition(tuple(shards), np.array(last, np.uint64))


def last_train_hash(fractions: Mapping[str, Fraction]) -> np.uint64:
    """The greatest hash of the train split, which comes first whatever the number of shards."""
    last: np.uint64 = plan_partition(fractions, 1).last[0]
    return last


def default_train_shards(rows: int, fractions: Mapping[str, Fraction]) -> int:
    """As many shards as hold `ROWS_PER_SHARD` rows each."""
    return max(1, math.ceil(rows * fractions["train"] / ROWS_PER_SHARD))
