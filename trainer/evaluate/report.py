"""`report.html`: how a run learned and how good it is; one file, nothing loaded from elsewhere."""

from __future__ import annotations

import glob
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from charseq.errors import DataError
from charseq.files import write_text
from charseq.metrics import (
    RELIABILITY_BINS,
    Evaluation,
    LabelScore,
    LengthScore,
    wilson_interval,
    worst_labels,
)
from charseq.saved_model import RUN_FILE
from trainer import charts
from trainer.charts import (
    Column,
    Curve,
    draw_bar,
    draw_columns,
    draw_curves,
    format_percent,
    round_lengths,
)
from trainer.run_directory import METRICS_FILE, REPORT_FILE
from trainer.visible import plain_text, show_text

# Up to here a matrix can be read and a table be looked through; beyond, only extremes are shown.
_FEW_LABELS = 30
_WITH_NUMBERS = 12  # labels, up to which there is room for numbers in the matrix
_SHOWN_PAIRS = 12
_SHOWN_EXTREMES = 20
_LENGTH_COLUMNS = 50
_F1_BINS = 10
# What a reader looks for first stands first.
_ORDER = ("test", "validation", "train")

_STYLE = """
:root { color-scheme: light dark; --back: #fff; --text: #1f2328; --muted: #5b6570; --line: #dfe3e8;
  --soft: #f3f5f7; --train: #2f6fd0; --validation: #138a7d; --wrong: #d0651b; }
@media (prefers-color-scheme: dark) { :root { --back: #14171a; --text: #e4e7ea; --muted: #9aa4ae;
  --line: #30363d; --soft: #20252a; --train: #5a94ea; --validation: #35b3a4; --wrong: #f0934a; } }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back);
  max-width: 62rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.5rem; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.8rem 0 .4rem; } h3 { font-size: 1rem; margin: 1.8rem 0 .2rem; }
h3 small { font-weight: normal; }
p { margin: .2rem 0 .7rem; } small { font-size: .85em; color: var(--muted); }
.note { color: var(--muted); font-size: .93em; max-width: 46rem; }
code, .text { font: .92em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
  overflow-wrap: anywhere; }
.text { white-space: pre-wrap; }
.text i { font-style: normal; font-size: .85em; color: var(--wrong); }
.wide { overflow-x: auto; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.8rem, 1fr)); gap: .7rem;
  margin: .8rem 0 1rem; }
.tiles div { background: var(--soft); border-radius: 8px; padding: .7rem .9rem; }
.tiles b { display: block; font-size: 1.65rem; font-weight: 600; line-height: 1.25;
  font-variant-numeric: tabular-nums; letter-spacing: -.01em; }
.tiles small { display: block; line-height: 1.35; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(13rem, 100%), 1fr));
  gap: 0 2.2rem; }
.charts > div { min-width: 0; }
.halves { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr));
  gap: 0 2.2rem; }
.halves > div { min-width: 0; }
.legend { font-size: .93em; } .legend span { white-space: nowrap; margin-right: 1.2rem; }
.swatch { display: inline-block; width: .8em; height: .8em; border-radius: 2px; }
.swatch.train { background: var(--train); } .swatch.validation { background: var(--validation); }
.swatch.wrong { background: var(--wrong); }
.ramp { display: inline-block; width: 4.5em; height: .8em; border-radius: 2px; margin: 0 .3em;
  vertical-align: -.08em; background: linear-gradient(90deg, var(--soft),
  color-mix(in srgb, var(--hue) var(--full), var(--soft))); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
td, th { padding: .2rem 1rem .2rem 0; text-align: right; vertical-align: top; }
th { font-weight: inherit; }
td:first-child, th:first-child { text-align: left; }
td:last-child, th:last-child { padding-right: 0; }
thead th { color: var(--muted); border-bottom: 1px solid var(--line); }
.facts td { text-align: left; }
.full { width: 100%; } .full td:last-child { width: 45%; }
.full.pairs td:last-child { width: 28%; } td .bar { margin-top: .45rem; }
.bins { width: 100%; white-space: nowrap; } .bins td:last-child { width: 85%; }
td:not(:first-child), th { white-space: nowrap; }
.facts td:not(:first-child) { white-space: normal; }
.matrix { border-spacing: 2px; border-collapse: separate; margin: .4rem 0; }
.matrix td, .matrix th { padding: 0; } .matrix th { font-size: min(1em, var(--cell)); }
.matrix td { width: var(--cell); min-width: var(--cell); height: var(--cell); text-align: center;
  vertical-align: middle; border-radius: 3px; font-size: .82rem; line-height: 1;
  background: color-mix(in srgb, var(--hue) calc(var(--share) * var(--full)), var(--soft)); }
.matrix tbody th { padding-right: .5rem; text-align: right; vertical-align: middle;
  max-width: 7rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap;
  line-height: 1; }
.matrix thead th { border: 0; color: inherit; vertical-align: bottom; line-height: var(--cell); }
.matrix thead th > span { writing-mode: vertical-rl; transform: rotate(180deg); max-height: 8rem;
  overflow: hidden; white-space: nowrap; display: inline-block; }
.matrix .text { white-space: pre; overflow-wrap: normal; } .matrix small { display: none; }
details { margin: .8rem 0; } summary { cursor: pointer; }
summary h2 { display: inline; }
@media (max-width: 36rem) {
  td, th { padding-right: .6rem; } .matrix tbody th { max-width: 5rem; }
  .matrix td { font-size: .7rem; } .matrix { border-spacing: 1px; }
  /* On a phone a label has a line of its own, above its numbers. */
  .full tr { display: grid; grid-template-columns: repeat(4, 1fr); font-size: .9rem; }
  .full td, .full th { padding: 0; } .full th:is(:first-child, :last-child) { display: none; }
  .full td:is(:first-child, :last-child) { grid-column: 1 / -1; width: auto; }
  .full.pairs td:last-child { width: auto; } .full td .bar { margin-top: .1rem; }
  .full tr { padding: .25rem 0; } }
"""


