"""`report.html` of a run: how it learned and how good it is, in a file that loads nothing else."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from charseq.errors import DataError
from charseq.files import damage_as_data_error, read_json_object, write_text
from charseq.html import render
from charseq.html.charts import (
    PERCENT_LEVELS,
    Bar,
    Chart,
    chart_answered,
    chart_epochs,
    round_counts,
)
from charseq.html.formats import format_plural, format_range, is_finite, shorten
from charseq.manifest import SPLITS
from charseq.measures.metrics import (
    Evaluation,
    LabelScore,
    wilson_interval,
    worst_labels,
)
from charseq.measures.reliability import RELIABILITY_BINS
from charseq.measures.set_methods import LAC
from charseq.measures.sureness import SetScore
from charseq.models.runs import evaluation_file
from charseq.models.saved_model import RUN_FILE
from trainer.evaluate.examples import Examples, describe_examples, read_examples
from trainer.evaluate.model_card import write_model_card
from trainer.evaluate.suspicious import SuspiciousRow, read_suspicious
from trainer.run_directory import (
    METRICS_FILE,
    REPORT_FILE,
    SUSPICIOUS_FILE,
    examples_file,
    read_run_json,
)

# Up to here a matrix can be read and a table be looked through; beyond, only extremes are shown.
_FEW_LABELS = 30
_SHOWN_EXTREMES = 20
_LENGTH_COLUMNS = 50
# Of the rows that are answered, in percent.
_SHOWN_SHARES = (100, 95, 90, 80, 50)
# The split that matters most stands first.
_ORDER = ("test", "validation", "train")
_MEASURES = (
    ("loss", "Loss", "nats"),
    ("accuracy", "Accuracy", ""),
    ("sequences_per_second", "Speed", "sequences/s"),
    ("learning_rate", "Learning rate", ""),
)


def write_report(directory: str) -> str:
    """Write the page for a complete run and every `evaluation-*.json` in it; return its address.

    And `MODEL_CARD.md`, of the same evaluations.

    Raises:
        DataError: one of the files is not what it should be.
    """
    run = read_run_json(os.path.join(directory, RUN_FILE))
    paths = (os.path.join(directory, evaluation_file(split)) for split in sorted(SPLITS))
    evaluations = [_read_evaluation(path) for path in paths if os.path.exists(path)]
    examples = [
        read_examples(os.path.join(directory, examples_file(one.split))) for one in evaluations
    ]
    suspicious = read_suspicious(os.path.join(directory, SUSPICIOUS_FILE))
    metrics = os.path.join(directory, METRICS_FILE)
    content = read_json_object(metrics)
    with damage_as_data_error(metrics, f"the {METRICS_FILE} of a training"):
        epochs = list(content["epochs"])
    files = f"a run whose {METRICS_FILE} and evaluation-*.json are as they were written"
    with damage_as_data_error(directory, files):
        page = render_report(run, epochs, evaluations, filter(None, examples), suspicious)
    write_model_card(directory, run, sort_by_split(evaluations))
    path = os.path.join(directory, REPORT_FILE)
    write_text(path, page)
    return Path(path).absolute().as_uri()


def _read_evaluation(path: str) -> Evaluation:
    try:
        content = read_json_object(path)
        with damage_as_data_error(path, "an evaluation of this version"):
            return Evaluation.from_json(content)
    except DataError as error:
        raise DataError(f"{error}; evaluate that split again, or remove the file") from error


def render_report(
    run: Mapping[str, Any],
    epochs: Sequence[Mapping[str, Any]],
    evaluations: Iterable[Evaluation],
    examples: Iterable[Examples] = (),
    suspicious: tuple[int, Sequence[SuspiciousRow]] | None = None,
) -> str:
    """Return the page of a run.

    Args:
        run: `run.json`.
        epochs: of `metrics.json`, one or more; further keys of theirs are ignored.
        evaluations: of several splits, in any order.
        examples: of these evaluations; those of other rows are left out.
        suspicious: how many validation rows look mislabelled, and the first of them.
    """
    ordered = sort_by_split(evaluations)
    best = _best_epoch(epochs)
    by_rows = {(each.split, each.fingerprint): describe_examples(each) for each in examples}
    return render(
        "run.html",
        run=run,
        num_epochs=len(epochs),
        seconds=round(sum(epoch["seconds"] for epoch in epochs)),
        headline=describe_headline(ordered[0]) if ordered else None,
        training=_training_charts(epochs, best),
        best_epoch=best,
        num_reliability_bins=RELIABILITY_BINS,
        suspicious=suspicious,
        splits=[
            {
                **describe_split(evaluation, run["dataset"]["max_length"]),
                "examples": by_rows.get((evaluation.split, evaluation.fingerprint)),
            }
            for evaluation in ordered
        ],
    )


def sort_by_split(evaluations: Iterable[Evaluation]) -> list[Evaluation]:
    """Return evaluations of several splits, the one that matters most first."""
    return sorted(evaluations, key=lambda evaluation: _ORDER.index(evaluation.split))


def describe_headline(evaluation: Evaluation) -> dict[str, float]:
    """Return the numbers that stand beside the measures of a split, to compare them with."""
    rows, bins = evaluation.rows, evaluation.reliability
    low, high = wilson_interval(evaluation.accuracy, rows)
    shares = [label.support / rows for label in evaluation.labels if label.support]
    entropy = -math.fsum(share * math.log(share) for share in shares)
    baseline = evaluation.baseline
    return {
        "low": low,
        "high": high,
        "most_frequent": baseline.accuracy if baseline else max(shares),
        "shares_loss": baseline.loss if baseline else entropy,
        "confidence": math.fsum(bin.rows * bin.confidence for bin in bins) / rows,
    }


def _curves(epochs: Sequence[Mapping[str, Any]], name: str) -> dict[str, list[float | None]]:
    """Return a measure by epoch on each split that has it; speed and the like count as train."""
    curves = {
        "train": [epoch["train"].get(name, epoch.get(name)) for epoch in epochs],
        "validation": [(epoch["validation"] or {}).get(name) for epoch in epochs],
    }
    return {split: values for split, values in curves.items() if set(values) != {None}}


def _best_epoch(epochs: Sequence[Mapping[str, Any]]) -> int | None:
    """Return the epoch, from 1, with the least validation loss."""
    losses = enumerate(_curves(epochs, "loss").get("validation", ()), start=1)
    return min(((loss, epoch) for epoch, loss in losses if is_finite(loss)), default=(0, None))[1]


def _training_charts(
    epochs: Sequence[Mapping[str, Any]], best: int | None
) -> list[tuple[str, str, Chart]]:
    """Return title, unit and chart of each measure that the epochs have."""
    charts = []
    for name, title, unit in _MEASURES:
        if curves := _curves(epochs, name):
            mark = best if "validation" in curves else None
            charts.append((title, unit, chart_epochs(title, curves, name != "accuracy", mark)))
    return charts


class _Cell(NamedTuple):
    """Rows of a label that were predicted to have one; share: of the label's rows."""

    label: LabelScore
    predicted: LabelScore
    rows: int
    share: float


