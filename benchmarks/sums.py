"""Measure what it costs that sums over workers have the same bits whatever their number.

Trains with one, two and four processes on this machine, each with the sums of the trainer and
with TensorFlow's alone (`benchmarks.peers.plain_sums`). Prints Markdown. Usage:
`python -m benchmarks.sums`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from benchmarks.figures import describe_machine, show_command, table
from benchmarks.samples import make_sample
from benchmarks.training import PACKAGES, TRAINER, prepare_dataset
from charseq.cli import exit_status
from charseq.errors import DataError, UsageError
from deploy.support.workers import start_workers

_PROGRAMS = {"in order": TRAINER, "plain": "benchmarks.peers.plain_sums"}
_EPOCHS = 3


def train(module: str, workers: int, data: Path, output: Path, flags: Sequence[str]) -> float:
    """Train with so many processes; return the sequences a second of the epochs after the first.

    Raises:
        DataError: one of them failed.
    """
    command = [sys.executable, "-m", module, f"--data={data}", f"--output={output}", *flags]
    statuses = [process.wait() for process in start_workers(command, workers)]
    if any(statuses):
        raise DataError(f"{module} with {workers} workers: exit status {statuses}")
    epochs = json.loads((output / "metrics.json").read_text(encoding="utf-8"))["epochs"][1:]
    return statistics.mean(epoch["sequences_per_second"] for epoch in epochs)


def _measure(argv: Sequence[str] | None) -> None:
    arguments = _parser().parse_args(argv)
    if arguments.rows < 10_000 or arguments.repeats < 1:
        raise UsageError("--rows takes 10,000 or more, --repeats 1 or more")
    machine = describe_machine(PACKAGES)
    flags = (f"--epochs={_EPOCHS}", f"--batch-size={arguments.batch_size}")
    flags = (*flags, f"--representation={arguments.representation}", "--checkpoint-every=60m")
    rates: dict[tuple[int, str], list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="charseq-benchmark-") as name:
        directory = Path(name)
        data = prepare_dataset(make_sample(directory, arguments.rows, "mixed"), directory / "data")
        for repeat, workers, sums in product(
            range(arguments.repeats), arguments.workers, _PROGRAMS
        ):
            output = directory / f"{repeat}-{workers}-{sums}"
            rate = train(_PROGRAMS[sums], workers, data, output, flags)
            rates.setdefault((workers, sums), []).append(rate)
            print(f"{workers} workers, {sums}: {rate:,.0f} sequences/s", file=sys.stderr)
    print(f"`{show_command('benchmarks.sums', argv)}`.\n{machine}\n")
    print(_table(rates))


def _table(rates: dict[tuple[int, str], list[float]]) -> str:
    lines = []
    for workers in dict.fromkeys(workers for workers, _ in rates):
        ordered, plain = (rates[workers, sums] for sums in _PROGRAMS)
        ratios = [one / other for one, other in zip(ordered, plain, strict=True)]
        medians = [f"{statistics.median(each):,.0f}" for each in (ordered, plain)]
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        lines.append([str(workers), *medians, f"{statistics.median(ratios):.2f}", spread])
    return table(["processes", *_PROGRAMS, "ratio", "of all rounds"], lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sums",
        description="Compare sums in a fixed order with plain ones, in sequences a second.",
        allow_abbrev=False,
    )
    for flag, default, what in (
        ("--rows", 200_000, "number of rows"),
        ("--repeats", 3, "number of rounds"),
        ("--batch-size", 512, "rows of a batch of all processes"),
    ):
        parser.add_argument(
            flag, type=int, default=default, metavar="N", help=f"{what} (default: %(default)s)"
        )
    parser.add_argument(
        "--workers",
        type=int,
        nargs="+",
        default=(1, 2, 4),
        metavar="N",
        help="numbers of processes (default: 1 2 4)",
    )
    parser.add_argument(
        "--representation",
        choices=("embedding", "one_hot", "scalar"),
        default="embedding",
        help="as of python -m trainer, without n-grams (default: %(default)s)",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Do as the command line says; return the exit status."""
    return exit_status(lambda: _measure(argv))


if __name__ == "__main__":
    sys.exit(main())
