"""python -m trainer.evaluate: how good a trained model is on one split of a dataset."""

from __future__ import annotations

from charseq.process.signals import watch_signals

if __name__ == "__main__":
    watch_signals()  # Before the other imports, which take a moment.

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from charseq.chain import alone_note
from charseq.cli import exit_status, heavy_imports
from charseq.console.messages import print_error
from charseq.errors import UsageError
from charseq.flags import flag, make_parser, parse, validate
from charseq.folds import count_folds
from charseq.manifest import SPLITS
from charseq.models.runs import evaluation_file
from charseq.models.saved_model import TRUST_MODEL_HELP
from trainer.addresses import check_data, check_local
from trainer.config import DATA_HELP, EXCLUDE_HELP
from trainer.data.dataset import CHOSE_EPOCH, Dataset, open_datasets
from trainer.evaluate.evaluation import format_evaluation
from trainer.evaluate.files import describe_suspicious, evaluate_and_write
from trainer.evaluate.predictions import write_predictions_report
from trainer.evaluate.report import write_report
from trainer.run_directory import SUSPICIOUS_FILE, read_run


@dataclass(frozen=True)
class EvaluateOptions:
    """The model, and the split of a dataset to evaluate it on.

    Raises:
        UsageError: the split is not one.
    """

    model: str | None = flag(
        "run directory of python -m trainer",
        default=None,
        metavar="DIR",
        is_path=True,
        exclusive=True,
    )
    folds: tuple[str, ...] = flag(
        "run directories of different folds of the dataset, each of which is measured on its test "
        "fold; with --output",
        default=(),
        metavar="DIR",
        is_path=True,
        exclusive=True,
    )
    predictions: str | None = flag(
        "directory of python -m pipeline.predict --label-column: draw the report of its evaluation",
        default=None,
        metavar="DIR",
        is_path=True,
        exclusive=True,
    )
    data: tuple[str, ...] = flag(
        DATA_HELP,
        default=(),
        metavar="DIR",
        is_path=True,
        not_with=("predictions", "the evaluation is in that directory"),
    )
    split: str | None = flag(
        "split to evaluate on (default: test, or validation if the dataset has no test row)",
        default=None,
        choices=SPLITS,
        not_with=("folds", "each run is measured on its test fold"),
    )
    output: str | None = flag(
        "directory to write: report.html, folds.json, predictions.jsonl of all folds, and "
        "suspicious.jsonl, the rows that look mislabelled",
        default=None,
        metavar="DIR",
        is_path=True,
        only_with="folds",
    )
    exclude: str | None = flag(
        EXCLUDE_HELP,
        default=None,
        metavar="FILE",
        is_path=True,
        not_with=("predictions", "the evaluation is in that directory"),
    )
    trust_model: bool = flag(TRUST_MODEL_HELP, default=False)

    def __post_init__(self) -> None:
        check_data(self.data)
        check_local("--model", self.model or "")
        check_local("--output", self.output or "")
        check_local("--predictions", self.predictions or "")
        check_local("--exclude", self.exclude or "")
        if not self.data and self.predictions is None:
            raise UsageError("--data: is missing: the dataset to evaluate on")
        for run in self.folds:
            check_local("--folds", run)
        if self.folds and self.output is None:
            raise UsageError("--folds: only with --output, the directory to write")
        validate(self)


def parse_command_line(argv: Sequence[str] | None) -> EvaluateOptions:
    """Return the options of `python -m trainer.evaluate`.

    Raises:
        UsageError, SystemExit: as `charseq.flags.parse`.
    """
    parser = make_parser(
        EvaluateOptions,
        prog="python -m trainer.evaluate",
        description="Evaluate a trained model on one split of a dataset and add the result to its "
        "report.html and MODEL_CARD.md. The first lines say so if the model is trivial, no better "
        "than the shares of the labels alone, or if it is no better than the n-gram baseline of "
        "its run.",
        epilog="Exit status: 0 done, 1 the run or the data cannot be used, 2 the command line is "
        "wrong.",
    )
    return parse(EvaluateOptions, parser, argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluate as the command line says; return the exit status."""
    return exit_status(lambda: _run(parse_command_line(argv)))


def _run(options: EvaluateOptions) -> None:
    if options.predictions is not None:
        print(f"report: {write_predictions_report(options.predictions)}")
    elif options.model is None:
        _evaluate_folds(options)
    else:
        _evaluate(options, options.model)


@contextmanager
def _open(options: EvaluateOptions) -> Iterator[Dataset]:
    """Open the dataset, or the chain, without the rows to exclude, and say how many these are."""
    with open_datasets(options.data) as dataset:
        if options.exclude:
            from trainer.data.exclusion import exclude_rows  # Late, as it imports numpy.

            dataset = exclude_rows(dataset, options.exclude)
        if dataset.excluded:
            print_error(dataset.excluded.describe())
        yield dataset


def _evaluate_folds(options: EvaluateOptions) -> None:
    from trainer.evaluate.folds import (
        evaluate_folds,
        format_folds,
        open_folds_output,
        order_by_fold,
        write_folds_report,
    )

    runs = [read_run(directory) for directory in options.folds]
    with _open(options) as dataset:
        by_fold = order_by_fold(runs, dataset)
        directory = open_folds_output(options.output or "")
        with heavy_imports():
            import tensorflow  # noqa: F401
        result = evaluate_folds(by_fold, dataset, directory, options.trust_model)
    report = write_folds_report(result, directory)
    missing = sorted(set(range(result.num_folds)) - set(by_fold))
    if missing:
        print(f"no run is given of the folds {', '.join(map(str, missing))}")
    print(format_folds(result))
    path = os.path.join(directory, SUSPICIOUS_FILE)
    print(describe_suspicious(result.num_suspicious, result.pooled.rows, path))
    print(f"report: {report}")


def _evaluate(options: EvaluateOptions, model: str) -> None:
    run = read_run(model)
    data = ", ".join(options.data)
    with _open(options) as whole:
        if note := alone_note(data, whole.manifest):
            print_error(f"note: {note}")
        dataset = whole.of_fold(run.fold) if count_folds(whole.manifest) else whole
        with heavy_imports():
            import tensorflow  # noqa: F401
        split = options.split or dataset.manifest.split_to_measure
        evaluation, num_suspicious = evaluate_and_write(run, dataset, split, options.trust_model)
    if evaluation.trivial:
        print(f"{model} is trivial on {split}: {evaluation.trivial}")
    if evaluation.not_better:
        print(f"{model} is no better than an n-gram baseline on {split}: {evaluation.not_better}")
    if dataset.manifest.fingerprint != run.fingerprint:
        print(f"{data} is not the dataset that {model} was trained on")
    if options.split is None and split == "validation":
        print(f"{data} has no test row: measured on validation rows, {CHOSE_EPOCH}")
    print(f"{model} on {split} of {data}, {format_evaluation(evaluation)}")
    if num_suspicious is not None:
        print(describe_suspicious(num_suspicious, evaluation.rows, run.path(SUSPICIOUS_FILE)))
    print(f"written: {run.path(evaluation_file(split))}")
    print(f"report: {write_report(run.directory)}")


if __name__ == "__main__":
    sys.exit(main())
