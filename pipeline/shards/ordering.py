"""The rows of a shard in their final order: sorted, without duplicates, ambiguous ones counted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.options import Options
from pipeline.rows.hashing import hash_sequences

_SHUFFLED = pa.schema([("sequence", pa.string()), ("label", pa.string()), ("raw", pa.string())])
_WEIGHT = "weight"
_MAX_AMBIGUOUS = 10
_MAX_LABELS = 6

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


class AmbiguousSequence(NamedTuple):
    """A sequence under several labels; rows are counted as read, duplicates too.

    labels: how many there are. most_frequent: the first few of them, each with its rows.
    """

    sequence: str
    labels: int
    rows: int
    most_frequent: tuple[tuple[str, int], ...]


class OrderedRows(NamedTuple):
    """Rows in hash order, without duplicates.

    hashes: of the sequences of the n rows, (n,) uint64, ascending. duplicates: how many rows were
    left out. ambiguous: how many sequences have several labels. most_ambiguous: those with the most
    labels.
    """

    rows: pa.RecordBatch
    hashes: npt.NDArray[np.uint64]
    duplicates: int
    ambiguous: int
    most_ambiguous: tuple[AmbiguousSequence, ...]


def shuffled_schema(options: Options) -> pa.Schema:
    """Return the columns of rows in a shuffle.

    `sequence` is cut at max-length; `raw` is whole, and only in rows for parity.jsonl; `weight` is
    there with --weight-column.
    """
    if options.weight_column is None:
        return _SHUFFLED
    return _SHUFFLED.append(pa.field(_WEIGHT, pa.float64()))


def order_rows(rows: pa.RecordBatch, seed: int, keeps_duplicates: bool = False) -> OrderedRows:
    """Sort by hash and all columns, and keep the first of equal (sequence, label).

    Only rows that share their hash with another row need more than the hash, and few do. The
    weights of equal rows are added up.

    Args:
        rows: of `shuffled_schema`, in any order.
        seed: of the hash.
        keeps_duplicates: keep all of equal rows.
    """
    hashes = hash_sequences(rows["sequence"], seed)
    order = np.argsort(hashes)
    tied = _repeated(hashes[order])
    if not len(tied):
        return OrderedRows(rows.take(pa.array(order)), hashes[order], 0, 0, ())
    ties, settled = _sort_ties(hashes, rows, order[tied])
    order[tied] = settled
    new_sequence = ~_equals_previous(ties["sequence"])
    new_label = new_sequence | ~_equals_previous(ties["label"])
    is_left_out = np.zeros_like(new_label) if keeps_duplicates else ~new_label
    if _WEIGHT in rows.schema.names and not keeps_duplicates:
        rows = _add_up_weights(rows, settled, new_label)
    order = np.delete(order, tied[is_left_out])
    labels_of_sequence = np.bincount(np.cumsum(new_sequence)[new_label])
    return OrderedRows(
        rows.take(pa.array(order)),
        hashes[order],
        duplicates=int(is_left_out.sum()),
        ambiguous=int((labels_of_sequence > 1).sum()),
        most_ambiguous=most_ambiguous_sequences(
            ties["sequence"], ties["label"], new_sequence, new_label
        ),
    )


def _repeated(ordered: npt.NDArray[np.uint64]) -> Ints:
    """Return the positions of the values that are there more than once; `ordered` is sorted."""
    same = ordered[1:] == ordered[:-1]
    return np.flatnonzero(np.append(same, False) | np.append(False, same))


def _sort_ties(
    hashes: npt.NDArray[np.uint64], rows: pa.RecordBatch, tied: Ints
) -> tuple[pa.RecordBatch, Ints]:
    """Return the rows numbered `tied`, sorted by hash and all columns, and their numbers."""
    numbers = pa.array(tied)
    ties = pa.record_batch(
        [pa.array(hashes[tied]), *rows.take(numbers).columns], names=["hash", *rows.schema.names]
    )
    order = pc.sort_indices(ties, sort_keys=[(name, "ascending") for name in ties.schema.names])
    return ties.take(order), tied[order.to_numpy()]


def _add_up_weights(rows: pa.RecordBatch, tied: Ints, new_label: Bools) -> pa.RecordBatch:
    """Return rows of which the first of equal ones has the weight of all.

    Args:
        rows: n rows.
        tied: (k,) numbers of some, equal ones together.
        new_label: (k,) bool, where others begin.
    """
    weights = rows[_WEIGHT].to_numpy().copy()
    group = np.cumsum(new_label) - 1
    # In an order that does not depend on which of them is for parity.jsonl.
    order = np.lexsort((weights[tied], group))
    weights[tied[new_label]] = np.bincount(group[order], weights[tied[order]])
    return rows.set_column(rows.schema.names.index(_WEIGHT), _WEIGHT, pa.array(weights))


def _equals_previous(column: pa.StringArray) -> Bools:
    equal = pc.equal(column[1:], column[:-1]).to_numpy(zero_copy_only=False)
    return np.concatenate([[False], equal])


def most_ambiguous_sequences(
    sequence: pa.StringArray, label: pa.StringArray, new_sequence: Bools, new_label: Bools
) -> tuple[AmbiguousSequence, ...]:
    """Return the sequences with the most labels, of n rows in which equal ones stand together.

    Args:
        sequence: (n,) string.
        label: (n,) string.
        new_sequence: (n,) bool, where another sequence begins than in the row before.
        new_label: (n,) bool, where another sequence or label begins.
    """
    # Rows at which a sequence begins; rows at which a pair of sequence and label begins; and for
    # each sequence the number of its first pair.
    sequence_start = np.flatnonzero(new_sequence)
    pair_start = np.flatnonzero(new_label)
    first_pair = np.append(np.searchsorted(pair_start, sequence_start), len(pair_start))
    rows_of_pair = np.diff(pair_start, append=len(sequence))
    chosen = _choose_most_ambiguous(
        sequence,
        sequence_start,
        labels=np.diff(first_pair),
        rows=np.diff(sequence_start, append=len(sequence)),
    )
    ambiguous = []
    for row in chosen:
        pairs = slice(first_pair[row["number"]], first_pair[row["number"] + 1])
        names = label.take(pa.array(pair_start[pairs])).to_pylist()
        most_frequent = _most_frequent(names, rows_of_pair[pairs].tolist())
        ambiguous.append(
            AmbiguousSequence(row["sequence"], row["labels"], row["rows"], most_frequent)
        )
    return tuple(ambiguous)


def _choose_most_ambiguous(
    sequence: pa.StringArray, sequence_start: Ints, labels: Ints, rows: Ints
) -> list[dict[str, Any]]:
    """Return number, text, labels and rows of the sequences with the most labels.

    Args:
        sequence: (n,) string.
        sequence_start: (k,), where each of k sequences begins in `sequence`.
        labels: (k,), how many labels each has.
        rows: (k,), how many rows each has.
    """
    several = np.flatnonzero(labels > 1)
    if not len(several):
        return []
    candidates = pa.table(
        {
            "sequence": sequence.take(pa.array(sequence_start[several])),
            "labels": labels[several],
            "rows": rows[several],
            "number": several,
        }
    )
    # The order is total, so that the choice does not depend on which rows share a shard.
    order = [("labels", "descending"), ("rows", "descending"), ("sequence", "ascending")]
    chosen = candidates.take(pc.select_k_unstable(candidates, _MAX_AMBIGUOUS, order))
    return chosen.to_pylist()  # type: ignore[no-any-return]


def _most_frequent(labels: Iterable[str], rows: Iterable[int]) -> tuple[tuple[str, int], ...]:
    by_label = sorted(zip(labels, rows, strict=True), key=lambda item: (-item[1], item[0]))
    return tuple(by_label[:_MAX_LABELS])


def merge_most_ambiguous(
    by_shard: Iterable[Iterable[AmbiguousSequence]],
) -> list[AmbiguousSequence]:
    """Return the sequences with the most labels of all shards; equal sequences are in one shard."""
    sequences = (sequence for shard in by_shard for sequence in shard)
    return sorted(sequences, key=lambda item: (-item.labels, -item.rows, item.sequence))[
        :_MAX_AMBIGUOUS
    ]
