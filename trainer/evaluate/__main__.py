"""python -m trainer.evaluate: how good a trained model is on one split of a dataset."""

from __future__ import annotations

from charseq.process.signals import watch_signals

if __name__ == "__main__":
    watch_signals()  # Before the other imports, which take a moment.

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from charseq.cli import exit_status, heavy_imports
from charseq.files import write_json
from charseq.flags import flag, make_parser, parse, validate
from charseq.manifest import SPLITS
from charseq.models.saved_model import TRUST_MODEL_HELP
from trainer.addresses import check_local
from trainer.config import DATA_HELP
from trainer.data.dataset import CHOSE_EPOCH, open_dataset
from trainer.evaluate.evaluation import evaluate, format_evaluation
from trainer.evaluate.report import write_report
from trainer.run_directory import evaluation_file, read_run


@dataclass(frozen=True)
class EvaluateOptions:
    """The model, and the split of a dataset to evaluate it on.

    Raises:
        UsageError: the split is not one.
    """

    model: str = flag("run directory of python -m trainer", metavar="DIR", is_path=True)
    data: str = flag(DATA_HELP, metavar="DIR", is_path=True)
    split: str | None = flag(
        "split to evaluate on (default: test, or validation if the dataset has no test row)",
        default=None,
        choices=SPLITS,
    )
    trust_model: bool = flag(TRUST_MODEL_HELP, default=False)

    def __post_init__(self) -> None:
        check_local("--model", self.model)
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
        "report.html. The first lines say so if the model is trivial, no better than the shares of "
        "the labels alone, or if it is no better than the n-gram baseline of its run.",
        epilog="Exit status: 0 done, 1 the run or the data cannot be used, 2 the command line is "
        "wrong.",
    )
    return parse(EvaluateOptions, parser, argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluate as the command line says; return the exit status."""
    return exit_status(lambda: _evaluate(parse_command_line(argv)))


def _evaluate(options: EvaluateOptions) -> None:
    run = read_run(options.model)
    with open_dataset(options.data) as dataset:
        with heavy_imports():
            import tensorflow  # noqa: F401
        split = options.split or dataset.manifest.split_to_measure
        evaluation = evaluate(run, dataset, split, options.trust_model)
    if evaluation.trivial:
        print(f"{options.model} is trivial on {split}: {evaluation.trivial}")
    if evaluation.not_better:
        print(
            f"{options.model} is no better than an n-gram baseline on {split}: "
            f"{evaluation.not_better}"
        )
    if dataset.manifest.fingerprint != run.fingerprint:
        print(f"{options.data} is not the dataset that {options.model} was trained on")
    if options.split is None and split == "validation":
        print(f"{options.data} has no test row: measured on validation rows, {CHOSE_EPOCH}")
    print(f"{options.model} on {split} of {options.data}, {format_evaluation(evaluation)}")
    path = run.path(evaluation_file(split))
    write_json(path, asdict(evaluation))
    print(f"written: {path}")
    print(f"report: {write_report(run.directory)}")


if __name__ == "__main__":
    sys.exit(main())
