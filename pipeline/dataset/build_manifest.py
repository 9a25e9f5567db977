"""The manifest of a prepared dataset, from what its steps have counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from itertools import zip_longest
from operator import attrgetter
from typing import Any, TypeVar

from charseq.errors import DataError
from charseq.examples import feature_spec
from charseq.manifest import OUTSIDE, SPLITS, Manifest, RowCounts, Shard, format_version
from charseq.text.normalization import UNICODE_VERSION
from pipeline.dataset.limits import check_folds, check_known_characters
from pipeline.dataset.notes import (
    note_absent_from_folds,
    note_absent_labels,
    note_known,
    note_leaks,
)
from pipeline.dataset.prepared import PreparedDataset
from pipeline.options import Options
from pipeline.rows.sources import describe_inputs
from pipeline.shards.write import ShardSummary
from pipeline.split.based import BasedSplits
from pipeline.split.given import GivenSplits
from pipeline.split.similar import SimilarSplits
from pipeline.split.strata import StratifiedSplits

Number = TypeVar("Number", int, float)

_LIBRARIES = ("apache-beam", "tensorflow", "tensorflow-transform", "pyarrow", "numpy")


def build_manifest(prepared: PreparedDataset) -> Manifest:
    """Return the manifest of a dataset, except `files` and `manifest_sha256`.

    Raises:
        DataError: the rows written, duplicate and rejected are not the rows read.
        MismatchError: most records have no character of the alphabet.
    """
    options, vocabulary = prepared.plan.options, prepared.plan.vocabulary
    has_folds = options.splits.folds is not None
    has_weight = options.weight_column is not None
    note_absent = note_absent_from_folds if has_folds else note_absent_labels
    counts = count_rows(prepared)
    require_all_rows(counts)
    check_known_characters(prepared.shards, options)
    if has_folds:
        check_folds(prepared.shards)
    by_split = _group_by_split(prepared)
    lengths = [str(length) for length in range(options.num_positions + 1)]
    label_counts = _sum_by_split(vocabulary.labels, by_split, attrgetter("label_counts"))
    return Manifest(
        format_version=format_version(has_weight=has_weight),
        fingerprint="",
        encoding=options.encoding,
        compression=options.compression,
        max_length=options.num_positions,
        alphabet_size=options.num_characters,
        padding_id=0,
        unknown_id=options.unknown_id,
        alphabet=vocabulary.alphabet,
        labels=vocabulary.labels,
        feature_spec=feature_spec(
            options.encoding, options.num_positions, options.num_characters, has_weight=has_weight
        ),
        counts=counts,
        length_histogram=_sum_by_split(lengths, by_split, attrgetter("length_counts")),
        label_counts=label_counts,
        shards=tuple(
            _describe_shard(shard, options.compression)
            for shards in by_split.values()
            for shard in shards
        ),
        inputs=describe_inputs(prepared.sources),
        options=options.to_json(),
        versions={
            **{library: version(library) for library in _LIBRARIES},
            "unicode": UNICODE_VERSION,
        },
        strata=_describe_strata(prepared),
        label_weights=_sum_by_split(vocabulary.labels, by_split, attrgetter("label_weights"))
        if has_weight
        else None,
        character_counts={
            split: _count_characters(vocabulary.alphabet, shards, options)
            for split, shards in by_split.items()
        },
        notes=(
            *prepared.plan.notes,
            *(
                note_absent(vocabulary.labels, label_counts)
                if options.added_to is None
                else note_known(prepared.shards)
            ),
            *note_leaks(prepared.leaks, options),
        ),
        similar=_describe_similar(prepared),
        base=() if options.added_to is None else options.added_to.fingerprints,
    ).with_fingerprint()


def _group_by_split(prepared: PreparedDataset) -> dict[str, list[ShardSummary]]:
    """Return the shards of each split, in the order of the plan; no split without a shard."""
    written = {summary.shard: summary for summary in prepared.shards}
    by_split: dict[str, list[ShardSummary]] = {}
    for shard in prepared.plan.partition.shards:
        by_split.setdefault(shard.split, []).append(written[shard])
    return by_split


def count_rows(prepared: PreparedDataset) -> RowCounts:
    """Return what became of all rows that were read."""
    shards = prepared.shards
    by_reason: Counter[str] = sum((file.by_reason for file in prepared.rejected_files), Counter())
    records = dict.fromkeys(SPLITS, 0)
    splits = prepared.plan.splits
    for summary in shards:
        # The rows of folds count as train rows.
        split = summary.shard.split
        records[split if split in records else "train"] += summary.records
    return RowCounts(
        read=prepared.counts.read,
        train=records["train"],
        validation=records["validation"],
        test=records["test"],
        duplicates=sum(summary.duplicates for summary in shards),
        rejected=by_reason.total(),
        rejected_by_reason=dict(sorted(by_reason.items())),
        truncated=prepared.counts.truncated,
        ambiguous=sum(summary.ambiguous for summary in shards),
        unknown_characters=sum(
            summary.id_counts[prepared.plan.options.unknown_id] for summary in shards
        ),
        normalized=prepared.counts.normalized.to_json(),
        leaks=splits.leaks.count() if isinstance(splits, GivenSplits) else None,
    )


def require_all_rows(counts: RowCounts) -> None:
    """Check that every row read is a record, a duplicate or rejected.

    Raises:
        DataError: the numbers do not add up.
    """
    parts = {
        name: getattr(counts, name)
        for name in ("train", "validation", "test", "duplicates", "rejected")
    }
    total = sum(parts.values())
    if total != counts.read:
        shown = " + ".join(f"{rows} {name}" for name, rows in parts.items())
        raise DataError(
            f"{counts.read} rows were read, but {shown} make {total}; nothing was published. "
            "This is a defect of the pipeline or its runner, please report it"
        )


def _sum_by_split(
    names: Sequence[str],
    by_split: Mapping[str, Sequence[ShardSummary]],
    vector: Callable[[ShardSummary], Sequence[Number]],
) -> dict[str, Mapping[str, Number]]:
    """Return the sums of a vector of each split's shards, see `_name_counts`."""
    return {split: _name_counts(names, map(vector, shards)) for split, shards in by_split.items()}