def write_report(directory: str) -> str:
    """Write the page for a complete run and every `evaluation-*.json` in it; return its address.

    Raises:
        DataError: one of the files is not what it should be.
    """
    run = _read_json(os.path.join(directory, RUN_FILE))
    metrics = _read_json(os.path.join(directory, METRICS_FILE))
    found = glob.glob(os.path.join(glob.escape(directory), "evaluation-*.json"))
    evaluations = [_read_evaluation(path) for path in sorted(found)]
    path = os.path.join(directory, REPORT_FILE)
    write_text(path, render_report(run, metrics["epochs"], evaluations))
    return Path(path).absolute().as_uri()


def _read_json(path: str) -> Any:
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except ValueError as error:
        raise DataError(f"{path}: not JSON: {error}") from error


def _read_evaluation(path: str) -> Evaluation:
    content = _read_json(path)
    try:
        return Evaluation.from_json(content)
    except (KeyError, TypeError) as error:
        raise DataError(
            f"{path}: another version of charseq wrote it: evaluate that split again, or remove it"
        ) from error


def render_report(
    run: Mapping[str, Any],
    epochs: Sequence[Mapping[str, Any]],
    evaluations: Iterable[Evaluation],
) -> str:
    """The page for a run.

    Args:
        run: `run.json`.
        epochs: of `metrics.json`, one or more; what else they hold than is drawn is ignored.
        evaluations: of several splits, in any order.
    """
    ordered = sorted(evaluations, key=lambda one: _ORDER.index(one.split))
    sections = [_overview(run, epochs), _headline(run, ordered), _training(epochs)]
    sections += [_split(run, one, is_first=one is ordered[0]) for one in ordered]
    sections.append(_origin(run))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Run {escape(plain_text(run['options']['output'], 80))}</title>"
        f"<style>{_STYLE}{charts.STYLE}</style></head>\n"
        f"<body>{''.join(sections)}</body></html>\n"
    )


