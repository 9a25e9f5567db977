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
import pyarrow as pa

ROWS_PER_SHARD = 1 << 18
_WORD = 8


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


def hash_sequences(sequence: pa.StringArray, seed: int) -> npt.NDArray[np.uint64]:
    """A 64-bit hash of the UTF-8 of each sequence: (n,) string, none empty, to (n,) uint64.

    state = mix(seed + bytes * 0x9E3779B97F4A7C15), then state = mix(state ^ word) for each
    little-endian 8-byte word, the last one padded with zeros; mix is splitmix64's finaliser
    (Steele et al. 2014), so that each step permutes the states.
    """
    data, start, size = _flat_bytes(sequence)
    # Every byte position as the start of a word: unaligned reads, nothing copied.
    words: npt.NDArray[np.uint64] = np.ndarray(len(data) - _WORD + 1, "<u8", data, strides=(1,))
    with np.errstate(over="ignore"):
        state = _mix(np.uint64(seed) + size.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))
        active = np.arange(len(start))
        for offset in range(0, int(size.max(initial=0)), _WORD):
            active = active[size[active] > offset]
            word = words[start[active] + offset]
            rest = np.minimum(size[active] - offset, _WORD).astype(np.uint64) * np.uint64(8)
            word &= np.uint64(2**64 - 1) >> (np.uint64(64) - rest)
            state[active] = _mix(state[active] ^ word)
    return state


def _mix(value: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def _flat_bytes(
    sequence: pa.StringArray,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """All bytes with a word of zeros behind them, and where each row starts and its size."""
    _, offsets_buffer, data_buffer = sequence.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int32)[sequence.offset :][: len(sequence) + 1]
    offsets = offsets.astype(np.int64)
    used = np.frombuffer(data_buffer or b"", np.uint8)[offsets[0] : offsets[-1]]
    data = np.concatenate([used, np.zeros(_WORD, np.uint8)])
    return data, offsets[:-1] - offsets[0], np.diff(offsets)
