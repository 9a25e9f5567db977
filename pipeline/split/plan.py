"""What is known of splits that depend on other rows, once all rows are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from charseq.errors import DataError
from pipeline.columns.splits import Places
from pipeline.rows.packing import pack_rows
from pipeline.rows.validation import IN_OTHER_SPLIT

T1 = TypeVar("T1", bound=np.generic)
T2 = TypeVar("T2", bound=np.generic)
Bools = npt.NDArray[np.bool_]
Hashes = npt.NDArray[np.uint64]

# Every worker holds the sequences that are exceptions: their hashes, and a little more of each.
MAX_EXCEPTIONS = 1 << 24
# Facts of rows are joined in as many ranges of hashes.
_RANGE_BITS = 6


class AssignedSplits(NamedTuple):
    """The splits of n rows: (n,) int8, places in SPLITS; and which rows are dropped, (n,) bool."""

    split: Places
    is_dropped: Bools


class SplitPlan:
    """The splits of all rows.

    drop_reason: why rows are dropped, of `pipeline.rows.validation.REASONS`.
    """

    drop_reason: ClassVar[str] = IN_OTHER_SPLIT

    def assign(self, rows: pa.RecordBatch, hashes: Hashes) -> AssignedSplits:
        """Return the split of each row.

        Args:
            rows: n usable rows, with the columns `label`, `split` and `group`.
            hashes: of their sequences as they are cut, (n,) uint64.
        """
        raise NotImplementedError

    def keeps_duplicates(self, split: str) -> bool:
        """Return whether each of several equal rows of a split becomes a record."""
        return False

    def name(self, hashes: Hashes, sequence: pa.StringArray) -> dict[int, str]:
        """Return the text of those among n sequences that messages name, by hash."""
        return {}

    def check(self, named: Mapping[int, str]) -> None:
        """Check that the splits are those that were asked for.

        named: what `name` returned for all rows.

        Raises:
            DataError: they are not.
        """

    def check_rows(self, rows: Mapping[str, int]) -> None:
        """Check the rows of each split, without those that are dropped or rejected so far.

        Raises:
            DataError: a split is empty that must not be.
        """

    def notes(self, named: Mapping[int, str]) -> Iterator[str]:
        """Yield sentences for users; named: what `name` returned for all rows."""
        yield from ()


def cut_ranges(hashes: Hashes, facts: pa.RecordBatch) -> Iterator[tuple[int, bytes]]:
    """Yield the number of each range of hashes, and the facts in it, packed.

    Args:
        hashes: (n,) uint64, ascending.
        facts: n rows.
    """
    ranges = hashes >> np.uint64(64 - _RANGE_BITS)
    numbers, starts = np.unique(ranges, return_index=True)
    sizes = np.diff(starts, append=len(ranges))
    for number, start, size in zip(numbers.tolist(), starts.tolist(), sizes.tolist(), strict=True):
        yield number, pack_rows(facts.slice(start, size))


def distinct_pairs(
    first: npt.NDArray[T1], second: npt.NDArray[T2]
) -> tuple[npt.NDArray[T1], npt.NDArray[T2]]:
    """Return pairs in order, each once: (n,) and (n,) to (k,) and (k,)."""
    order = np.lexsort((second, first))
    first, second = first[order], second[order]
    is_new = np.append(True, (first[1:] != first[:-1]) | (second[1:] != second[:-1]))
    is_new = is_new[: len(first)]
    return first[is_new], second[is_new]


def look_up(keys: Hashes, values: Hashes) -> tuple[npt.NDArray[np.int64], Bools]:
    """Return a position in `keys` for each value, (n,) int64, and whether it is there, (n,) bool.

    Args:
        keys: (k,) uint64, ascending, not empty.
        values: (n,) uint64.
    """
    place = np.minimum(np.searchsorted(keys, values), len(keys) - 1)
    return place, keys[place] == values


def check_exceptions(count: int, what: str) -> None:
    """Refuse more exceptions than workers can hold.

    Raises:
        DataError: there are more than `MAX_EXCEPTIONS`; the message begins with `what`.
    """
    if count > MAX_EXCEPTIONS:
        raise DataError(f"{what}: {count:,}, and {MAX_EXCEPTIONS:,} is the limit")


def show_counts(rows: Mapping[str, int]) -> str:
    """Return the rows of splits as text."""
    return ", ".join(f"{name} {count:,}" for name, count in rows.items())