def _overview(run: Mapping[str, Any], epochs: Sequence[Mapping[str, Any]]) -> str:
    options, dataset = run["options"], run["dataset"]
    units = ", ".join(f"{width:,}" for width in options["units"])
    minutes, seconds = divmod(round(sum(epoch["seconds"] for epoch in epochs)), 60)
    return (
        f"<h1>Run <small>{show_text(options['output'], limit=200)}</small></h1>"
        f"<p>{options['representation']} → LSTM {units} → {len(dataset['labels']):,} labels, on "
        f"sequences of at most {_plural(dataset['max_length'], 'character')}. "
        f"{_plural(len(epochs), 'epoch')} took {minutes:,} min {seconds} s.</p>"
    )


def _headline(run: Mapping[str, Any], evaluations: Sequence[Evaluation]) -> str:
    if not evaluations:
        return ""
    first = evaluations[0]
    support = [one.support for one in first.labels]
    shares = [count / first.rows for count in support if count]
    low, high = wilson_interval(first.accuracy, first.rows)
    confidence = math.fsum(one.rows * one.confidence for one in first.reliability) / first.rows
    tiles = "".join(
        f"<div><small>{name}</small><b>{value}</b><small>{note}</small></div>"
        for name, value, note in (
            ("accuracy", f"{first.accuracy:.3f}",
             f"95 %: {low:.3f} to {high:.3f}; always the most frequent label: {max(shares):.3f}"),
            ("top-3 accuracy", f"{first.top3_accuracy:.3f}",
             f"of {_plural(len(first.labels), 'label')}"),
            ("macro F1", f"{first.macro_f1:.3f}", "every label counts the same"),
            ("log loss", f"{first.loss:.3f}",
             "nats; from label frequencies alone: "
             f"{-math.fsum(share * math.log(share) for share in shares):.3f}"),
            ("calibration error", f"{first.calibration_error:.3f}",
             f"it is {confidence:.3f} sure and {first.accuracy:.3f} right"),
            ("rows", f"{first.rows:,}", f"of the split {first.split}"),
        )
    )  # fmt: skip
    rows = "".join(
        f"<tr><td>{one.split}</td><td>{one.rows:,}</td>"
        + "".join(
            f"<td>{value:.4f}</td>"
            for value in (one.accuracy, one.top3_accuracy, one.macro_f1, one.loss,
                          one.calibration_error)
        )
        + "</tr>"
        for one in evaluations
    )  # fmt: skip
    names = ("split", "rows", "accuracy", "top-3", "macro F1", "log loss", "calibration error")
    table = (
        f"<div class=wide><table>{_head(names)}{rows}</table></div>" if len(evaluations) > 1 else ""
    )
    other = "".join(
        f"<p>{one.split} was measured on another dataset than the run was trained on: fingerprint "
        f"<code>{escape(one.fingerprint[:16])}</code>.</p>"
        for one in evaluations
        if one.fingerprint != run["dataset"]["fingerprint"]
    )
    return f"<h2>On {first.split}</h2><div class=tiles>{tiles}</div>{table}{other}"


def _training(epochs: Sequence[Mapping[str, Any]]) -> str:
    losses = _curves(epochs, "loss")
    best = _best_epoch(losses)
    drawn = [
        ("Loss", "nats", draw_curves("Loss", losses, from_zero=True, best=best)),
        ("Accuracy", "", draw_curves("Accuracy", _curves(epochs, "accuracy"), False, best)),
    ]
    for name, title, unit in (
        ("sequences_per_second", "Speed", "sequences/s"),
        ("learning_rate", "Learning rate", ""),
    ):
        values = [epoch.get(name) for epoch in epochs]
        if any(isinstance(value, (int, float)) for value in values):
            drawn.append((title, unit, draw_curves(title, [Curve("train", values)], True)))
    plots = "".join(
        f"<div><h3>{title} <small>{unit}</small></h3>{plot}</div>" for title, unit, plot in drawn
    )
    said = (
        "Loss and accuracy on train are means over an epoch, while the weights change; on "
        "validation they are measured at its end."
    )
    if best is not None:
        said += f" Validation loss was least after epoch {best}: the dashed line."
    return (
        f"<h2>Training</h2>{_legend(('train', 'train'), ('validation', 'validation'))}"
        f"<div class=charts>{plots}</div><p class=note>{said}</p>"
    )


