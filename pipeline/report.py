"""`report.html`: what is in a dataset, to look at; one file, nothing loaded from elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from pipeline.checks import REASONS
from pipeline.shards import ShardSummary

_MANY = 40
_STYLE = """
:root { color-scheme: light dark; --bar: #3b7dd8; --cut: #d8703b; --rest: #9aa3ad; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
table { border-collapse: collapse; } td, th { padding: .15rem .8rem .15rem 0; text-align: right; }
td:first-child, th:first-child { text-align: left; }
code { font-size: .9em; overflow-wrap: anywhere; }
.bars { display: grid; grid-template-columns: max-content 1fr; gap: .1rem .6rem; }
.bars span:nth-child(odd) { text-align: right; font-variant-numeric: tabular-nums; }
.bar { display: flex; align-items: center; gap: .4rem; white-space: nowrap; }
.bar i { display: inline-block; height: .9rem; min-width: 1px; background: var(--bar); }
.bar i.cut { background: var(--cut); } .bar i.rest { background: var(--rest); }
.note { opacity: .75; }
"""


def render_report(manifest: Mapping[str, Any], shards: Sequence[ShardSummary]) -> str:
    """The page for a dataset: its manifest, and the characters that its shards counted."""
    sections = (
        _overview(manifest),
        _rejected(manifest["counts"]),
        _lengths(manifest),
        _characters(manifest, shards),
        _labels(manifest),
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Dataset {manifest['fingerprint'][:12]}</title><style>{_STYLE}</style></head>\n"
        f"<body>{''.join(sections)}</body></html>\n"
    )


def _overview(manifest: Mapping[str, Any]) -> str:
    counts = manifest["counts"]
    rows = [("read", counts["read"])]
    rows += [(f"→ {name}", counts[name]) for name in ("train", "validation", "test")]
    rows += [("→ duplicates, left out", counts["duplicates"]), ("→ rejected", counts["rejected"])]
    facts = (
        f"{manifest['encoding']} records, {manifest['max_length']} positions, "
        f"{len(manifest['alphabet'])} characters, {len(manifest['labels'])} labels, "
        f"{len(manifest['shards'])} shards. {counts['truncated']:,} rows cut at "
        f"{manifest['max_length']}; {counts['ambiguous']:,} sequences stand under several labels."
    )
    return (
        f"<h1>Dataset</h1><p>{facts}</p>"
        f"<p class=note>fingerprint <code>{manifest['fingerprint']}</code></p>"
        f"<h2>Rows</h2>{_bars(rows, total=counts['read'])}"
    )


def _rejected(counts: Mapping[str, Any]) -> str:
    if not counts["rejected"]:
        return ""
    rows = "".join(
        f"<tr><td>{escape(reason)}</td><td>{count:,}</td><td>{escape(REASONS[reason])}</td></tr>"
        for reason, count in counts["rejected_by_reason"].items()
    )
    return (
        f"<h2>Rejected</h2><table>{rows}</table>"
        "<p class=note>Each of these rows, with its file and row number, is in "
        "<code>rejected/</code>.</p>"
    )


def _lengths(manifest: Mapping[str, Any]) -> str:
    total: Counter[int] = Counter()
    for histogram in manifest["length_histogram"].values():
        total.update({int(length): count for length, count in histogram.items()})
    rows = [(length, total[length]) for length in range(1, max(total, default=0) + 1)]
    cut = f"; {manifest['counts']['truncated']:,} longer ones were cut to the last" if (
        manifest["counts"]["truncated"]
    ) else ""  # fmt: skip
    classes = {manifest["max_length"]: "cut"} if cut else {}
    return f"<h2>Length</h2><p class=note>in characters{cut}</p>{_bars(_fold(rows), classes)}"


def _characters(manifest: Mapping[str, Any], shards: Sequence[ShardSummary]) -> str:
    ids: Counter[int] = Counter()
    unknown: Counter[str] = Counter()
    for summary in shards:
        ids.update(dict(enumerate(summary.id_counts)))
        unknown.update(summary.unknown_characters)
    known = [(char, ids[number]) for number, char in enumerate(manifest["alphabet"], start=1)]
    known.sort(key=lambda row: -row[1])
    outside = unknown.most_common(10)
    rows = [(repr(char), count) for char, count in known[:_MANY] + outside]
    classes = {repr(char): "rest" for char, _ in outside}
    note = (
        f"{unknown.total():,} characters ({len(unknown):,} different ones) are outside the alphabet"
    )
    return f"<h2>Characters</h2><p class=note>{note}</p>{_bars(rows, classes)}"


def _labels(manifest: Mapping[str, Any]) -> str:
    splits = list(manifest["label_counts"])
    head = "".join(f"<th>{escape(split)}</th>" for split in splits)
    rows = "".join(
        f"<tr><td>{escape(label)}</td>"
        + "".join(f"<td>{manifest['label_counts'][s].get(label, 0):,}</td>" for s in splits)
        + "</tr>"
        for label in manifest["labels"][:_MANY]
    )
    more = len(manifest["labels"]) - _MANY
    note = f"<p class=note>and {more:,} more labels</p>" if more > 0 else ""
    return f"<h2>Labels</h2><table><tr><th>label</th>{head}</tr>{rows}</table>{note}"


def _fold(rows: Sequence[tuple[int, int]]) -> list[tuple[object, int]]:
    """At most `_MANY` rows: neighbouring lengths put together."""
    step = -(-len(rows) // _MANY) or 1
    if step == 1:
        return list(rows)
    groups = [rows[start : start + step] for start in range(0, len(rows), step)]
    return [(f"{of[0][0]}–{of[-1][0]}", sum(count for _, count in of)) for of in groups]


def _bars(
    rows: Iterable[tuple[object, int]],
    classes: Mapping[Any, str] | None = None,
    total: int | None = None,
) -> str:
    """A bar a row; its width is the share of `total`, or of the greatest."""
    rows = list(rows)
    whole = total or max((count for _, count in rows), default=0) or 1
    cells = "".join(
        f"<span>{escape(str(name))}</span><span class=bar>"
        f'<i class="{(classes or {}).get(name, "")}" style="width:{85 * count / whole:.2f}%"></i>'
        f"{count:,}</span>"
        for name, count in rows
    )
    return f"<div class=bars>{cells}</div>"
