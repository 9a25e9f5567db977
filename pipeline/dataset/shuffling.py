"""Usable rows sorted into the shards that they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.dataset.checking import UsableRows, cut
from pipeline.dataset.labels import find_rare, rename
from pipeline.dataset.plan import Plan
from pipeline.options import Options
from pipeline.rows.hashing import hash_sequences
from pipeline.rows.packing import pack_rows, unpack_batch
from pipeline.rows.rejected import RejectedRow
from pipeline.rows.validation import RARE_LABEL, UNSEEN_LABEL
from pipeline.shards.ordering import shuffled_schema
from pipeline.shards.partition import assign_splits

_LOWER_32_BITS = np.uint64(0xFFFFFFFF)


class PartitionedRows(NamedTuple):
    """What became of `num_rows` usable rows.

    by_shard: the number of a shard and its rows, packed, of `shuffled_schema`. rejected: the rows
    whose label is rare or not in the train split, or whose sequence is in, or near, another split.
    """

    num_rows: int
    by_shard: list[tuple[int, bytes]]
    rejected: list[RejectedRow]


def partition_rows(usable: UsableRows, plan: Plan, options: Options) -> PartitionedRows:
    """Cut usable rows at `max_length` and sort them by shard."""
    rows = unpack_batch(usable.packed)
    sequence = cut(rows["sequence"], options)
    hashes = hash_sequences(sequence, options.seed)
    label, is_rare = _apply_min_label_rows(rows["label"], plan, options)
    raw = _choose_parity(rows, hashes, plan)
    schema = shuffled_schema(options)
    made = {"sequence": sequence, "label": label, "raw": raw}
    columns = [made[name] if name in made else rows[name] for name in schema.names]
    shuffled = pa.RecordBatch.from_arrays(columns, schema=schema)
    is_known = pc.is_in(label, value_set=pa.array(plan.vocabulary.labels))
    split, is_dropped = _find_splits(rows, hashes, plan, options)
    reasons = {
        plan.drop_reason: is_dropped,
        RARE_LABEL: is_rare,
        UNSEEN_LABEL: ~is_known.to_numpy(zero_copy_only=False),
    }
    rejected = np.logical_or.reduce(list(reasons.values()))
    return PartitionedRows(
        len(rows),
        _split_by_shard(shuffled, plan.partition.assign(hashes, split), ~rejected),
        reject_rows(usable, rows, reasons) if rejected.any() else [],
    )


def _find_splits(
    rows: pa.RecordBatch, hashes: npt.NDArray[np.uint64], plan: Plan, options: Options
) -> tuple[npt.NDArray[np.integer], npt.NDArray[np.bool_]]:
    """Return the place in SPLITS of each row, (n,), and which rows are dropped, (n,) bool."""
    if plan.splits is None:
        return assign_splits(hashes, options.split_fractions), np.zeros(len(hashes), np.bool_)
    return plan.splits.assign(rows, hashes)


def _apply_min_label_rows(
    label: pa.StringArray, plan: Plan, options: Options
) -> tuple[pa.StringArray, npt.NDArray[np.bool_]]:
    """Return labels (n,) string with rare ones joined, and which rows to reject as rare, (n,) bool.

    Rows are rejected only where rare labels are not joined.
    """
    none = np.zeros(len(label), np.bool_)
    if not len(plan.rare_labels):
        return label, none
    is_rare = find_rare(label, plan.rare_labels)
    if options.rare_label_as is None:
        return label, is_rare
    return rename(label, is_rare, options.rare_label_as), none


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


def reject_rows(
    usable: UsableRows, rows: pa.RecordBatch, reasons: Mapping[str, npt.NDArray[np.bool_]]
) -> list[RejectedRow]:
    """Return the rows of `usable`, unpacked as `rows`, to which a reason applies.

    Args:
        usable: the packed rows.
        rows: n rows.
        reasons: the rows to which each applies, (n,) bool; the first one counts.
    """
    applies = np.stack(list(reasons.values()))
    names = list(reasons)
    rejected = applies.any(axis=0)
    numbers = usable.first - 1 + np.cumsum(rows["step"].to_numpy(), dtype=np.int64)
    mask = pa.array(rejected)
    columns = zip(
        numbers[rejected].tolist(),
        applies[:, rejected].argmax(axis=0).tolist(),
        pc.coalesce(rows["raw"], rows["sequence"]).filter(mask).to_pylist(),
        rows["label"].filter(mask).to_pylist(),
        strict=True,
    )
    return [
        RejectedRow(usable.part, row, names[reason], f"{sequence},{label}")
        for row, reason, sequence, label in columns
    ]
