"""What a user should know about a dataset that is complete: sentences for summary and report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from charseq.console.messages import name_first
from charseq.folds import roles
from charseq.html.formats import format_share
from pipeline.dataset.labels import ChosenLabels
from pipeline.options import Options
from pipeline.rows.label_counts import LabelCounts
from pipeline.rows.similar_labels import (
    AMOUNTS,
    SimilarLabels,
    are_amounts,
    find_missing,
    find_same_numbers,
    find_same_spellings,
    find_typing_errors,
)
from pipeline.shards.write import ShardSummary
from pipeline.similar.leak import Leak

_MAX_NAMED = 20
_NAME_CHARACTERS = 40
_PAIR_CHARACTERS = 25


def note_left_out_labels(labels: ChosenLabels, options: Options) -> Iterator[str]:
    """Yield a note on rare labels and one on unseen labels, if there are any."""
    if len(labels.rare):
        name = options.rare_label_as
        outcome = "rejected as rare_label" if name is None else f"labelled {name!r}"
        what = f"with fewer than {options.min_label_rows:,} rows"
        yield _note_labels(labels.rare, what, outcome)
    if len(labels.unseen):
        what = "without a row in the train split"
        yield _note_labels(labels.unseen, what, "rejected as unseen_label")


def _note_labels(labels: LabelCounts, what: str, outcome: str) -> str:
    return (
        f"labels {what}: {len(labels):,}, and their {labels.total.sum():,} rows are {outcome}: "
        f"{labels.describe(_MAX_NAMED)}"
    )


def note_known(shards: Sequence[ShardSummary]) -> Iterator[str]:
    """Yield notes on rows that the base has already, and on its sequences under new labels."""
    rows = sum(shard.known_rows for shard in shards)
    if rows:
        yield f"rows that the base has already, counted as duplicates: {rows:,}"
    relabelled = [pair for shard in shards for pair in shard.relabelled]
    if relabelled:
        shown = [
            f"{sequence[:_NAME_CHARACTERS]!r} ({label[:_NAME_CHARACTERS]!r})"
            for sequence, label in sorted(relabelled)
        ]
        total = sum(shard.num_relabelled for shard in shards)
        yield (
            f"rows of sequences that the base has under another label: {total:,}: "
            f"{name_first(shown, _MAX_NAMED)}"
        )


def note_leaks(leaks: Sequence[Leak] | None, options: Options) -> Iterator[str]:
    """Yield a note on the rows to measure with that have a similar train row, if that is known."""
    if leaks is None:
        return
    after, before = (
        f"{leak.near:,} of {leak.sampled:,} ({format_share(leak.near, leak.sampled)})"
        for leak in leaks
    )
    yield (
        f"sequences to measure with that have a train row of identity {options.splits.similar:g} "
        f"or more, of a sample: {after}; split by the hash alone {before}"
    )


def note_amounts(labels: Sequence[str]) -> Iterator[str]:
    """Yield a note if the labels of a dataset seem to be amounts."""
    if are_amounts(labels):
        yield AMOUNTS


def note_doubtful_labels(rows: Mapping[str, int]) -> Iterator[str]:
    """Yield notes on labels that are probably one label, or none.

    Args:
        rows: of each label of the input.
    """
    missing = find_missing(rows)
    if missing:
        shown = [f"{label!r} ({count:,})" for label, count in missing.items()]
        yield (
            f"labels that read like a missing value: {name_first(shown, _MAX_NAMED)}; if they are, "
            "leave these rows out of the input"
        )
    spellings, numbers = find_same_spellings(rows), find_same_numbers(rows)
    typed = [pair for pair in find_typing_errors(rows) if pair not in spellings]
    named = 0
    for what, pairs in (
        ("differ only in case, quotes, spaces or the form of characters", spellings),
        ("are the same number", numbers),
        ("are one edit apart, the first perhaps a typing error", typed),
    ):
        if pairs and named < _MAX_NAMED:
            shown = [_name_pair(pair) for pair in pairs]
            yield f"labels that {what}: {name_first(shown, _MAX_NAMED - named)}"
        named += len(pairs)


def _name_pair(pair: SimilarLabels) -> str:
    label, other = (repr(name[:_PAIR_CHARACTERS]) for name in (pair.label, pair.other))
    return f"{label} ({pair.rows:,}) and {other} ({pair.other_rows:,})"


def note_absent_from_folds(
    labels: Sequence[str], label_counts: Mapping[str, Mapping[str, int]]
) -> Iterator[str]:
    """Yield a note for each fold whose train part has no record of some labels.

    Args:
        labels: all labels of the dataset.
        label_counts: the records of each part, by label; those of 0 are left out.
    """
    for fold in range(len(label_counts)):
        split_of = roles(len(label_counts), fold)
        seen = {
            label
            for name, counts in label_counts.items()
            if split_of[name] == "train"
            for label in counts
        }
        absent = [repr(label[:_NAME_CHARACTERS]) for label in labels if label not in seen]
        if absent:
            yield (
                f"labels without a row in the train part of fold {fold}: {len(absent):,} of "
                f"{len(labels):,}: {name_first(absent, _MAX_NAMED)}"
            )


def note_absent_labels(
    labels: Sequence[str], label_counts: Mapping[str, Mapping[str, int]]
) -> Iterator[str]:
    """Yield a note for each split that has no record of some labels.

    Args:
        labels: all labels of the dataset.
        label_counts: the records of each split, by label; those of 0 are left out.
    """
    for split, counts in label_counts.items():
        absent = [repr(label[:_NAME_CHARACTERS]) for label in labels if label not in counts]
        if absent:
            yield (
                f"labels without a row in the {split} split: {len(absent):,} of {len(labels):,}: "
                f"{name_first(absent, _MAX_NAMED)}"
            )