def describe_split(evaluation: Evaluation, max_length: int) -> dict[str, Any]:
    """Return the labels, confusions and charts of a split for the template."""
    labels, confusion = evaluation.labels, evaluation.confusion
    triples = zip(confusion.label, confusion.predicted, confusion.rows, strict=True)
    cells = [
        _Cell(labels[label], labels[predicted], rows, rows / labels[label].support)
        for label, predicted, rows in triples
    ]
    wrong = [cell for cell in cells if cell.label != cell.predicted]
    few_labels = len(labels) <= _FEW_LABELS
    length_width = math.ceil(max_length / _LENGTH_COLUMNS)
    return {
        "evaluation": evaluation,
        "few_labels": few_labels,
        "worst": worst_labels(labels, _SHOWN_EXTREMES)[0],
        "frequent": sorted(labels, key=lambda label: -label.support)[
            : _FEW_LABELS if few_labels else _SHOWN_EXTREMES
        ],
        "f1_counts": _count_by_tenth(label.f1 for label in labels if label.support),
        "cells": {(cell.label.label, cell.predicted.label): cell for cell in cells},
        "most_wrong": max((cell.share for cell in wrong), default=0),
        "wrong": sorted(wrong, key=lambda cell: -cell.rows),
        "reliability": _reliability(evaluation),
        "length_width": length_width,
        "lengths": _lengths(evaluation, max_length, length_width),
        **_describe_sureness(evaluation, few_labels),
    }


class _ShownSet(NamedTuple):
    """Sets of one method and target. low, high: the 95 % confidence interval of the coverage."""

    score: SetScore
    low: float
    high: float


