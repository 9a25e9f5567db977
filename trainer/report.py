"""`report.html` of a run: how it learned and how good it is, in a file that loads nothing else."""

from __future__ import annotations

import glob
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from charseq.html import render
from charseq.html.charts import PERCENT_LEVELS, Bar, Chart, chart_epochs, round_counts
from charseq.html.formats import format_plural, format_range, is_finite, shorten
from trainer.errors import DataError
from trainer.metrics import (
    Evaluation,
    LabelScore,
    LengthScore,
    likely_range,
    worst_labels,
)
from trainer.run_directory import METRICS_FILE, REPORT_FILE, RUN_FILE, write_text

# Up to here a matrix can be read and a table be looked through; beyond, only extremes are shown.
_FEW_LABELS = 30
_SHOWN_EXTREMES = 20
_LENGTH_COLUMNS = 50
_F1_BINS = 10
# The split that matters most stands first.
_ORDER = ("test", "validation", "train")


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
    """Return the page of a run.

    Args:
        run: `run.json`.
        epochs: of `metrics.json`, one or more; further keys of theirs are ignored.
        evaluations: of several splits, in any order.
    """
    ordered = sorted(evaluations, key=lambda one: _ORDER.index(one.split))
    max_length = run["dataset"]["max_length"]
    best = _best_epoch(epochs)
    return render(
        "run.html",
        run=run,
        dataset={
            name: value
            for name, value in run["dataset"].items()
            if name not in ("labels", "fingerprint")
        },
        num_epochs=len(epochs),
        seconds=round(sum(epoch["seconds"] for epoch in epochs)),
        headline=_headline(ordered[0]) if ordered else None,
        training=_training_charts(epochs, best),
        best_epoch=best,
        length_width=_length_width(max_length),
        splits=[_split(evaluation, max_length) for evaluation in ordered],
    )


def _headline(evaluation: Evaluation) -> dict[str, Any]:
    """Return what the measures are compared with."""
    rows = evaluation.rows
    low, high = likely_range(evaluation.accuracy, rows)
    shares = [label.support / rows for label in evaluation.labels if label.support]
    return {
        "low": low,
        "high": high,
        "most_frequent": max(shares),
        "entropy": -math.fsum(share * math.log(share) for share in shares),
        "confidence": math.fsum(bin.rows * bin.confidence for bin in evaluation.reliability) / rows,
    }


def _best_epoch(epochs: Sequence[Mapping[str, Any]]) -> int | None:
    """Return the epoch, from 1, with the least validation loss."""
    losses = [
        (epoch["validation"]["loss"], number)
        for number, epoch in enumerate(epochs, start=1)
        if epoch["validation"] and is_finite(epoch["validation"]["loss"])
    ]
    return min(losses)[1] if losses else None


def _training_charts(
    epochs: Sequence[Mapping[str, Any]], best: int | None
) -> list[tuple[str, str, Chart]]:
    """Return title, unit and chart of whatever was measured by epoch."""
    charts = [
        ("Loss", "nats", chart_epochs("Loss", _by_split(epochs, "loss"), True, best)),
        ("Accuracy", "", chart_epochs("Accuracy", _by_split(epochs, "accuracy"), False, best)),
    ]
    for name, title, unit in (
        ("sequences_per_second", "Speed", "sequences/s"),
        ("learning_rate", "Learning rate", ""),
    ):
        values = [epoch.get(name) for epoch in epochs]
        if any(value is not None for value in values):
            charts.append((title, unit, chart_epochs(title, {"train": values}, True)))
    return charts


def _by_split(epochs: Sequence[Mapping[str, Any]], name: str) -> dict[str, list[float | None]]:
    values = {
        split: [epoch[split][name] if epoch[split] else None for epoch in epochs]
        for split in ("train", "validation")
    }
    return {split: column for split, column in values.items() if set(column) != {None}}


class _Cell(NamedTuple):
    """Rows of a label that were predicted to have one; share: of the label's rows."""

    label: LabelScore
    predicted: LabelScore
    rows: int
    share: float

    @property
    def is_wrong(self) -> bool:
        return self.label != self.predicted