def _curves(epochs: Sequence[Mapping[str, Any]], name: str) -> list[Curve]:
    curves = [
        Curve(split, [epoch[split][name] if epoch[split] else None for epoch in epochs])
        for split in ("train", "validation")
    ]
    return [curve for curve in curves if any(value is not None for value in curve.values)]


def _best_epoch(losses: Sequence[Curve]) -> int | None:
    values = next((curve.values for curve in losses if curve.kind == "validation"), ())
    finite = [
        (value, number)
        for number, value in enumerate(values, start=1)
        if value is not None and math.isfinite(value)
    ]
    return min(finite)[1] if finite else None


def _split(run: Mapping[str, Any], one: Evaluation, is_first: bool) -> str:
    """All that was measured on a split; the first one open, under the headline's name."""
    matrix = f"<div>{_matrix(one)}</div>" if len(one.labels) <= _FEW_LABELS else ""
    side_by_side = "class=halves" if len(one.labels) <= _WITH_NUMBERS else ""
    lengths = _lengths(one, run["dataset"]["max_length"])
    content = (
        f"{_labels(one)}<div {side_by_side}>{matrix}<div>{_pairs(one)}</div></div>"
        f"<div class=halves><div>{_reliability(one)}</div><div>{lengths}</div></div>"
    )
    if is_first:
        return f"<h2>Where it is right and wrong <small>on {one.split}</small></h2>{content}"
    return f"<details><summary><h2>On {one.split}</h2></summary>{content}</details>"


def _labels(one: Evaluation) -> str:
    if len(one.labels) <= _FEW_LABELS:
        ordered, _ = worst_labels(one.labels, _FEW_LABELS)
        return f"<h3>Labels <small>by rows</small></h3>{_label_table(ordered)}"
    worst, _ = worst_labels(one.labels, _SHOWN_EXTREMES)
    frequent = sorted(one.labels, key=lambda label: -label.support)[:_SHOWN_EXTREMES]
    having_rows = [label for label in one.labels if label.support]
    bins = [0] * _F1_BINS
    for label in having_rows:
        bins[min(int(label.f1 * _F1_BINS), _F1_BINS - 1)] += 1
    histogram = "".join(
        f"<tr><td>{place / _F1_BINS:.1f}–{(place + 1) / _F1_BINS:.1f}</td><td>{count:,}</td>"
        f"<td>{draw_bar(count, max(bins))}</td></tr>"
        for place, count in enumerate(bins)
    )
    missing = len(one.labels) - len(having_rows)
    said = f" {_plural(missing, 'label')} of the model without a row are left out." * (missing > 0)
    return (
        f"<h3>Labels by F1 <small>{len(having_rows):,} labels</small></h3>"
        f"<table class=bins>{histogram}</table>"
        f"<p class=note>All of them are in <code>evaluation-{one.split}.json</code>.{said}</p>"
        f"<h3>Lowest F1</h3>{_label_table(worst)}"
        f"<h3>Most rows</h3>{_label_table(frequent)}"
    )


def _label_table(labels: Sequence[LabelScore]) -> str:
    rows = "".join(
        f"<tr><td>{show_text(label.label)}</td>"
        f"<td>{label.support:,}</td><td>{label.precision:.3f}</td><td>{label.recall:.3f}</td>"
        f"<td>{label.f1:.3f}</td><td>{draw_bar(label.f1, 1)}</td></tr>"
        for label in labels
    )
    head = _head(("label", "rows", "precision", "recall", "F1", ""))
    return f"<div class=wide><table class=full>{head}{rows}</table></div>"


class _Cell(NamedTuple):
    """Rows of one label that were given one; share: of the label's rows."""

    label: LabelScore
    given: LabelScore
    rows: int
    share: float

    @property
    def title(self) -> str:
        names = (escape(plain_text(one.label, 60)) for one in (self.label, self.given))
        share = f"{format_percent(self.share)}, {self.rows:,} of {self.label.support:,}"
        return f"{share}: {' → '.join(names)}"


