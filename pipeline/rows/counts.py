"""Counts of the rows read; the counts of blocks add up to those of the input."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.rows.hashing import hash_sequences
from pipeline.rows.normalizing import NormalizedCounts, add_normalized
from pipeline.rows.rejected import RejectedRow, choose_examples

# Up to here labels are counted exactly, in 16 MB; of more labels the number does not matter.
MAX_COUNTED_LABELS = 1 << 21


def _no_labels() -> npt.NDArray[np.uint64]:
    return np.zeros(0, np.uint64)


@dataclass(frozen=True)
class ReadCounts:
    """Rows read, and how many of them can be used.

    usable: not rejected so far. train: usable and in the train split. truncated: usable and longer
    than `--max-length`. rejected: by reason. rows_in_part: row numbers used by each part, from
    which the row number in the file follows. lengths: of sequences before they are cut, see
    `count_lengths`. train_labels: the hashes of the labels of train rows, (k,) uint64, ascending,
    the least `MAX_COUNTED_LABELS` of them. normalized: usable rows that normalizing changed.
    """

    usable: int = 0
    train: int = 0
    truncated: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    examples: list[RejectedRow] = field(default_factory=list)
    rows_in_part: Counter[int] = field(default_factory=Counter)
    lengths: Counter[int] = field(default_factory=Counter)
    train_labels: npt.NDArray[np.uint64] = field(default_factory=_no_labels)
    normalized: NormalizedCounts = field(default_factory=NormalizedCounts)

    @property
    def read(self) -> int:
        """All rows, usable or rejected."""
        return self.usable + self.rejected.total()


def add_counts(counts: Iterable[ReadCounts]) -> ReadCounts:
    """Return the sum of the counts."""
    usable = train = truncated = 0
    rejected: Counter[str] = Counter()
    rows_in_part: Counter[int] = Counter()
    lengths: Counter[int] = Counter()
    examples: list[RejectedRow] = []
    labels = [_no_labels()]
    normalized: list[NormalizedCounts] = []
    for summand in counts:
        usable += summand.usable
        train += summand.train
        truncated += summand.truncated
        rejected.update(summand.rejected)
        rows_in_part.update(summand.rows_in_part)
        lengths.update(summand.lengths)
        examples += summand.examples
        labels.append(summand.train_labels)
        normalized.append(summand.normalized)
    return ReadCounts(
        usable,
        train,
        truncated,
        rejected,
        choose_examples(examples),
        rows_in_part,
        lengths,
        np.unique(np.concatenate(labels))[:MAX_COUNTED_LABELS],
        add_normalized(normalized),
    )


def count_labels(label: pa.StringArray) -> npt.NDArray[np.uint64]:
    """Return `ReadCounts.train_labels` of the labels (n,) string, none of them empty."""
    return np.unique(hash_sequences(pc.unique(label), seed=0))[:MAX_COUNTED_LABELS]