def _split(evaluation: Evaluation, max_length: int) -> dict[str, Any]:
    """Return what the page shows of one split."""
    labels, confusion = evaluation.labels, evaluation.confusion
    cells = [
        _Cell(labels[label], labels[predicted], rows, rows / labels[label].support)
        for label, predicted, rows in zip(
            confusion.label, confusion.given, confusion.rows, strict=True
        )
    ]
    wrong = sorted((cell for cell in cells if cell.is_wrong), key=lambda cell: -cell.rows)
    few = len(labels) <= _FEW_LABELS
    frequent = sorted(labels, key=lambda label: -label.support)
    frequent = frequent if few else frequent[:_SHOWN_EXTREMES]
    return {
        "evaluation": evaluation,
        "frequent": frequent,
        "worst": worst_labels(labels, _SHOWN_EXTREMES)[0],
        "f1_counts": _count_by_f1(labels),
        "matrix": _matrix(cells, frequent) if few else None,
        "most_wrong": max((cell.share for cell in wrong), default=0),
        "wrong": wrong,
        "reliability": _reliability(evaluation),
        "lengths": _lengths(evaluation, max_length),
    }


def _count_by_f1(labels: Iterable[LabelScore]) -> list[int]:
    """Return how many labels that have rows are in each of ten bins of F1."""
    counts = [0] * _F1_BINS
    for label in labels:
        if label.support:
            counts[min(int(label.f1 * _F1_BINS), _F1_BINS - 1)] += 1
    return counts


def _matrix(cells: Iterable[_Cell], labels: Sequence[LabelScore]) -> list[list[_Cell | None]]:
    """Return a line for each label with a cell for each predicted one, None where no rows are."""
    by_labels = {(cell.label.label, cell.predicted.label): cell for cell in cells}
    return [[by_labels.get((line.label, column.label)) for column in labels] for line in labels]


class _Column(NamedTuple):
    """The rows of a bin between two edges in percent; expected: the accuracy they should have."""

    left: float
    right: float
    rows: int
    accuracy: float
    title: str
    expected: float | None = None


def _accuracy_charts(
    label: str,
    columns: Sequence[_Column],
    ticks: Sequence[tuple[float, str]],
    guide: tuple[float, float],
) -> list[Chart]:
    """Return the accuracy by bin with its 95 % interval, and the histogram of rows below it."""
    most = max(column.rows for column in columns)
    hovers = [(column.left, column.right, column.title) for column in columns]
    bars = [
        Bar(left, right, accuracy, "train", likely_range(accuracy, rows), expected)
        for left, right, rows, accuracy, _, expected in columns
    ]
    histogram = [Bar(column.left, column.right, column.rows, "rows") for column in columns]
    levels = [(0, "0"), (most, shorten(most))]
    return [
        Chart(label, 0, 1, PERCENT_LEVELS, bars=bars, hovers=hovers, guide=guide),
        Chart("Rows", 0, most, levels, ticks, histogram, hovers=hovers, top=0, height=44),
    ]


def _reliability(evaluation: Evaluation) -> list[Chart]:
    columns = [
        _Column(
            left=100 * bin.lower,
            right=100 * bin.upper,
            rows=bin.rows,
            accuracy=bin.accuracy,
            title=f"{format_plural(bin.rows, 'row')}: {bin.confidence:.3f} sure, "
            f"{bin.accuracy:.3f} right",
            expected=bin.confidence,
        )
        for bin in evaluation.reliability
    ]
    ticks = [(100 * level, text) for level, text in PERCENT_LEVELS]
    return _accuracy_charts("Accuracy by probability", columns, ticks, guide=(0, 1))


def _length_width(max_length: int) -> int:
    """Return how many lengths share a column."""
    return math.ceil(max_length / _LENGTH_COLUMNS)


def _lengths(evaluation: Evaluation, max_length: int) -> list[Chart]:
    width = _length_width(max_length)
    percent = 100 / math.ceil(max_length / width)
    grouped: dict[int, list[LengthScore]] = {}
    for score in evaluation.lengths:
        grouped.setdefault((score.length - 1) // width, []).append(score)
    columns = []
    for place, scores in grouped.items():
        rows = sum(score.rows for score in scores)
        accuracy = math.fsum(score.accuracy * score.rows for score in scores) / rows
        span = format_range(place * width + 1, (place + 1) * width)
        title = f"length {span}: {format_plural(rows, 'row')}, accuracy {accuracy:.3f}"
        columns.append(_Column(percent * place, percent * (place + 1), rows, accuracy, title))
    ticks = [
        (Bar(percent * place, percent * (place + 1), 0).middle, f"{length:,}")
        for length in round_counts(max_length, 8)
        for place in [(length - 1) // width]
    ]
    guide = (evaluation.accuracy, evaluation.accuracy)
    return _accuracy_charts("Accuracy by length", columns, ticks, guide)
