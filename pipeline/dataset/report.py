"""`report.html`: what is in a dataset, to look at; one file, nothing loaded from elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline import charts
from pipeline.charts import draw_bar, draw_flow, draw_lengths, format_share, span
from pipeline.dataset.ambiguity import AmbiguousSequence, merge_most_ambiguous
from pipeline.dataset.shards import ShardSummary
from pipeline.options import SPLITS
from pipeline.rows.lengths import bin_lengths, last_exact
from pipeline.rows.rejected import EXAMPLES_PER_REASON
from pipeline.rows.rejected_files import RejectedFile
from pipeline.rows.validation import REASONS
from pipeline.visible import name_character, needs_name, show_character, show_text

_SHOWN_CHARACTERS = 60
_SHOWN_OUTSIDE = 20
_SHOWN_LABELS = 30
_SHOWN_INPUTS = 100

_STYLE = """
:root { color-scheme: light dark; --back: #fff; --text: #1f2328; --muted: #5b6570; --line: #dfe3e8;
  --soft: #f3f5f7; --train: #2f6fd0; --validation: #138a7d; --test: #8250c4;
  --duplicates: #87909a; --rejected: #cc3b3b; --cut: #c76a15; }
@media (prefers-color-scheme: dark) { :root { --back: #14171a; --text: #e4e7ea; --muted: #9aa4ae;
  --line: #30363d; --soft: #20252a; --train: #5a94ea; --validation: #35b3a4; --test: #ab84e8;
  --duplicates: #87909a; --rejected: #ee6a63; --cut: #e79342; } }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back);
  max-width: 58rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.5rem; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.6rem 0 .5rem; } h3 { font-size: 1rem; margin: 1.4rem 0 .3rem; }
p { margin: .3rem 0 .8rem; } small { font-size: .85em; color: var(--muted); }
.note { color: var(--muted); }
code, .text { font: .92em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
  overflow-wrap: anywhere; }
.text { white-space: pre-wrap; background: var(--soft); border-radius: 3px; padding: .05em .25em; }
.text i { font-style: normal; font-size: .85em; color: var(--cut); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
td, th { padding: .2rem 1rem .2rem 0; text-align: right; vertical-align: top; }
th { font-weight: inherit; }
td:first-child, th:first-child { text-align: left; }
td:last-child, th:last-child { padding-right: 0; }
.facts td { text-align: left; }
thead th { color: var(--muted); border-bottom: 1px solid var(--line); }
td small { white-space: nowrap; } td .bar { margin-top: .15rem; max-width: none; }
.labels { width: 100%; } .labels td:first-child { width: 100%; }
.rest td { border-top: 1px solid var(--line); }
.characters { columns: 2 20rem; column-gap: 2.5rem; }
.characters > div { display: grid; grid-template-columns: 3.6rem 1fr var(--count) 4.2rem;
  column-gap: .5rem; align-items: center; break-inside: avoid; padding: .08rem 0;
  font-variant-numeric: tabular-nums; text-align: right; }
.characters > div > :first-child { text-align: center; }
.characters small.name { grid-column: 2 / -1; text-align: left; line-height: 1.25; }
/* On a phone a label has a line of its own, above its numbers. */
@media (max-width: 36rem) {
  .labels tr { display: grid; grid-template-columns: repeat(4, 1fr); font-size: .9rem; }
  .labels th, .labels td { padding-right: 0; }
  .labels th:first-child { display: none; } .labels td:first-child { grid-column: 1 / -1; } }
ul { list-style: none; margin: 0; padding: 0; } li { margin: .45rem 0; }
details { margin: .6rem 0; } summary { cursor: pointer; }
.legend span { white-space: nowrap; margin-right: 1.5rem; }
.swatch { display: inline-block; width: .8em; height: .8em; border-radius: 2px; }
.swatch.kept { background: var(--train); } .swatch.cut { background: var(--cut); }
"""


def render_report(
    manifest: Mapping[str, Any],
    lengths: Mapping[int, int],
    shards: Sequence[ShardSummary],
    rejected_files: Iterable[RejectedFile],
) -> str:
    """The page for a dataset: its manifest, and what was counted beyond it.

    Args:
        manifest: see `build_manifest`.
        lengths: of the sequences before the cut, see `count_lengths`.
        shards: all of them, in any order.
        rejected_files: all of them, in any order.
    """
    sections = (
        _overview(manifest),
        _lengths(manifest, lengths),
        _characters(manifest, shards),
        _labels(manifest),
        _ambiguous(manifest, merge_most_ambiguous(one.most_ambiguous for one in shards)),
        _rejected(manifest["counts"], rejected_files),
        _origin(manifest),
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Dataset {manifest['fingerprint'][:12]}</title>"
        f"<style>{_STYLE}{charts.STYLE}</style></head>\n"
        f"<body>{''.join(sections)}</body></html>\n"
    )


def _overview(manifest: Mapping[str, Any]) -> str:
    counts = manifest["counts"]
    parts = [(name, counts[name]) for name in (*SPLITS, "duplicates", "rejected")]
    return (
        f"<h1>Dataset <small>{show_text(manifest['options']['output'])}</small></h1>"
        f"<p>Records of {manifest['encoding']} with {manifest['max_length']:,} positions, an "
        f"alphabet of {len(manifest['alphabet']):,} characters and {len(manifest['labels']):,} "
        f"labels, in {_plural(len(manifest['shards']), 'file')}.</p>"
        f"<h2>Rows</h2>{draw_flow(('read', counts['read']), parts)}"
    )


def _lengths(manifest: Mapping[str, Any], lengths: Mapping[int, int]) -> str:
    max_length = manifest["max_length"]
    rejects = manifest["options"]["too_long"] == "reject"
    total = sum(lengths.values())
    beyond = sum(count for length, count in lengths.items() if length > max_length)
    bins, exact = bin_lengths(lengths, max_length), last_exact(max_length)
    mark = f"too long from {max_length + 1:,}" if rejects else f"cut at {max_length:,}"
    said = (
        f"<p>Half of the sequences have at most {_quantile(lengths, 0.5):,} characters, 99 % at "
        f"most {_quantile(lengths, 0.99):,}, all at most {_quantile(lengths, 1):,}.</p>"
        f'<p class=legend><span><i class="swatch kept"></i> {total - beyond:,} '
        f"<small>{format_share(total - beyond, total)}</small> kept whole</span> "
        f'<span><i class="swatch cut"></i> {beyond:,} <small>{format_share(beyond, total)}</small> '
        f"{'rejected as too_long' if rejects else f'cut to {max_length:,}'}</span></p>"
    )
    doubling = (
        f"<p class=note>Beyond {exact:,} each column spans twice the lengths of the one before.</p>"
        if bins[-1].last > exact
        else ""
    )
    rows = "".join(
        f"<tr><td>{span(one)}</td><td>{one.rows:,}</td>"
        f"<td>{format_share(one.rows, total)}</td></tr>"
        for one in bins
        if one.rows
    )
    return (
        f"<h2>Lengths before the cut</h2>{said}{draw_lengths(bins, max_length, exact, mark)}"
        f"{doubling}<details><summary>As numbers</summary><table><thead><tr><th>characters</th>"
        f"<th>rows</th><th>share</th></tr></thead>{rows}</table></details>"
        "<p class=note>Rows with a sequence and a label, duplicates too.</p>"
    )


def _quantile(lengths: Mapping[int, int], share: float) -> int:
    """The least length that at least `share` of the sequences do not exceed."""
    wanted, found = share * sum(lengths.values()), 0
    for length in sorted(lengths):
        found += lengths[length]
        if found >= wanted:
            break
    return length


def _characters(manifest: Mapping[str, Any], shards: Sequence[ShardSummary]) -> str:
    ids: Counter[int] = Counter()
    unknown: Counter[str] = Counter()
    for summary in shards:
        ids.update(dict(enumerate(summary.id_counts)))
        unknown.update(summary.unknown_characters)
    known = Counter({char: ids[n] for n, char in enumerate(manifest["alphabet"], start=1)})
    total = known.total() + unknown.total()
    outside = (
        f"<h3>Outside the alphabet</h3><p>{_plural(unknown.total(), 'character')} "
        f"<small>{format_share(unknown.total(), total)}</small>, {len(unknown):,} different; all "
        f"become id {manifest['unknown_id']}. These bars have a scale of their own.</p>"
        f"{_character_bars(unknown, total, _SHOWN_OUTSIDE, 'rest')}"
        if unknown
        else "<p>No character is outside the alphabet.</p>"
    )
    return (
        "<h2>Characters</h2><p class=note>Of the records as written: without duplicates, after "
        f"the cut; {total:,} in all.</p>{_character_bars(known, total, _SHOWN_CHARACTERS)}{outside}"
    )


def _character_bars(counts: Counter[str], total: int, shown: int, kind: str = "") -> str:
    ordered = sorted(counts.items(), key=lambda named: (-named[1], named[0]))
    rows = "".join(
        f"<div>{show_character(char)}{draw_bar(count, max(ordered[0][1], 1), kind)}"
        f"<span>{count:,}</span><small>{format_share(count, total)}</small>"
        + (f"<small class=name>{name_character(char)}</small>" if needs_name(char) else "")
        + "</div>"
        for char, count in ordered[:shown]
    )
    rest = ordered[shown:]
    left_out = sum(count for _, count in rest)
    more = (
        f"<p class=note>and {len(rest):,} others: {left_out:,} "
        f"<small>{format_share(left_out, total)}</small></p>"
        if rest
        else ""
    )
    count_width = f"{len(f'{ordered[0][1]:,}') + 1}ch"
    return f'<div class=characters style="--count:{count_width}">{rows}</div>{more}'


def _labels(manifest: Mapping[str, Any]) -> str:
    of_split = manifest["label_counts"]
    totals = [sum(counts.values()) for counts in of_split.values()]
    by_label = {
        label: [counts.get(label, 0) for counts in of_split.values()]
        for label in manifest["labels"]
    }
    # Sorting is stable: of equally frequent labels the lower id comes first.
    ordered = sorted(by_label.items(), key=lambda named: -sum(named[1]))
    most = sum(ordered[0][1])
    rows = "".join(
        f"<tr><td>{show_text(label)}{draw_bar(sum(counts), most)}</td>"
        f"{_cells([sum(totals), *totals], [sum(counts), *counts])}</tr>"
        for label, counts in ordered[:_SHOWN_LABELS]
    )
    rest = [counts for _, counts in ordered[_SHOWN_LABELS:]]
    if rest:
        counts = [sum(column) for column in zip(*rest, strict=True)]
        rows += (
            f"<tr class=rest><td>{_plural(len(rest), 'other label')}</td>"
            f"{_cells([sum(totals), *totals], [sum(counts), *counts])}</tr>"
        )
    head = "".join(f"<th>{name}</th>" for name in ("label", "all", *of_split))
    return (
        "<h2>Labels</h2><p class=note>Records, and their share of the split.</p><div class=wide>"
        f"<table class=labels><thead><tr>{head}</tr></thead>{rows}</table></div>"
    )


def _cells(totals: Iterable[int], counts: Iterable[int]) -> str:
    return "".join(
        f"<td>{count:,}<br><small>{format_share(count, total)}</small></td>"
        for count, total in zip(counts, totals, strict=True)
    )


def _ambiguous(manifest: Mapping[str, Any], found: Sequence[AmbiguousSequence]) -> str:
    title = "<h2>Sequences under several labels</h2>"
    if not found:
        return f"{title}<p>Every sequence has one label.</p>"
    count = manifest["counts"]["ambiguous"]
    shown = "all" if count == len(found) else f"the first {len(found)}"
    items = "".join(
        f"<li>{show_text(one.sequence)}<br>{one.labels:,} labels, {one.rows:,} rows: "
        + " · ".join(f"{show_text(label)} {rows:,}" for label, rows in one.most_frequent)
        + (f" · {more:,} more" if (more := one.labels - len(one.most_frequent)) else "")
        + "</li>"
        for one in found
    )
    return (
        f"{title}<p>{_plural(count, 'sequence')}, compared as cut at {manifest['max_length']:,}. "
        f"No model can be right about all their rows. Here are {shown}, in order of the number of "
        f"labels; rows are counted as read, duplicates too.</p><ul>{items}</ul>"
    )


def _rejected(counts: Mapping[str, Any], files: Iterable[RejectedFile]) -> str:
    if not counts["rejected"]:
        return "<h2>Rejected rows</h2><p>None.</p>"
    examples = [row for file in sorted(files, key=lambda one: one.index) for row in file.examples]
    reasons = sorted(counts["rejected_by_reason"].items(), key=lambda named: (-named[1], named[0]))
    sections = "".join(
        f"<h3>{reason}</h3>{draw_bar(count, counts['rejected'], 'bad')}<p>{_plural(count, 'row')} "
        f"<small>{format_share(count, counts['read'])} of all</small>: {REASONS[reason]}.</p>"
        f"<ul>{_examples(row for row in examples if row['reason'] == reason)}</ul>"
        for reason, count in reasons
    )
    return (
        "<h2>Rejected rows</h2><p class=note>The first of each reason; all of them are in "
        f"<code>rejected/</code>.</p>{sections}"
    )


def _examples(rows: Iterable[Mapping[str, Any]]) -> str:
    first = list(rows)[:EXAMPLES_PER_REASON]
    return "".join(
        f"<li><small>{show_text(row['source'], limit=200)}, row {row['row']:,}</small><br>"
        f"{show_text(row['raw'])}</li>"
        for row in first
    )


def _origin(manifest: Mapping[str, Any]) -> str:
    inputs = manifest["inputs"]
    files = "".join(
        f"<tr><td>{show_text(one['path'], limit=200)}</td><td>{one['bytes']:,}</td></tr>"
        for one in inputs[:_SHOWN_INPUTS]
    )
    more = len(inputs) - _SHOWN_INPUTS
    if more > 0:
        files += (
            f"<tr class=rest><td>{more:,} more, in <code>dataset.json</code></td><td></td></tr>"
        )
    total = sum(one["bytes"] for one in inputs)
    return (
        f"<h2>Where it came from</h2><p>fingerprint <code>{manifest['fingerprint']}</code></p>"
        f"<details><summary>{_plural(len(inputs), 'input file')}, {total:,} bytes</summary>"
        f"<div class=wide><table><thead><tr><th>file</th><th>bytes</th></tr></thead>{files}</table>"
        f"</div></details><details><summary>Options</summary>{_options(manifest['options'])}"
        f"</details><details><summary>Versions</summary>{_table(manifest['versions'])}</details>"
    )


def _options(options: Mapping[str, Any]) -> str:
    """Every option that has a value, as its flag."""
    flags = {f"--{name.replace('_', '-')}": value for name, value in options.items()}
    given = {**flags, "--input": " ".join(options["input"])}
    return _table({flag: str(value) for flag, value in given.items() if value is not None})


def _table(values: Mapping[str, str]) -> str:
    rows = "".join(
        f"<tr><td>{name}</td><td>{show_text(value, limit=200)}</td></tr>"
        for name, value in values.items()
    )
    return f"<div class=wide><table class=facts>{rows}</table></div>"


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