class _Covered(NamedTuple):
    """How often the sets of each target hold a label, on the rows that have it."""

    label: LabelScore
    coverage: tuple[float, ...]


def _describe_sureness(evaluation: Evaluation, few_labels: bool) -> dict[str, Any]:
    answered, rows = evaluation.answered, evaluation.rows
    points = [(point.share, point.accuracy, point.min_probability) for point in answered]
    by_share = {round(100 * point.share): point for point in answered}
    return {
        "answered_chart": chart_answered(points) if points else None,
        "answered": [by_share[share] for share in _SHOWN_SHARES if share in by_share],
        "sets": [
            _ShownSet(score, *wilson_interval(score.coverage, rows)) for score in evaluation.sets
        ],
        "targets": [score.target for score in evaluation.sets if score.method == LAC],
        "covered": _cover_labels(evaluation, _FEW_LABELS if few_labels else _SHOWN_EXTREMES),
    }


def _cover_labels(evaluation: Evaluation, most: int) -> list[_Covered]:
    """Return the coverage of labels with rows by the sets of the default method.

    If there are more than `most`, those of the lowest coverage beyond chance at the last target.
    """
    by_target = [score.covered for score in evaluation.sets if score.method == LAC]
    covered = [
        _Covered(label, tuple(rows / label.support for rows in counts))
        for label, *counts in zip(evaluation.labels, *by_target, strict=True)
        if by_target and label.support
    ]
    if len(evaluation.labels) <= most:
        return sorted(covered, key=lambda one: -one.label.support)
    return sorted(covered, key=lambda one: wilson_interval(one.coverage[-1], one.label.support)[1])[
        :most
    ]


def _count_by_tenth(scores: Iterable[float]) -> list[int]:
    """Return how many scores from 0 to 1 are in each tenth."""
    counts = Counter(min(int(10 * score), 9) for score in scores)
    return [counts[tenth] for tenth in range(10)]


def _accuracy_charts(
    label: str,
    bars: Sequence[Bar],
    rows: Sequence[int],
    ticks: Sequence[tuple[float, str]],
    guide: tuple[float, float],
) -> list[Chart]:
    """Return the chart of accuracies by bin, and below it one of the rows in each bin."""
    most = max(rows)
    levels = [(0, "0"), (most, shorten(most))]
    counts = [
        Bar(bar.left, bar.right, count, "rows", bar.title)
        for bar, count in zip(bars, rows, strict=True)
    ]
    return [
        Chart(label, 0, 1, PERCENT_LEVELS, bars=bars, guide=guide),
        Chart("Rows", 0, most, levels, ticks, counts, top=0, height=44),
    ]


def _reliability(evaluation: Evaluation) -> list[Chart]:
    bars = []
    for bin in evaluation.reliability:
        count = format_plural(bin.rows, "row")
        title = f"{count}: mean probability {bin.confidence:.3f}, accuracy {bin.accuracy:.3f}"
        interval = wilson_interval(bin.accuracy, bin.rows)
        edges = (100 * bin.lower, 100 * bin.upper)
        bars.append(Bar(*edges, bin.accuracy, "train", title, interval, bin.confidence))
    rows = [bin.rows for bin in evaluation.reliability]
    ticks = [(100 * level, text) for level, text in PERCENT_LEVELS]
    return _accuracy_charts("Accuracy by probability", bars, rows, ticks, guide=(0, 1))


def _lengths(evaluation: Evaluation, max_length: int, width: int) -> list[Chart]:
    """Return the charts of bins of `width` lengths each."""
    rows, right = Counter[int](), Counter[int]()
    for score in evaluation.lengths:
        rows[(score.length - 1) // width] += score.rows
        right[(score.length - 1) // width] += round(score.rows * score.accuracy)
    percent = 100 / math.ceil(max_length / width)
    bars = []
    for place, count in rows.items():
        accuracy = right[place] / count
        span = format_range(place * width + 1, (place + 1) * width)
        title = f"length {span}: {format_plural(count, 'row')}, accuracy {accuracy:.3f}"
        edges = (percent * place, percent * (place + 1))
        bars.append(Bar(*edges, accuracy, "train", title, wilson_interval(accuracy, count)))
    ticks = [
        (percent * ((length - 1) // width + 0.5), f"{length:,}")
        for length in round_counts(max_length, 8)
    ]
    guide = (evaluation.accuracy, evaluation.accuracy)
    return _accuracy_charts("Accuracy by length", bars, list(rows.values()), ticks, guide)
