"""`report.html` of a dataset: what is in it, in one file that loads nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from charseq.html import render
from charseq.html.charts import chart_lengths, split_flow
from charseq.manifest import SPLITS
from pipeline.rows.lengths import bin_lengths, last_exact, length_quantile
from pipeline.rows.normalizing import describe_normalized
from pipeline.rows.rejected import EXAMPLES_PER_REASON
from pipeline.rows.rejected_files import RejectedFile
from pipeline.rows.validation import REASONS
from pipeline.shards.ordering import merge_most_ambiguous
from pipeline.shards.write import ShardSummary

_SHOWN_CHARACTERS = 60
_SHOWN_UNKNOWN = 20
_SHOWN_LABELS = 30
_QUANTILES = (Fraction(1, 2), Fraction(99, 100), Fraction(1))


def render_report(
    manifest: Mapping[str, Any],
    lengths: Mapping[int, int],
    shards: Sequence[ShardSummary],
    rejected_files: Iterable[RejectedFile],
) -> str:
    """Return the page of a dataset.

    Args:
        manifest: see `build_manifest`.
        lengths: of the sequences before the cut, see `count_lengths`.
        shards: all of them, in any order.
        rejected_files: all of them, in any order.
    """
    counts = manifest["counts"]
    folds = {name: sum(of.values()) for name, of in manifest["label_counts"].items()}
    splits = folds if manifest["options"].get("folds") else {name: counts[name] for name in SPLITS}
    left_out = {name: counts[name] for name in ("duplicates", "rejected")}
    parts = [*splits.items(), *left_out.items()]
    known, unknown = _count_characters(manifest["alphabet"], shards)
    return render(
        "dataset.html",
        manifest=manifest,
        counts=counts,
        notes=manifest.get("notes", ()),
        normalized=describe_normalized(counts.get("normalized") or {}),
        flow_of_rows=split_flow(counts["read"], parts),
        lengths=_lengths(manifest, lengths),
        known=_rank_characters(known, _SHOWN_CHARACTERS),
        unknown=_rank_characters(unknown, _SHOWN_UNKNOWN),
        labels=_labels(manifest["labels"], manifest["label_counts"].values()),
        ambiguous=merge_most_ambiguous(shard.most_ambiguous for shard in shards),
        rejected=_rejected(counts["rejected_by_reason"], rejected_files),
        options=_options(manifest["options"]),
    )


def _lengths(manifest: Mapping[str, Any], lengths: Mapping[int, int]) -> dict[str, Any]:
    max_length = manifest["max_length"]
    rejects = manifest["options"]["too_long"] == "reject"
    mark = f"too long from {max_length + 1:,}" if rejects else f"cut at {max_length:,}"
    bins, exact = bin_lengths(lengths, max_length), last_exact(max_length)
    return {
        "quantiles": [length_quantile(lengths, share) for share in _QUANTILES],
        "total": sum(lengths.values()),
        "beyond": sum(count for length, count in lengths.items() if length > max_length),
        "bins": bins,
        "last_exact": exact,
        "histogram": chart_lengths(bins, max_length, exact, mark),
    }


def _count_characters(
    alphabet: Sequence[str], shards: Iterable[ShardSummary]
) -> tuple[Counter[str], Counter[str]]:
    """Return how often each character of the alphabet occurs, and each outside of it."""
    known, unknown = Counter(dict.fromkeys(alphabet, 0)), Counter[str]()
    for shard in shards:
        known.update(dict(zip(alphabet, shard.id_counts[1:], strict=False)))
        unknown.update(shard.unknown_characters)
    return known, unknown


def _rank_characters(counts: Counter[str], num_shown: int) -> dict[str, Any]:
    """Return the most frequent characters with their counts, and the counts of the others."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return {
        "total": counts.total(),
        "most": max(counts.values(), default=0),
        "shown": ordered[:num_shown],
        "others": [count for _, count in ordered[num_shown:]],
    }


def _labels(labels: Sequence[str], by_split: Iterable[Mapping[str, int]]) -> dict[str, Any]:
    """Return the records of the most frequent labels, in all and by split, and of the others."""
    columns = [[counts.get(label, 0) for label in labels] for counts in by_split]
    rows = [(sum(counts), *counts) for counts in zip(*columns, strict=True)]
    # Sorting is stable: of equally frequent labels the lower id comes first.
    ordered = sorted(zip(labels, rows, strict=True), key=lambda item: -item[1][0])
    others = [counts for _, counts in ordered[_SHOWN_LABELS:]]
    return {
        "totals": [sum(column) for column in zip(*rows, strict=True)],
        "most": ordered[0][1][0],
        "shown": ordered[:_SHOWN_LABELS],
        "num_others": len(others),
        "others": [sum(column) for column in zip(*others, strict=True)],
    }


def _rejected(by_reason: Mapping[str, int], files: Iterable[RejectedFile]) -> list[dict[str, Any]]:
    """Return each reason, the most frequent first, with its first rows in the order of input."""
    examples = [row for file in sorted(files, key=lambda file: file.index) for row in file.examples]
    return [
        {
            "name": reason,
            "meaning": REASONS[reason],
            "rows": rows,
            "examples": [row for row in examples if row["reason"] == reason][:EXAMPLES_PER_REASON],
        }
        for reason, rows in sorted(by_reason.items(), key=lambda item: (-item[1], item[0]))
    ]


def _options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that have a value."""
    values = {
        name: " ".join(value) if isinstance(value, list | tuple) else value
        for name, value in options.items()
    }
    return {name: value for name, value in values.items() if value not in (None, "")}