def _cells(one: Evaluation) -> list[_Cell]:
    columns = (one.confusion.label, one.confusion.predicted, one.confusion.rows)
    return [
        _Cell(one.labels[label], one.labels[given], rows, rows / one.labels[label].support)
        for label, given, rows in zip(*columns, strict=True)
    ]


def _matrix(one: Evaluation) -> str:
    """Every label by every label; lines are what rows have, columns what they were given."""
    ordered, _ = worst_labels(one.labels, _FEW_LABELS)
    cells = {(cell.label.label, cell.given.label): cell for cell in _cells(one)}
    most = max((cell.share for cell in cells.values() if cell.label != cell.given), default=0.0)
    numbers = len(ordered) <= _WITH_NUMBERS
    head = "".join(f"<th><span>{show_text(label.label, 40)}</span></th>" for label in ordered)
    lines = "".join(
        f"<tr><th>{show_text(label.label, 40)}</th>"
        + "".join(
            _draw_cell(cells.get((label.label, given.label)), most, numbers) for given in ordered
        )
        + "</tr>"
        for label in ordered
    )
    in_cells = " The numbers are percent." if numbers else ""
    widest = 19 / len(ordered) if numbers else 1.35
    size = f"min({min(widest, 3):.2f}rem, (100vw - 8.5rem) / {len(ordered)} - 1px)"
    # Numbers must be read on the fullest colour, in both schemes.
    full = "60%" if numbers else "100%"
    return (
        "<h3>Confusion <small>lines: the label that rows have; columns: the one they were given"
        "</small></h3>"
        f'<div style="--full:{full}">'
        f"<p class=legend><span>right: 0<i class=ramp style='--hue:var(--train)'></i>100 %</span> "
        f"<span>wrong: 0<i class=ramp style='--hue:var(--wrong)'></i>{format_percent(most)}</span> "
        f"<small>of the line's rows.{in_cells}</small></p>"
        f'<div class=wide><table class=matrix style="--cell:{size}"><thead><tr>'
        f"<th></th>{head}</tr></thead><tbody>{lines}</tbody></table></div></div>"
    )


def _draw_cell(cell: _Cell | None, most_wrong: float, numbers: bool) -> str:
    if cell is None:
        return "<td></td>"
    right = cell.label == cell.given
    # Of wrong cells the greatest has the full colour: else a few percent would not be seen.
    strength = cell.share if right else cell.share / most_wrong
    text = f"{100 * cell.share:.0f}" if numbers and cell.share >= 0.005 else ""
    hue = "train" if right else "wrong"
    return (
        f'<td style="--hue:var(--{hue});--share:{max(strength, 0.06):.2f}" '
        f'title="{cell.title}">{text}</td>'
    )


def _pairs(one: Evaluation) -> str:
    wrong = [cell for cell in _cells(one) if cell.label != cell.given]
    if not wrong:
        return "<h3>Most confused</h3><p>Every row was given its label.</p>"
    wrong.sort(key=lambda cell: -cell.rows)
    shown = wrong[: _SHOWN_PAIRS if len(one.labels) <= _FEW_LABELS else 2 * _SHOWN_PAIRS]
    rows = "".join(
        f"<tr><td>{show_text(cell.label.label, 30)} → {show_text(cell.given.label, 30)}</td>"
        f"<td>{format_percent(cell.share)}</td><td>{cell.rows:,}</td>"
        f"<td>{draw_bar(cell.rows, wrong[0].rows, 'wrong')}</td></tr>"
        for cell in shown
    )
    more = len(wrong) - len(shown)
    rest = sum(cell.rows for cell in wrong[len(shown) :])
    said = (
        f"<p class=note>{_plural(more, 'other pair')}: {_plural(rest, 'row')}.</p>" if more else ""
    )
    return (
        "<h3>Most confused <small>the label → what was given, and its share of the label"
        "</small></h3><div class=wide>"
        f"<table class='full pairs'>{_head(('', 'share', 'rows', ''))}{rows}</table></div>{said}"
    )


