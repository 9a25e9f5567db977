"""What is decided once all rows are read and analyzed, before the first one is shuffled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from charseq.errors import DataError
from pipeline.dataset.limits import check_label_count, check_rejected_fraction, label_flag_hint
from pipeline.options import Options
from pipeline.rows.counts import ReadCounts
from pipeline.rows.parts import Part
from pipeline.shards.partition import Partition, default_train_shards, plan_partition
from pipeline.transform.saved_graph import Vocabulary, read_vocabulary

PARITY_ROWS = 256
_NUM_PARITY_HASHES = 1 << 32


@dataclass(frozen=True)
class Plan:
    """The shards to write, the vocabulary, and which rows go to parity.jsonl.

    parity_limit: the rows whose hash has lower 32 bits below it, `PARITY_ROWS` of them, about.
    parity_hashes: those of sequences that normalizing changed, (k,) uint64, ascending.
    """

    partition: Partition
    vocabulary: Vocabulary
    parity_limit: int
    parity_hashes: npt.NDArray[np.uint64]


def make_plan(
    counts: ReadCounts, transform_dir: str, parts: Sequence[Part], options: Options
) -> Plan:
    """Return the plan for the rows that were counted.

    Args:
        counts: of all rows.
        transform_dir: the graph of the analysis, with its vocabulary.
        parts: all parts of the input, for messages.
        options: the options of the preparation.

    Raises:
        DataError: too many rows are rejected, or there are too few rows or labels to train on.
    """
    _check_rows(counts, parts, options)
    check_label_count(len(counts.train_labels), options)
    vocabulary = read_vocabulary(transform_dir, options)
    _check_labels(vocabulary, options)
    fractions = options.split_fractions
    train_shards = options.num_shards or default_train_shards(counts.usable, fractions)
    return Plan(
        plan_partition(fractions, train_shards),
        vocabulary,
        parity_limit=min(_NUM_PARITY_HASHES, _NUM_PARITY_HASHES * PARITY_ROWS // counts.usable),
        parity_hashes=counts.normalized.parity_hashes(),
    )


def _check_rows(counts: ReadCounts, parts: Sequence[Part], options: Options) -> None:
    if counts.read == 0:
        raise DataError(f"no rows in {', '.join(options.input)}: nothing but headers")
    check_rejected_fraction(counts, parts, options)
    if counts.train == 0:
        raise DataError(
            f"no row falls into the train split: {counts.usable} of {counts.read} rows are "
            "usable; more rows or another --seed are needed"
        )


def _check_labels(vocabulary: Vocabulary, options: Options) -> None:
    if len(vocabulary.labels) < 2:
        raise DataError(
            f"the train rows have only the label {vocabulary.labels[0]!r}, expected at least "
            f"two; {label_flag_hint(options)}"
        )
    check_label_count(len(vocabulary.labels), options)
