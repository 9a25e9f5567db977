"""Usable rows sorted into the shards that they belong to."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.dataset.checking import USABLE, UsableRows, cut
from pipeline.dataset.plan import Plan
from pipeline.options import Options
from pipeline.rows.hashing import hash_sequences
from pipeline.rows.packing import pack_rows, unpack_rows
from pipeline.rows.rejected import RejectedRow
from pipeline.shards.ordering import SHUFFLED

_LOWER_32_BITS = np.uint64(0xFFFFFFFF)


class PartitionedRows(NamedTuple):
    """What became of `num_rows` usable rows.

    by_shard: the number of a shard and its rows, packed, of schema SHUFFLED. rejected: the rows
    whose label is not in the train split.
    """

    num_rows: int
    by_shard: list[tuple[int, bytes]]
    rejected: list[RejectedRow]


def partition_rows(usable: UsableRows, plan: Plan, options: Options) -> PartitionedRows:
    """Cut usable rows at `max_length` and sort them by shard."""
    rows = unpack_rows([usable.packed], USABLE)
    sequence = cut(rows["sequence"], options)
    hashes = hash_sequences(sequence, options.seed)
    raw = _choose_parity(rows, hashes, plan)
    shuffled = pa.RecordBatch.from_arrays([sequence, rows["label"], raw], schema=SHUFFLED)
    is_known = pc.is_in(rows["label"], value_set=pa.array(plan.vocabulary.labels))
    known = is_known.to_numpy(zero_copy_only=False)
    return PartitionedRows(
        len(rows),
        _split_by_shard(shuffled, plan.partition.assign(hashes), known),
        [] if known.all() else unseen_labels(usable, rows, ~known),
    )


def _choose_parity(
    rows: pa.RecordBatch, hashes: npt.NDArray[np.uint64], plan: Plan
) -> pa.StringArray:
    """Return the sequences as they were read, (n,) string; null in rows not for parity.jsonl.

    Of rows that become the same record, some of which normalizing changed, it takes a changed one.
    """
    is_parity = (hashes & _LOWER_32_BITS) < np.uint64(plan.parity_limit)
    if len(plan.parity_hashes):
        is_changed = rows["raw"].is_valid().to_numpy(zero_copy_only=False)
        is_parity = np.where(np.isin(hashes, plan.parity_hashes), is_changed, is_parity)
    read = pc.coalesce(rows["raw"], rows["sequence"])
    return pc.if_else(pa.array(is_parity), read, pa.scalar(None, pa.string()))


def _split_by_shard(
    rows: pa.RecordBatch, shard: npt.NDArray[np.int64], keep: npt.NDArray[np.bool_]
) -> list[tuple[int, bytes]]:
    """Return the rows of each shard, packed, and the number of the shard.

    Args:
        rows: n rows.
        shard: (n,) int64, the number of the shard of each row.
        keep: (n,) bool, the rows to return.
    """
    order = np.argsort(shard, kind="stable")
    order = order[keep[order]]
    ordered = rows.take(pa.array(order))
    numbers, starts = np.unique(shard[order], return_index=True)
    sizes = np.diff(starts, append=len(order))
    return [
        (number, pack_rows(ordered.slice(start, size)))
        for number, start, size in zip(
            numbers.tolist(), starts.tolist(), sizes.tolist(), strict=True
        )
    ]


def unseen_labels(
    usable: UsableRows, rows: pa.RecordBatch, unseen: npt.NDArray[np.bool_]
) -> list[RejectedRow]:
    """Return the rows of `usable`, unpacked as `rows`, that are rejected for their label."""
    numbers = usable.first - 1 + np.cumsum(rows["step"].to_numpy(), dtype=np.int64)
    mask = pa.array(unseen)
    texts = zip(
        numbers[unseen].tolist(),
        pc.coalesce(rows["raw"], rows["sequence"]).filter(mask).to_pylist(),
        rows["label"].filter(mask).to_pylist(),
        strict=True,
    )
    return [
        RejectedRow(usable.part, row, "unseen_label", f"{sequence},{label}")
        for row, sequence, label in texts
    ]
