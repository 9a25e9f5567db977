"""Measure the seconds of training until a validation accuracy is reached.

Compares this trainer with several batch sizes and the original program of this project, on the same
rows. Prints Markdown; `--chart` also draws an SVG file. Usage: `python -m benchmarks.accuracy`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.chart import draw_accuracy
from benchmarks.figures import describe_machine, show_command, table
from benchmarks.samples import make_sample
from benchmarks.training import (
    PACKAGES,
    Contestant,
    charseq,
    keras_in_memory,
    prepare_data,
    run_training,
    warm_file_cache,
)
from charseq.cli import exit_status
from charseq.errors import UsageError
from trainer.settings import Settings

Course = Sequence[tuple[float, float]]

_MIN_ROWS = 1_000
_LEVELS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.92, 0.94)
_EXPONENTS = {"linear": 1.0, "sqrt": 0.5}


def scale_rate(batch_size: int, rule: str) -> float:
    """The default learning rate for another batch size.

    It grows with the batch size (linear; Goyal et al. 2017, https://arxiv.org/abs/1706.02677) or
    its square root (sqrt; Krizhevsky 2014, https://arxiv.org/abs/1404.5997).
    """
    rate: float = Settings.learning_rate * (batch_size / Settings.batch_size) ** _EXPONENTS[rule]
    return rate


def _scaled(batch_size: int, rule: str) -> Contestant:
    rate = f"--learning-rate={scale_rate(batch_size, rule):g}"
    return charseq(f"{batch_size}_{rule}", "embedding", f"--batch-size={batch_size}", rate)


CONTESTANTS = (
    charseq(str(Settings.batch_size)),
    _scaled(64, "linear"),
    _scaled(64, "sqrt"),
    _scaled(2048, "linear"),
    _scaled(2048, "sqrt"),
    keras_in_memory("64", 64),
)


def seconds_to(course: Course, accuracy: float) -> float | None:
    """Seconds to the end of the first epoch that is so accurate; None where there is none."""
    return next((seconds for seconds, found in course if found >= accuracy), None)


def levels_table(courses: Mapping[str, Course]) -> str:
    """A line for each contestant: its seconds to each accuracy that anybody reached."""
    best = max(accuracy for course in courses.values() for _, accuracy in course)
    levels = [level for level in _LEVELS if level <= best]
    lines = [
        [name, *(_format_seconds(seconds_to(course, level)) for level in levels)]
        for name, course in courses.items()
    ]
    return table(["seconds to an accuracy of", *(f"{level:.2f}" for level in levels)], lines)


def _format_seconds(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds:,.1f}"


def courses_table(courses: Mapping[str, Course]) -> str:
    """A line for each epoch: seconds and accuracy of each contestant at its end."""
    lines = [
        [str(epoch), *(f"{seconds:,.1f} s: {accuracy:.4f}" for seconds, accuracy in points)]
        for epoch, points in enumerate(zip(*courses.values(), strict=True), start=1)
    ]
    return table(["after epoch", *courses], lines)


def measure(contestants: Sequence[Contestant], rows: int, epochs: int) -> dict[str, Course]:
    """Train each contestant once, one after the other."""
    courses: dict[str, Course] = {}
    with tempfile.TemporaryDirectory(prefix="charseq-benchmark-") as name:
        directory = Path(name)
        data = prepare_data(make_sample(directory, rows, "mixed"), directory / "data")
        scratch = directory / "scratch"
        scratch.mkdir()
        warm_file_cache(contestants)
        for one in contestants:
            courses[one.name] = run_training(one, data, epochs, scratch).course()
            seconds, accuracy = courses[one.name][-1]
            print(f"{one.name}: {accuracy:.4f} after {seconds:.1f} s", file=sys.stderr)
    return courses


def _measure(argv: Sequence[str] | None) -> None:
    arguments = _parser().parse_args(argv)
    if arguments.rows < _MIN_ROWS or arguments.epochs < 1:
        raise UsageError(f"--rows takes {_MIN_ROWS} or more, --epochs 1 or more")
    chosen = [one for one in CONTESTANTS if not arguments.only or one.name in arguments.only]
    machine = describe_machine(PACKAGES)
    courses = measure(chosen, arguments.rows, arguments.epochs)
    print(f"`{show_command('benchmarks.accuracy', argv)}`: {arguments.rows:,} rows.\n{machine}\n")
    print(f"{levels_table(courses)}\n\n{courses_table(courses)}")
    if arguments.chart:
        arguments.chart.write_text(draw_accuracy(courses), encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy",
        description="Time trainings to the same validation accuracy; print Markdown.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--rows",
        type=int,
        default=200_000,
        metavar="N",
        help="number of rows (default: %(default)s)",
    )
    parser.add_argument(
        "--epochs",
        type=int,
        default=10,
        metavar="N",
        help="number of epochs (default: %(default)s)",
    )
    parser.add_argument(
        "--chart", type=Path, metavar="FILE.svg", help="also draw a chart of the epochs"
    )
    names = [contestant.name for contestant in CONTESTANTS]
    parser.add_argument(
        "--only", nargs="+", choices=names, metavar="NAME", help=f"contestants: {', '.join(names)}"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Measure as the command line says; return the exit status."""
    return exit_status(lambda: _measure(argv))


if __name__ == "__main__":
    sys.exit(main())
