"""What is decided once all rows were read and analyzed, before the first one is shuffled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from charseq.errors import DataError
from pipeline.dataset.encoding import Vocabulary, read_vocabulary
from pipeline.dataset.limits import check_label_count, check_rejected_fraction, label_flag_hint
from pipeline.dataset.partition import Partition, default_train_shards, plan_partition
from pipeline.options import Options
from pipeline.rows.counts import ReadCounts
from pipeline.rows.parts import Part

PARITY_ROWS = 256


@dataclass(frozen=True)
class Plan:
    """The shards there will be, the vocabulary, and which rows become examples of parity.

    A row whose hash has lower 32 bits below `parity_limit` goes to parity.jsonl.
    """

    partition: Partition
    vocabulary: Vocabulary
    parity_limit: int


def make_plan(
    counts: ReadCounts, transform_dir: str, parts: Sequence[Part], options: Options
) -> Plan:
    """Decide on the shards, with the vocabulary that was saved in `transform_dir`.

    Raises:
        DataError: too many rows are rejected, or there are too few rows or labels to train on.
    """
    if counts.read == 0:
        raise DataError(f"no rows in {', '.join(options.input)}: nothing but headers")
    check_rejected_fraction(counts, parts, options)
    if counts.train == 0:
        raise DataError(
            f"no row falls into the train split: {counts.usable} of {counts.read} rows are "
            "usable; more rows or another --seed are needed"
        )
    check_label_count(len(counts.train_labels), options)
    vocabulary = read_vocabulary(transform_dir, options)
    if len(vocabulary.labels) < 2:
        raise DataError(
            f"the train rows have only the label {vocabulary.labels[0]!r}, expected at least "
            f"two; {label_flag_hint(options)}"
        )
    check_label_count(len(vocabulary.labels), options)
    fractions = options.split_fractions
    train_shards = options.num_shards or default_train_shards(counts.usable, fractions)
    return Plan(
        plan_partition(fractions, train_shards),
        vocabulary,
        parity_limit=min(2**32, 2**32 * PARITY_ROWS // counts.usable),
    )