def _reliability(one: Evaluation) -> str:
    columns = [
        Column(
            100 * bin.lower, 100 * bin.upper, bin.rows, bin.accuracy,
            wilson_interval(bin.accuracy, bin.rows), bin.confidence,
            f"{_plural(bin.rows, 'row')}: {bin.confidence:.3f} sure, {bin.accuracy:.3f} right",
        )
        for bin in one.reliability
    ]  # fmt: skip
    ticks = [(percent, f"{percent} %") for percent in (0, 25, 50, 75, 100)]
    return (
        "<h3>Reliability <small>accuracy by the highest probability</small></h3>"
        f"{_legend(('train', 'accuracy'), ('wrong', 'mean probability'))}"
        f"{draw_columns('Accuracy by probability', columns, ticks)}"
        f"<p class=note>{RELIABILITY_BINS} bins; below, their rows. A column that ends below its "
        "mark: surer than right. Thin lines: where the accuracy lies with 95 %.</p>"
    )


def _lengths(one: Evaluation, max_length: int) -> str:
    width = math.ceil(max_length / _LENGTH_COLUMNS) if max_length > _LENGTH_COLUMNS else 1
    count = math.ceil(max_length / width)
    grouped: dict[int, list[LengthScore]] = {}
    for score in one.lengths:
        grouped.setdefault((score.length - 1) // width, []).append(score)
    columns = [_length_column(place, width, count, scores) for place, scores in grouped.items()]
    ticks = [
        (100 * ((length - 1) // width + 0.43) / count, f"{length:,}")
        for length in round_lengths(max_length)
    ]
    grouping = f" A column spans {width:,} lengths." if width > 1 else ""
    return (
        "<h3>Accuracy by length <small>in characters</small></h3>"
        f"{_legend(('train', 'accuracy'))}"
        f"{draw_columns('Accuracy by length', columns, ticks, one.accuracy)}"
        "<p class=note>A sequence that was cut counts as it was cut. Below, the rows; the "
        f"dashed line is the accuracy over all.{grouping}</p>"
    )


def _length_column(place: int, width: int, count: int, scores: Sequence[LengthScore]) -> Column:
    rows = sum(score.rows for score in scores)
    accuracy = math.fsum(score.accuracy * score.rows for score in scores) / rows
    first, last = place * width + 1, (place + 1) * width
    span = f"{first:,}" if width == 1 else f"{first:,}–{last:,}"
    title = f"length {span}: {_plural(rows, 'row')}, accuracy {accuracy:.3f}"
    return Column(
        100 * place / count, 100 * (place + 1) / count, rows, accuracy,
        wilson_interval(accuracy, rows), None, title,
    )  # fmt: skip


def _origin(run: Mapping[str, Any]) -> str:
    dataset = {name: value for name, value in run["dataset"].items() if name != "labels"}
    flags = {f"--{name.replace('_', '-')}": value for name, value in run["options"].items()}
    return (
        "<h2>How it was made</h2><p>Dataset of fingerprint "
        f"<code>{escape(dataset.pop('fingerprint'))}</code></p>"
        f"<details open><summary>Options</summary>{_table(flags)}</details>"
        f"<details><summary>Dataset</summary>{_table(dataset)}</details>"
        f"<details><summary>Versions</summary>{_table(run['versions'])}</details>"
    )


def _table(values: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{show_text(_as_text(value), limit=400)}</td></tr>"
        for name, value in values.items()
    )
    return f"<div class=wide><table class=facts>{rows}</table></div>"


def _as_text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _head(names: Iterable[str]) -> str:
    return f"<thead><tr>{''.join(f'<th>{name}</th>' for name in names)}</tr></thead>"


def _legend(*entries: tuple[str, str]) -> str:
    spans = (f'<span><i class="swatch {kind}"></i> {name}</span>' for kind, name in entries)
    return f"<p class=legend>{' '.join(spans)}</p>"


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
