"""Splits that the user gives: a row's split by its file or by its column, and leaks between them.

A sequence in more than one split is found by its hash. Each block of the input tells the hashes of
its rows and their splits, a range of hashes is joined at a time, and what remains is the hashes
that are in several splits: few, and small enough for every worker.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from charseq.errors import DataError
from charseq.manifest import SPLITS
from pipeline.rows.packing import pack_rows, unpack_rows
from pipeline.rows.split_column import Places
from pipeline.shards.partition import assign_splits

Hashes = npt.NDArray[np.uint64]
TRAIN, VALIDATION = 0, 1  # places in SPLITS
# Every worker holds their hashes.
MAX_LEAKS = 1 << 24
_MAX_NAMED = 10
_NAME_CHARACTERS = 60
_RANGE_BITS = 6
_FACTS = pa.schema([("hash", pa.uint64()), ("split", pa.int8())])


@dataclass(frozen=True)
class GivenSplits:
    """What is known of the given splits once all rows are read.

    leaks: hashes of the sequences in more than one of them, (k,) uint64, ascending. splits_of_leak:
    the splits of each, (k,) int8: bit i for the split at place i. present: the splits that have a
    row, likewise.
    """

    leaks: Hashes
    splits_of_leak: Places
    present: int

    def name_leaks(self, hashes: Hashes, sequence: pa.StringArray) -> dict[int, str]:
        """Return the text of those among n sequences that messages name, by hash."""
        found = np.flatnonzero(np.isin(hashes, self.leaks[:_MAX_NAMED]))
        texts = sequence.take(pa.array(found)).to_pylist()
        return {
            number: text[:_NAME_CHARACTERS]
            for number, text in zip(hashes[found].tolist(), texts, strict=True)
        }

    def count_leaks(self) -> dict[str, int]:
        """Return how many sequences are in which splits, as `train+test`."""
        masks, counts = np.unique(self.splits_of_leak, return_counts=True)
        return {
            _name_splits(mask): count
            for mask, count in zip(masks.tolist(), counts.tolist(), strict=True)
        }

    def cuts_validation(self, fractions: Mapping[str, Fraction]) -> bool:
        """Return whether the validation split is cut from the train rows, as none is given."""
        return not self.present >> VALIDATION & 1 and fractions["validation"] > 0

    def has_duplicates(self, split: str, fractions: Mapping[str, Fraction]) -> bool:
        """Return whether duplicates stay in a split: in those to measure with, as they are given.

        Args:
            split: one of SPLITS.
            fractions: of `--split`.
        """
        cut = split == "validation" and self.cuts_validation(fractions)
        return split != "train" and not cut

    def assign(self, given: Places, hashes: Hashes, fractions: Mapping[str, Fraction]) -> Places:
        """Return the split of rows that are not dropped: (n,) int8.

        Args:
            given: the split of each row, (n,) int8.
            hashes: of its sequence, (n,) uint64.
            fractions: of `--split`: that of validation to that of train and validation is cut from
                the train rows, if no split is given.
        """
        if not self.cuts_validation(fractions):
            return given
        rest = fractions["train"] + fractions["validation"]
        shares = {name: fractions[name] / rest for name in ("train", "validation")}
        return np.where(given == TRAIN, assign_splits(hashes, shares), given).astype(np.int8)

    def is_leak(self, given: Places, hashes: Hashes) -> npt.NDArray[np.bool_]:
        """Return the train rows whose sequence is in another split, too: (n,) bool.

        Args:
            given: the split of each row, (n,) int8.
            hashes: of its sequence, (n,) uint64.
        """
        of_train = self.leaks[(self.splits_of_leak & 1) == 1]
        found: npt.NDArray[np.bool_] = (given == TRAIN) & np.isin(hashes, of_train)
        return found


def _name_splits(mask: int) -> str:
    return "+".join(name for place, name in enumerate(SPLITS) if mask >> place & 1)


def pack_facts(hashes: Hashes, given: Places) -> Iterator[tuple[int, bytes]]:
    """Yield the number of each range of hashes and the distinct pairs in it, packed.

    Args:
        hashes: (n,) uint64.
        given: (n,) int8.
    """
    order = np.lexsort((given, hashes))
    hashes, given = hashes[order], given[order]
    is_new = np.append(True, (hashes[1:] != hashes[:-1]) | (given[1:] != given[:-1]))[: len(hashes)]
    facts = pa.RecordBatch.from_arrays(
        [pa.array(hashes[is_new]), pa.array(given[is_new])], schema=_FACTS
    )
    ranges = hashes[is_new] >> np.uint64(64 - _RANGE_BITS)
    numbers, starts = np.unique(ranges, return_index=True)
    sizes = np.diff(starts, append=len(ranges))
    for number, start, size in zip(numbers.tolist(), starts.tolist(), sizes.tolist(), strict=True):
        yield number, pack_rows(facts.slice(start, size))


def join_facts(packed: Iterable[bytes]) -> GivenSplits:
    """Return what the pairs of a range of hashes say."""
    facts = unpack_rows(packed, _FACTS)
    hashes, given = facts["hash"].to_numpy(), facts["split"].to_numpy()
    by_split = [np.unique(hashes[given == place]) for place in range(len(SPLITS))]
    distinct, splits = np.unique(np.concatenate(by_split), return_counts=True)
    leaks = distinct[splits > 1]
    masks = np.zeros(len(leaks), np.int8)
    for place, of_split in enumerate(by_split):
        masks |= np.isin(leaks, of_split).astype(np.int8) << np.int8(place)
    present = sum(1 << place for place, of_split in enumerate(by_split) if len(of_split))
    return GivenSplits(leaks, masks, present)


def add_ranges(ranges: Iterable[GivenSplits]) -> GivenSplits:
    """Return what all ranges of hashes say together.

    Raises:
        DataError: more than `MAX_LEAKS` sequences are in several splits.
    """
    parts = list(ranges)
    leaks = np.concatenate([np.zeros(0, np.uint64), *(part.leaks for part in parts)])
    if len(leaks) > MAX_LEAKS:
        raise DataError(
            f"{len(leaks):,} sequences are in more than one given split, and {MAX_LEAKS:,} is the "
            "limit: are the inputs the right ones?"
        )
    masks = np.concatenate([np.zeros(0, np.int8), *(part.splits_of_leak for part in parts)])
    order = np.argsort(leaks)
    present = 0
    for part in parts:
        present |= part.present
    return GivenSplits(leaks[order], masks[order], present)
