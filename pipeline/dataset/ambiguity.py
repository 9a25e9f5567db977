"""Sequences that stand under several labels: those with the most of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

KEPT_SEQUENCES = 10
_KEPT_LABELS = 6


class AmbiguousSequence(NamedTuple):
    """A sequence under several labels; rows are counted as read, duplicates too.

    labels: how many there are. most_frequent: the first few of them, each with its rows.
    """

    sequence: str
    labels: int
    rows: int
    most_frequent: tuple[tuple[str, int], ...]


def most_ambiguous_sequences(
    sequence: pa.StringArray,
    label: pa.StringArray,
    new_sequence: npt.NDArray[np.bool_],
    new_label: npt.NDArray[np.bool_],
) -> tuple[AmbiguousSequence, ...]:
    """The sequences with the most labels, of n rows in which equal ones stand together.

    Args:
        sequence: (n,) string.
        label: (n,) string.
        new_sequence: (n,) bool, where another sequence begins than in the row before.
        new_label: (n,) bool, where another sequence or label begins.
    """
    first = np.flatnonzero(new_sequence)
    pair = np.flatnonzero(new_label)
    pairs_before = np.append(np.searchsorted(pair, first), len(pair))
    rows_of_pair = np.diff(pair, append=len(sequence))
    labels = np.diff(pairs_before)
    several = np.flatnonzero(labels > 1)
    if not len(several):
        return ()
    found = pa.table(
        {
            "sequence": sequence.take(pa.array(first[several])),
            "labels": labels[several],
            "rows": np.diff(first, append=len(sequence))[several],
            "number": several,
        }
    )
    # The order is total, so that the choice does not depend on which rows share a shard.
    chosen = found.take(
        pc.select_k_unstable(
            found,
            KEPT_SEQUENCES,
            [("labels", "descending"), ("rows", "descending"), ("sequence", "ascending")],
        )
    )
    ambiguous = []
    for row in chosen.to_pylist():
        pairs = slice(pairs_before[row["number"]], pairs_before[row["number"] + 1])
        names = label.take(pa.array(pair[pairs])).to_pylist()
        by_label = sorted(
            zip(names, rows_of_pair[pairs].tolist(), strict=True),
            key=lambda named: (-named[1], named[0]),
        )
        ambiguous.append(
            AmbiguousSequence(
                row["sequence"], row["labels"], row["rows"], tuple(by_label[:_KEPT_LABELS])
            )
        )
    return tuple(ambiguous)


def merge_most_ambiguous(
    of_shards: Iterable[Iterable[AmbiguousSequence]],
) -> list[AmbiguousSequence]:
    """The sequences with the most labels of all shards; equal sequences are in one shard."""
    found = (one for shard in of_shards for one in shard)
    return sorted(found, key=lambda one: (-one.labels, -one.rows, one.sequence))[:KEPT_SEQUENCES]
