"""Usable rows with given splits: the train rows to analyze and the labels, once leaks are known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.dataset.checking import USABLE, UsableRows, cut
from pipeline.options import Options
from pipeline.rows.counts import ReadCounts
from pipeline.rows.hashing import hash_sequences
from pipeline.rows.label_counts import count_labels
from pipeline.rows.packing import unpack_rows
from pipeline.rows.split_column import Places
from pipeline.split.given import TRAIN, GivenSplits, Hashes
from pipeline.split.options import DROP_FROM_TRAIN
from pipeline.transform.encoding import to_analyze


class AssignedRows(NamedTuple):
    """The train rows that TFT analyzes; the labels by split, and the text of some leaks."""

    train: pa.RecordBatch
    counts: ReadCounts


def assign_rows(usable: UsableRows, splits: GivenSplits, options: Options) -> AssignedRows:
    """Assign usable rows to their splits."""
    rows = unpack_rows([usable.packed], USABLE)
    sequence = cut(rows["sequence"], options)
    hashes = hash_sequences(sequence, options.seed)
    split, is_dropped = find_given_splits(rows, hashes, splits, options)
    kept = pa.array(~is_dropped)
    is_train = pa.array(~is_dropped & (split == TRAIN))
    label = rows["label"]
    return AssignedRows(
        to_analyze(sequence.filter(is_train), label.filter(is_train)),
        ReadCounts(
            labels=count_labels(label.filter(kept), split[~is_dropped]),
            leaks=splits.name_leaks(hashes, sequence),
        ),
    )


def find_given_splits(
    rows: pa.RecordBatch, hashes: Hashes, splits: GivenSplits, options: Options
) -> tuple[Places, npt.NDArray[np.bool_]]:
    """Return the split of each row, and which rows are dropped for being in another one, too.

    Args:
        rows: n rows of schema USABLE.
        hashes: (n,) uint64, of their sequences as they are cut.
        splits: what is known of the given splits.
        options: the options of the preparation.

    Returns:
        (n,) int8, the place in SPLITS, and (n,) bool.
    """
    given = rows["split"].to_numpy()
    is_dropped = np.zeros(len(given), np.bool_)
    if options.splits.leaks == DROP_FROM_TRAIN:
        is_dropped = splits.is_leak(given, hashes)
    return splits.assign(given, hashes, options.split_fractions), is_dropped
