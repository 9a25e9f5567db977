"""python -m trainer.evaluate: how good a trained model is on one split of a dataset."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict

from charseq.cli import exit_status, heavy_imports
from charseq.files import write_json
from trainer.data.files import check_local
from trainer.data.manifest import open_dataset
from trainer.evaluate.evaluation import evaluate, format_evaluation
from trainer.evaluate.report import write_report
from trainer.run_directory import evaluation_file, read_run

SPLITS = ("train", "validation", "test")


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluate as the command line says; return the exit status."""
    return exit_status(lambda: _evaluate(_parser().parse_args(argv)))


def _evaluate(options: argparse.Namespace) -> None:
    check_local("--model", options.model)
    run = read_run(options.model)
    with open_dataset(options.data) as manifest:
        with heavy_imports():
            import tensorflow  # noqa: F401
        evaluation = evaluate(run, manifest, options.split)
    if manifest.fingerprint != run.fingerprint:
        print(f"{options.data} is not the dataset that {options.model} was trained on")
    print(f"{options.model} on {options.split} of {options.data}, {format_evaluation(evaluation)}")
    path = run.path(evaluation_file(options.split))
    write_json(path, asdict(evaluation))
    print(f"written: {path}")
    print(f"report: {write_report(run.directory)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m trainer.evaluate",
        allow_abbrev=False,
        description="Measure a trained model on one split of a dataset; show it in report.html.",
        epilog="Exit status: 0 done, 1 the run or the data cannot be used, 2 the command line is "
        "wrong.",
    )
    parser.add_argument("--model", help="run directory of python -m trainer", required=True,
                        metavar="DIR")  # fmt: skip
    parser.add_argument("--data", help="dataset directory that python -m pipeline wrote, local, "
                        "s3:// or gs://", required=True, metavar="DIR")  # fmt: skip
    parser.add_argument("--split", help="to measure on (default: test)", default="test",
                        choices=SPLITS)  # fmt: skip
    return parser


if __name__ == "__main__":
    sys.exit(main())