def _name_counts(names: Sequence[str], counts: Iterable[Sequence[Number]]) -> Mapping[str, Number]:
    """Return the sums of several vectors that are not 0, by the name of the position.

    A vector may be shorter than `names`: the values that it lacks are 0.
    """
    totals = map(sum, zip_longest(*counts, fillvalue=0))
    return {name: total for name, total in zip(names, totals, strict=False) if total}


def _count_characters(
    alphabet: Sequence[str], shards: Sequence[ShardSummary], options: Options
) -> Mapping[str, int]:
    """Return `Manifest.character_counts` of a split."""
    ids = (shard.id_counts for shard in shards)
    counts = _name_counts(alphabet, (of_shard[1:] for of_shard in ids))
    outside = sum(shard.id_counts[options.unknown_id] for shard in shards)
    return {**counts, OUTSIDE: outside} if outside else counts


def _describe_strata(prepared: PreparedDataset) -> Mapping[str, Sequence[str | None]] | None:
    """Return `Manifest.strata`; with a base, those of the base."""
    splits = prepared.plan.splits
    if isinstance(splits, StratifiedSplits | BasedSplits):
        return splits.cuts.to_json()
    return None


def _describe_similar(prepared: PreparedDataset) -> Mapping[str, Any] | None:
    """Return `Manifest.similar`."""
    splits = prepared.plan.splits
    if not isinstance(splits, SimilarSplits) or prepared.leaks is None:
        return None
    after, before = (leak._asdict() for leak in prepared.leaks)
    return {**splits.to_json(), "leak": after, "leak_by_hash": before}


def _describe_shard(summary: ShardSummary, compression: str) -> Shard:
    return Shard(
        path=summary.shard.file_name(compression),
        split=summary.shard.split,
        records=summary.records,
        bytes=summary.bytes,
        sha256=summary.sha256,
    )
