"""Counts of the rows read; the counts of blocks add up to those of the input."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pipeline.rows.label_counts import LabelCounts, add_label_counts
from pipeline.rows.normalizing import NormalizedCounts, add_normalized
from pipeline.rows.rejected import RejectedRow, choose_examples

# Fewer sequences cannot be split into something to train on and something to measure with.
MIN_SEQUENCES = 10


def _no_hashes() -> npt.NDArray[np.uint64]:
    return np.zeros(0, np.uint64)


@dataclass(frozen=True)
class ReadCounts:
    """Rows read, and how many of them can be used.

    usable: not rejected so far. truncated: usable and longer than `--max-length`. rejected: by
    reason. rows_in_part: row numbers used by each part, from which the row number in the file
    follows. lengths: of sequences before they are cut, see `count_lengths`. labels: of usable rows.
    sequences: hashes of usable rows, distinct, up to `MIN_SEQUENCES` of them, (k,) uint64.
    normalized: usable rows that normalizing changed. found: path and name of the columns that a row
    has, of those that headers only assume. named: sequences that messages about splits name, by
    hash.
    """

    usable: int = 0
    truncated: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    examples: list[RejectedRow] = field(default_factory=list)
    rows_in_part: Counter[int] = field(default_factory=Counter)
    lengths: Counter[int] = field(default_factory=Counter)
    labels: LabelCounts = field(default_factory=LabelCounts)
    sequences: npt.NDArray[np.uint64] = field(default_factory=_no_hashes)
    normalized: NormalizedCounts = field(default_factory=NormalizedCounts)
    found: frozenset[tuple[str, str]] = frozenset()
    named: Mapping[int, str] = field(default_factory=dict)

    @property
    def read(self) -> int:
        """All rows, usable or rejected."""
        return self.usable + self.rejected.total()


def add_counts(counts: Iterable[ReadCounts]) -> ReadCounts:
    """Return the sum of the counts."""
    usable = truncated = 0
    rejected: Counter[str] = Counter()
    rows_in_part: Counter[int] = Counter()
    lengths: Counter[int] = Counter()
    examples: list[RejectedRow] = []
    labels: list[LabelCounts] = []
    sequences = [_no_hashes()]
    normalized: list[NormalizedCounts] = []
    found: set[tuple[str, str]] = set()
    named: dict[int, str] = {}
    for summand in counts:
        usable += summand.usable
        truncated += summand.truncated
        rejected.update(summand.rejected)
        rows_in_part.update(summand.rows_in_part)
        lengths.update(summand.lengths)
        examples += summand.examples
        labels.append(summand.labels)
        sequences.append(summand.sequences)
        normalized.append(summand.normalized)
        found |= summand.found
        named |= summand.named
    return ReadCounts(
        usable,
        truncated,
        rejected,
        choose_examples(examples),
        rows_in_part,
        lengths,
        add_label_counts(labels),
        some_sequences(np.concatenate(sequences)),
        add_normalized(normalized),
        frozenset(found),
        named,
    )


def some_sequences(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return `ReadCounts.sequences` of (n,) uint64: all that are distinct, or enough of them."""
    few = np.unique(hashes[: 8 * MIN_SEQUENCES])
    if len(few) < MIN_SEQUENCES:
        few = np.unique(hashes)
    return few[:MIN_SEQUENCES]
