"""What is decided once all rows are read and analyzed, before the first one is shuffled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from charseq.console.messages import name_first
from charseq.errors import DataError
from pipeline.dataset.labels import ChosenLabels, choose_labels
from pipeline.dataset.limits import (
    check_counted_labels,
    check_label_count,
    check_rejected_rows,
    check_sequences,
    check_shard_count,
    check_splits,
)
from pipeline.dataset.notes import (
    note_amounts,
    note_doubtful_labels,
    note_left_out_labels,
)
from pipeline.options import Options
from pipeline.rows.assumed_columns import check_assumed
from pipeline.rows.counts import ReadCounts
from pipeline.rows.label_counts import LabelCounts
from pipeline.rows.parts import Part
from pipeline.shards.partition import (
    Partition,
    default_train_shards,
    plan_even_partition,
    plan_partition,
)
from pipeline.sizes.characters import CharacterCounts
from pipeline.sizes.notes import note_alphabet, note_length
from pipeline.split.plan import SplitPlan
from pipeline.transform.saved_graph import Vocabulary, read_vocabulary

PARITY_ROWS = 256
_NUM_PARITY_HASHES = 1 << 32


@dataclass(frozen=True)
class Plan:
    """The shards to write, the vocabulary, and which rows go to parity.jsonl.

    options: those of the preparation, with the size of the alphabet that was chosen for AUTO.
    parity_limit: the rows whose hash has lower 32 bits below it, `PARITY_ROWS` of them, about.
    parity_hashes: those of sequences that normalizing changed, (k,) uint64, ascending.
    rare_labels: (k,) uint64, the hashes of the labels with fewer rows than `--min-label-rows`.
    notes: for users, on the labels that do not become labels of the dataset. splits: None if the
    split of a row depends on no other.
    """

    options: Options
    partition: Partition
    vocabulary: Vocabulary
    parity_limit: int
    parity_hashes: npt.NDArray[np.uint64]
    rare_labels: npt.NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))
    notes: tuple[str, ...] = ()
    splits: SplitPlan | None = None

    @property
    def drop_reason(self) -> str:
        """Why rows are dropped by `splits`."""
        return (self.splits or SplitPlan()).drop_reason

    def keeps_duplicates(self, split: str) -> bool:
        """Return whether each of several equal rows of a split becomes a record."""
        if self.splits is None:
            return False
        return self.splits.keeps_duplicates(split)


def make_plan(
    counts: ReadCounts,
    splits: SplitPlan | None,
    characters: CharacterCounts,
    transform_dir: str,
    parts: Sequence[Part],
    options: Options,
) -> Plan:
    """Return the plan for the rows that were counted.

    Args:
        counts: of all rows.
        splits: None if the split of a row depends on no other.
        characters: of the train rows that were analyzed.
        transform_dir: the graph of the analysis, with its vocabulary.
        parts: all parts of the input, for messages.
        options: the options of the preparation.

    Raises:
        DataError: a file lacks a column, too many rows are rejected, or there are too few rows or
            labels to train on.
    """
    labels = choose_labels(counts.labels, options)
    _check_input(counts, splits, labels, parts, options)
    vocabulary = read_vocabulary(transform_dir, options)
    return Plan(
        options.with_alphabet(vocabulary.alphabet),
        _plan_partition(counts, splits, labels.known, options),
        vocabulary,
        parity_limit=min(_NUM_PARITY_HASHES, _NUM_PARITY_HASHES * PARITY_ROWS // counts.usable),
        parity_hashes=counts.normalized.parity_hashes(),
        rare_labels=labels.rare.hash,
        notes=(
            *note_length(counts.lengths, options),
            *note_alphabet(characters, vocabulary.alphabet, options),
            *(() if splits is None else splits.notes(counts.named)),
            *note_left_out_labels(labels, options),
            *note_amounts(vocabulary.labels),
            *note_doubtful_labels(counts.labels.by_name(vocabulary.labels)),
        ),
        splits=splits,
    )


def _plan_partition(
    counts: ReadCounts, splits: SplitPlan | None, known: LabelCounts, options: Options
) -> Partition:
    fractions = options.split_fractions
    if splits is None:
        share = next(iter(fractions.values()))
        shards = options.num_shards or default_train_shards(counts.usable * share)
        return plan_partition(fractions, shards)
    rows = known.rows_of_splits()
    if options.splits.folds is not None:
        rows = dict.fromkeys(fractions, rows["train"] // options.splits.folds + 1)
    of_first = next(iter(rows.values()))
    partition = plan_even_partition(rows, options.num_shards or default_train_shards(of_first))
    check_shard_count(len(partition.shards), options)
    return partition


def _check_input(
    counts: ReadCounts,
    splits: SplitPlan | None,
    labels: ChosenLabels,
    parts: Sequence[Part],
    options: Options,
) -> None:
    """Refuse an input from which no useful dataset can be made.

    Raises:
        DataError: with the first reason that applies.
    """
    if counts.read == 0:
        raise DataError(f"no rows in {name_first(options.all_inputs)}: nothing but headers")
    check_assumed(counts, parts, options.input_options)
    # Rows that cannot be read come first: they may be why there are too few of something else.
    check_rejected_rows(counts, LabelCounts(), parts, options)
    if options.added_to is None:
        check_sequences(counts)
    check_counted_labels(len(counts.labels), options)
    if splits is not None:
        splits.check(counts.named)
        splits.check_rows(counts.labels.rows_of_splits())
    if options.added_to is None:
        check_label_count(labels.known, options)
    check_rejected_rows(counts, labels.unseen, parts, options)
    if splits is not None:
        splits.check_rows(labels.known.rows_of_splits())
    if not options.splits.are_given and options.splits.folds is None and options.added_to is None:
        check_splits(labels.known, options)
