"""A block of the input checked: its usable rows, the train rows to analyze, the rejected rows."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from charseq.manifest import SPLITS
from pipeline.columns.splits import Places
from pipeline.options import Options
from pipeline.rows.assumed_columns import find_assumed
from pipeline.rows.blocks import Block, parse_block
from pipeline.rows.counts import ReadCounts, some_sequences
from pipeline.rows.hashing import hash_sequences
from pipeline.rows.label_counts import LabelCounts, count_labels
from pipeline.rows.normalizing import NormalizedCounts, count_changed, cut_column, least_hashes
from pipeline.rows.packing import pack_rows
from pipeline.rows.rejected import RejectedRow, choose_examples, locate_rejected
from pipeline.rows.sources import Source
from pipeline.rows.spilling import Packed
from pipeline.rows.validation import ValidatedRows, validate_rows
from pipeline.shards.partition import assign_splits
from pipeline.split.facts import pack_facts
from pipeline.split_options import to_roles
from pipeline.transform.encoding import to_analyze


class UsableRows(NamedTuple):
    """Usable rows of a block.

    part: the index of the part. first: the number in the part of the block's first row, from which
    the first step counts. packed: rows with the columns `sequence`, `label`, `raw` (the sequence as
    it was read, null where that is the sequence), and `step` (int32, the difference to the number
    of the row before); where the options want them, `split` (int8, the place in SPLITS), `group`
    (uint64, the hash of the group) and `weight` (float64).
    """

    part: int
    first: int
    packed: Packed


class CheckedBlock(NamedTuple):
    """What became of the rows of a block.

    part, first, packed: of the usable rows, as of `UsableRows`. train: the rows that TFT analyzes;
    None if a row's split depends on others. Then `facts` are what it takes to find it, by ranges of
    hashes.
    """

    part: int
    first: int
    packed: bytes
    train: pa.RecordBatch | None
    rejected: list[RejectedRow]
    counts: ReadCounts
    facts: list[tuple[int, bytes]]


def check_block(block: Block, options: Options) -> CheckedBlock:
    """Parse and check the rows of a block.

    Raises:
        DataError: the block cannot be parsed.
    """
    parsed = parse_block(block)
    checked = validate_rows(parsed, options.row_rules)
    sequence = cut(checked.sequence, options)
    hashes = hash_sequences(sequence, options.seed)
    is_known = not options.splits.need_all_rows
    split = assign_splits(hashes, options.split_fractions) if is_known else None
    rejected = locate_rejected(block.part, checked.bad)
    counts = ReadCounts(
        usable=len(checked.row),
        truncated=checked.truncated,
        rejected=Counter(row.reason for row in rejected),
        examples=choose_examples(rejected),
        rows_in_part=Counter({block.part.index: parsed.rows}),
        lengths=checked.lengths,
        labels=LabelCounts()
        if split is None
        else count_labels(checked.label, to_roles(split, options.splits)),
        sequences=some_sequences(hashes),
        normalized=NormalizedCounts(
            count_changed(checked.changed_sequences),
            count_changed(checked.changed_labels),
            least_hashes(checked.changed_sequences, hashes),
        ),
        found=find_assumed(block, parsed),
    )
    rows = _usable_rows(block, checked, options)
    usable = (block.part.index, block.first, pack_rows(rows))
    if split is None:
        facts = list(pack_facts(rows, sequence, hashes, options))
        return CheckedBlock(*usable, None, rejected, counts, facts)
    is_train = pa.array(to_roles(split, options.splits) == 0)
    train = to_analyze(sequence.filter(is_train), checked.label.filter(is_train))
    return CheckedBlock(*usable, train, rejected, counts, [])


def _given_splits(source: Source, checked: ValidatedRows) -> Places | None:
    """Return the split of each usable row, (n,) int8, or None if splits are not given."""
    if source.split is None:
        return checked.columns.split
    return np.full(len(checked.row), SPLITS.index(source.split), np.int8)


def cut(sequence: pa.StringArray, options: Options) -> pa.StringArray:
    """Return the first `max_length` characters of each sequence, as they are encoded."""
    return cut_column(sequence, options.num_positions, options.normalization)


def _usable_rows(block: Block, checked: ValidatedRows, options: Options) -> pa.RecordBatch:
    """Return the usable rows of a block, see `UsableRows.packed`."""
    step = np.diff(checked.row, prepend=block.first - 1).astype(np.int32)
    group = checked.columns.group
    columns = {
        "sequence": checked.sequence,
        "label": checked.label,
        "raw": checked.raw,
        "step": step,
        "split": _given_splits(block.part.source, checked),
        "group": None if group is None else hash_sequences(group, options.seed),
        "weight": checked.columns.weight,
    }
    wanted = {name: column for name, column in columns.items() if column is not None}
    return pa.record_batch({name: pa.array(column) for name, column in wanted.items()})
