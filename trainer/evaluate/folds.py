"""The runs of several folds of a dataset: each on its test fold, and all rows together."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TextIO

from charseq.errors import DataError, UsageError
from charseq.examples import ids_to_text
from charseq.files import write_json, write_text
from charseq.folds import count_folds
from charseq.html import render
from charseq.measures.gains import Ints
from charseq.measures.intervals import Summary, summarize_folds
from charseq.measures.metrics import Evaluation, MetricsAccumulator
from charseq.measures.reliability import RELIABILITY_BINS
from charseq.measures.sureness import pool_sets
from trainer.batch_predictions import Predictions
from trainer.data.dataset import Dataset
from trainer.evaluate.evaluation import evaluate
from trainer.evaluate.report import describe_split
from trainer.evaluate.suspicious import collect_suspicious, read_suspicious, write_suspicious
from trainer.run_directory import REPORT_FILE, SUSPICIOUS_FILE, Run

FOLDS_FILE = "folds.json"
PREDICTIONS_FILE = "predictions.jsonl"
_UNFINISHED = f"{PREDICTIONS_FILE}.tmp"
_TITLES = {
    "accuracy": "accuracy",
    "top3_accuracy": "top-3 accuracy",
    "macro_f1": "macro F1",
    "loss": "log loss",
    "calibration_error": "calibration error",
}


@dataclass(frozen=True)
class FoldsEvaluation:
    """The evaluations of runs, by fold; pooled: of all their rows together.

    num_suspicious: how many of all rows look mislabelled.
    """

    runs: Mapping[int, Run]
    evaluations: Mapping[int, Evaluation]
    pooled: Evaluation
    num_folds: int
    num_suspicious: int

    def summaries(self) -> dict[str, Summary]:
        """Return mean, deviation and interval of each score over the folds."""
        test_to_train = 1 / (self.num_folds - 2)  # one fold of all but test and validation
        return {
            name: summarize_folds(
                [getattr(evaluation, name) for evaluation in self.evaluations.values()],
                test_to_train,
            )
            for name in _TITLES
        }

    def to_json(self) -> dict[str, Any]:
        """Return the content of `folds.json`."""
        return {
            "folds": [
                {"fold": fold, "run": self.runs[fold].directory, **asdict(evaluation)}
                for fold, evaluation in self.evaluations.items()
            ],
            "summaries": {name: each._asdict() for name, each in self.summaries().items()},
            "pooled": asdict(self.pooled),
        }


def order_by_fold(runs: Sequence[Run], dataset: Dataset) -> dict[int, Run]:
    """Return runs by their fold, in order.

    Raises:
        UsageError: fewer than two runs.
        DataError: the dataset has no folds, or a run is not of a fold of it, or of that of another.
    """
    if not count_folds(dataset.manifest):
        raise DataError(f"{dataset.directory} has no folds: it was prepared without --folds")
    if len(runs) < 2:
        raise UsageError("--folds: got one run, expected two or more, of different folds")
    by_fold: dict[int, Run] = {}
    for run in runs:
        if run.fold is None or run.fingerprint != dataset.manifest.fingerprint:
            raise DataError(
                f"{run.directory} is no run of a fold of {dataset.directory}: its dataset has the "
                f"fingerprint {run.fingerprint[:16]}"
            )
        other = by_fold.setdefault(run.fold, run)
        if other is not run:
            raise DataError(f"{run.directory} and {other.directory} are both of fold {run.fold}")
    return dict(sorted(by_fold.items()))


def open_folds_output(directory: str) -> str:
    """Make the directory to write to, and return it; an earlier evaluation there is replaced.

    Raises:
        DataError: other files are in it.
    """
    os.makedirs(directory, exist_ok=True)
    ours = {FOLDS_FILE, PREDICTIONS_FILE, REPORT_FILE, SUSPICIOUS_FILE, _UNFINISHED}
    others = sorted(set(os.listdir(directory)) - ours)
    if others:
        raise DataError(
            f"{directory} holds other files, such as {others[0]}: choose another --output"
        )
    return directory


def evaluate_folds(
    runs: Mapping[int, Run], dataset: Dataset, directory: str, trust_model: bool = False
) -> FoldsEvaluation:
    """Evaluate each run on its test fold, and write all predictions to `directory`.

    And `suspicious.jsonl`: no run has learned from the rows of its test fold.

    Raises:
        DataError: as `evaluate`.
    """
    from trainer.data.representation import restore_ids

    first = next(iter(runs.values()))
    totals = [
        sum(of_fold.get(label, 0) for of_fold in dataset.manifest.label_counts.values())
        for label in first.labels
    ]
    pooled = MetricsAccumulator(len(first.labels), first.max_length, totals)
    evaluations = {}
    unfinished = os.path.join(directory, _UNFINISHED)
    with (
        open(unfinished, "w", encoding="utf-8") as file,
        collect_suspicious(len(first.labels)) as suspicious,
    ):
        for fold, run in runs.items():
            of_fold = dataset.of_fold(fold)

            def observe(batch: Predictions, run: Run = run, of_fold: Dataset = of_fold) -> None:
                pooled.add(batch.labels, batch.probabilities, batch.lengths, batch.weights)
                ids = restore_ids(batch.inputs, batch.lengths, run.representation, of_fold.manifest)
                _write_predictions(file, batch, ids, run)
                suspicious.add(batch.labels, batch.probabilities, ids, batch.lengths, run.fold)

            evaluations[fold] = evaluate(run, of_fold, "test", trust_model, observe)
        num_suspicious = write_suspicious(
            os.path.join(directory, SUSPICIOUS_FILE), suspicious.rank(first.labels, first.alphabet)
        )
    os.replace(unfinished, os.path.join(directory, PREDICTIONS_FILE))
    together = pooled.evaluation("test", dataset.manifest.fingerprint, first.labels)
    sets = pool_sets([(one.rows, one.sets) for one in evaluations.values()])
    return FoldsEvaluation(
        runs,
        evaluations,
        replace(together, sets=sets),
        count_folds(dataset.manifest),
        num_suspicious,
    )


def _write_predictions(file: TextIO, batch: Predictions, ids: Ints, run: Run) -> None:
    """Write a line for each row of a batch; an unknown character is U+FFFD."""
    predicted = batch.probabilities.argmax(axis=1)
    for row, length in enumerate(batch.lengths.tolist()):
        probability = float(batch.probabilities[row, predicted[row]])
        line = {
            "fold": run.fold,
            "sequence": ids_to_text(ids[row, :length].tolist(), run.alphabet),
            "label": run.labels[int(batch.labels[row])],
            "predicted": run.labels[int(predicted[row])],
            "probability": round(probability, 6),
        }
        file.write(json.dumps(line, ensure_ascii=False) + "\n")


def write_folds_report(result: FoldsEvaluation, directory: str) -> str:
    """Write `report.html` and `folds.json`; return the address of the page."""
    summaries = [
        {"title": _TITLES[name], **each._asdict()} for name, each in result.summaries().items()
    ]
    max_length = next(iter(result.runs.values())).max_length
    page = render(
        "folds.html",
        folds=[
            (fold, result.runs[fold].directory, evaluation)
            for fold, evaluation in result.evaluations.items()
        ],
        num_folds=result.num_folds,
        summaries=summaries,
        pooled=result.pooled,
        split=describe_split(result.pooled, max_length),
        num_reliability_bins=RELIABILITY_BINS,
        suspicious=read_suspicious(os.path.join(directory, SUSPICIOUS_FILE)),
    )
    path = os.path.join(directory, REPORT_FILE)
    write_text(path, page)
    write_json(os.path.join(directory, FOLDS_FILE), result.to_json())
    return Path(path).absolute().as_uri()


def format_folds(result: FoldsEvaluation) -> str:
    """Return the scores of the folds as a table."""
    lines = [f"{'fold':<8}{'rows':>9}  accuracy  macro F1    loss  n-gram baseline"]
    for fold, one in result.evaluations.items():
        baseline = f"{one.ngram_baseline.accuracy:.4f}" if one.ngram_baseline else "–"
        lines.append(
            f"{fold:<8}{one.rows:>9,}  {one.accuracy:>8.4f}  {one.macro_f1:>8.4f}  "
            f"{one.loss:>6.4f}  {baseline:>15}"
        )
    one = result.pooled
    lines.append(
        f"{'all rows':<8}{one.rows:>9,}  {one.accuracy:>8.4f}  {one.macro_f1:>8.4f}  "
        f"{one.loss:>6.4f}"
    )
    for name, each in result.summaries().items():
        lines.append(
            f"{_TITLES[name]}: {each.mean:.4f} ± {each.deviation:.4f}, 95 % interval of the mean "
            f"{each.low:.4f} to {each.high:.4f}"
        )
    return "\n".join(lines)
