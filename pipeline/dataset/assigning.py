"""Usable rows whose split depends on others: their train rows and labels, once splits are known."""

from __future__ import annotations

from typing import NamedTuple

import pyarrow as pa

from pipeline.dataset.checking import UsableRows, cut
from pipeline.options import Options
from pipeline.rows.counts import ReadCounts
from pipeline.rows.hashing import hash_sequences
from pipeline.rows.label_counts import count_labels
from pipeline.rows.packing import unpack_batch
from pipeline.split.given import TRAIN
from pipeline.split.plan import SplitPlan
from pipeline.split_options import to_roles
from pipeline.transform.encoding import to_analyze


class AssignedRows(NamedTuple):
    """The train rows that TFT analyzes; the labels by split, and the texts that messages name."""

    train: pa.RecordBatch
    counts: ReadCounts


def assign_rows(usable: UsableRows, splits: SplitPlan, options: Options) -> AssignedRows:
    """Assign usable rows to their splits."""
    rows = unpack_batch(usable.packed)
    sequence = cut(rows["sequence"], options)
    hashes = hash_sequences(sequence, options.seed)
    assigned = splits.assign(rows, hashes)
    role, is_dropped = to_roles(assigned.split, options.splits), assigned.is_dropped
    kept = pa.array(~is_dropped)
    is_train = pa.array(~is_dropped & (role == TRAIN))
    label = rows["label"]
    return AssignedRows(
        to_analyze(sequence.filter(is_train), label.filter(is_train)),
        ReadCounts(
            labels=count_labels(label.filter(kept), role[~is_dropped]),
            named=splits.name(hashes, sequence),
        ),
    )
