"""The limits of an input: how many rows it needs, may have rejected, and how many labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from charseq.errors import DataError, MismatchError
from pipeline.options import MAX_SHARDS, Options
from pipeline.rows.counts import MIN_SEQUENCES, ReadCounts
from pipeline.rows.label_counts import MAX_COUNTED_LABELS, LabelCounts
from pipeline.rows.parts import Part
from pipeline.rows.rejected import describe_rejected
from pipeline.rows.rejected_fraction import check_rejected_fraction
from pipeline.rows.similar_labels import AMOUNTS, are_amounts
from pipeline.rows.sources import find_format
from pipeline.rows.validation import UNSEEN_LABEL
from pipeline.shards.write import ShardSummary
from pipeline.split.plan import show_counts

_MAX_NAMED = 3
_SHOWN_CHARACTERS = 25


def check_sequences(counts: ReadCounts) -> None:
    """Refuse an input with too few sequences to split.

    Raises:
        DataError: there are fewer than `MIN_SEQUENCES` distinct ones in usable rows.
    """
    if len(counts.sequences) < MIN_SEQUENCES:
        raise DataError(
            f"{len(counts.sequences)} distinct sequences in {counts.read:,} rows, of which "
            f"{counts.usable:,} are usable{_describe_rejected(counts)}; expected at least "
            f"{MIN_SEQUENCES}: fewer are too few to train on and to measure with"
        )


def _describe_rejected(counts: ReadCounts) -> str:
    return f" ({describe_rejected(counts.rejected)})" if counts.rejected else ""


def check_counted_labels(num_labels: int, options: Options) -> None:
    """Refuse an input with more labels than can be counted.

    Raises:
        DataError: the usable rows have `MAX_COUNTED_LABELS` labels or more.
    """
    if num_labels >= MAX_COUNTED_LABELS:
        raise DataError(
            f"the rows have at least {MAX_COUNTED_LABELS:,} different labels, more than can be "
            f"counted; {label_flag_hint(options)}"
        )


def check_label_count(known: LabelCounts, options: Options) -> None:
    """Refuse an input whose label column holds something else: the text of every row, or ids.

    Args:
        known: the labels of the train rows, without rare ones.
        options: the options of the preparation.

    Raises:
        DataError: there are fewer than two of them, or more than `--max-labels`.
    """
    if len(known) < 2:
        which = f"only the label {known.name[0].as_py()!r}" if len(known) else "no label"
        rows = options.min_label_rows
        frequent = f" with {rows:,} rows or more (--min-label-rows)" if rows > 1 else ""
        raise DataError(
            f"the train rows have {which}{frequent}, expected at least two; "
            f"{label_flag_hint(options)}"
        )
    if len(known) > options.max_labels:
        amounts = f" ({AMOUNTS})" if are_amounts(known.name.to_pylist()) else ""
        raise DataError(
            f"the train rows have {len(known):,} different labels, more than --max-labels "
            f"{options.max_labels:,} allows; {label_flag_hint(options)}{amounts}"
        )


def check_splits(known: LabelCounts, options: Options) -> None:
    """Refuse an input that leaves a split without a row.

    Args:
        known: the labels of the dataset, with the rows of each split.
        options: the options of the preparation.

    Raises:
        DataError: a split whose fraction is not 0 is empty.
    """
    rows = known.rows_of_splits()
    for split, fraction in options.split_fractions.items():
        if fraction and not rows[split]:
            raise DataError(
                f"no row falls into the {split} split, a fraction of {float(fraction):g} of "
                f"{sum(rows.values()):,} usable rows ({show_counts(rows)}): give more rows, "
                f"another --seed, or a --split without {split}"
            )


def check_shard_count(num_shards: int, options: Options) -> None:
    """Refuse more shards than names of files have numbers for.

    Raises:
        DataError: there are more than `MAX_SHARDS`.
    """
    if num_shards > MAX_SHARDS:
        raise DataError(
            f"--num-shards {options.num_shards:,} makes {num_shards:,} files of all splits, and "
            f"{MAX_SHARDS:,} is the limit; give fewer"
        )


def check_folds(shards: Iterable[ShardSummary]) -> None:
    """Refuse a dataset with a fold without a record.

    Raises:
        DataError: there is one.
    """
    records: Counter[str] = Counter()
    for shard in shards:
        records[shard.shard.split] += shard.records
    empty = [name for name in records if not records[name]]
    if empty:
        raise DataError(
            f"no row falls into {', '.join(sorted(empty))}: give more rows (or groups), another "
            "--seed, or fewer --folds"
        )


def check_known_characters(shards: Iterable[ShardSummary], options: Options) -> None:
    """Refuse a dataset of which most records are nothing but unknown characters.

    Raises:
        MismatchError: more than half of the records have no character of the alphabet.
    """
    records = unknown_records = 0
    unknown: Counter[str] = Counter()
    for shard in shards:
        records += shard.records
        unknown_records += shard.unknown_records
        unknown.update(shard.unknown_characters)
    if 2 * unknown_records > records:
        flag = "--alphabet-size" if options.alphabet is None else "--alphabet"
        ordered = sorted(unknown, key=lambda character: (-unknown[character], character))
        frequent = "".join(ordered[:_SHOWN_CHARACTERS])
        raise MismatchError(
            f"{unknown_records:,} of {records:,} records have no character of the alphabet; the "
            f"most frequent characters outside of it are {frequent!r}: is {flag} right? Nothing "
            "was written"
        )


def label_flag_hint(options: Options) -> str:
    """Return the question that ends the message of an error about labels."""
    if options.label_from:
        return f"is {options.label_from!r} the right --label-from?"
    formats = {find_format(path, options.input_options) for path in options.all_inputs}
    if formats == {"fasta"}:
        return "is --label-pattern right?"
    return f"is {options.label_column!r} the right --label-column?"


def check_rejected_rows(
    counts: ReadCounts, unseen: LabelCounts, parts: Sequence[Part], options: Options
) -> None:
    """Refuse an input of which more than `--max-rejected-fraction` is rejected.

    Args:
        counts: of all rows, without those that are rejected for their label.
        unseen: the labels without a train row. Rows that `--min-label-rows` rejects do not count.
        parts: all parts of the input.
        options: the options of the preparation.

    Raises:
        DataError: with the count of each reason and some examples of it.
    """
    rows = int(unseen.total.sum())
    later = {}
    if rows:
        later[UNSEEN_LABEL] = rows, list(_describe_unseen(unseen, counts.labels, options))
    check_rejected_fraction(counts, parts, options.max_rejected_fraction, later)


def _describe_unseen(unseen: LabelCounts, labels: LabelCounts, options: Options) -> Iterator[str]:
    """Yield lines of text with the most frequent unseen labels, and what can be done."""
    yield f"    {unseen.describe(_MAX_NAMED)}"
    if are_amounts(labels.name.to_pylist()):
        yield f"    {AMOUNTS}"
    else:
        yield (
            "    --min-label-rows N rejects the rows of rarer labels as rare_label, which do not "
            "count here; --rare-label-as NAME joins these labels under a name instead"
        )
    yield f"    {label_flag_hint(options)}"
