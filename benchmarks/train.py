"""Compare this trainer with other ways to train the same model.

Every contestant runs in its own process on a tenth of the rows and on all of them; the difference
shows how memory grows with the number of rows. Prints Markdown. Usage:
`python -m benchmarks.train`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.arguments import add_lengths, comparison_parser
from benchmarks.figures import (
    Figure,
    describe_machine,
    figures_table,
    growth,
    ratios_table,
    show_command,
)
from benchmarks.samples import make_samples
from benchmarks.training import (
    PACKAGES,
    Contestant,
    Training,
    charseq,
    keras_in_memory,
    prepare_data,
    run_training,
    warm_file_cache,
)
from charseq.cli import exit_status
from charseq.errors import UsageError

_TORCH = "benchmarks.peers.torch_lstm"
# The least of which a tenth is a batch for each step that is compiled.
_MIN_ROWS = 5_000

CONTESTANTS = (
    charseq("embedding"),
    charseq("one_hot", "one_hot"),
    charseq("scalar", "scalar"),
    keras_in_memory("64", 64),
    keras_in_memory("512", 512),
    keras_in_memory("512_xla", 512, "--jit-compile"),
    Contestant("keras_tfdata", "benchmarks.peers.keras_tfdata", "one_hot"),
    Contestant("torch_embedding", _TORCH, "embedding", ("--representation=embedding",)),
    Contestant("torch_one_hot", _TORCH, "one_hot", ("--representation=one_hot",)),
)


@dataclass(frozen=True)
class Round:
    """One contestant's two trainings of a round. more_rows: that the whole one read."""

    small: Training
    whole: Training
    more_rows: int

    @property
    def growth(self) -> float:
        """Bytes of peak memory a row."""
        return growth(self.small.cost, self.whole.cost, self.more_rows)


_FIGURES: Mapping[str, tuple[Figure[Round], str]] = {
    "sequences/s, steady": (lambda one: one.whole.steady_rate, ",.0f"),
    "sequences/s, whole process": (lambda one: one.whole.whole_rate, ",.0f"),
    "s, whole process": (lambda one: one.whole.cost.wall, ",.1f"),
    "peak MB": (lambda one: one.whole.cost.peak / 1e6, ",.0f"),
    "peak MB, a tenth": (lambda one: one.small.cost.peak / 1e6, ",.0f"),
    "bytes/row": (lambda one: one.growth, ",.0f"),
    "validation accuracy": (lambda one: one.whole.accuracy, ".4f"),
}
_RATIOS: Mapping[str, Figure[Round]] = {
    "sequences/s, steady": lambda one: one.whole.steady_rate,
    "sequences/s, whole process": lambda one: one.whole.whole_rate,
    "peak memory": lambda one: one.whole.cost.peak,
}


def are_compared(one: Contestant, other: Contestant) -> bool:
    """Whether the ratio of `one` to `other` says something: us to a peer.

    One that gets the same vectors, or any for the embedding, which is what a user gets unasked.
    """
    alike = one.representation in ("embedding", other.representation)
    return one.is_ours and not other.is_ours and alike


def compare(
    contestants: Sequence[Contestant], rows: int, lengths: str, epochs: int, repeats: int
) -> dict[str, list[Round]]:
    """Run all contestants, one after the other, `repeats` times over; give their rounds by name."""
    rounds: dict[str, list[Round]] = {one.name: [] for one in contestants}
    with tempfile.TemporaryDirectory(prefix="charseq-benchmark-") as name:
        directory = Path(name)
        samples = make_samples(directory, rows, lengths)
        small, whole = (prepare_data(one, directory / one.path.stem) for one in samples)
        scratch = directory / "scratch"
        scratch.mkdir()
        warm_file_cache(contestants)
        for repeat in range(1, repeats + 1):
            for one in contestants:
                both = [run_training(one, data, epochs, scratch) for data in (small, whole)]
                rounds[one.name].append(Round(both[0], both[1], whole.rows - small.rows))
                print(
                    f"{repeat}/{repeats} {one.name}: {both[0].cost.wall:.1f} s for "
                    f"{small.rows:,} rows, {both[1].cost.wall:.1f} s for {whole.rows:,}, "
                    f"{both[1].steady_rate:,.0f} sequences/s",
                    file=sys.stderr,
                )
    return rounds


def find_torch(python: str) -> str | None:
    """The version of PyTorch that an interpreter has, None where it has none."""
    told = subprocess.run(
        [python, "-c", "import torch; print(torch.__version__)"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    return told.stdout.strip() if told.returncode == 0 else None


def _compare(argv: Sequence[str] | None) -> None:
    arguments = _parser().parse_args(argv)
    if arguments.rows < _MIN_ROWS or arguments.repeats < 1 or arguments.epochs < 2:
        raise UsageError(f"--rows takes {_MIN_ROWS} or more, --repeats 1, --epochs 2 or more")
    chosen = [one for one in CONTESTANTS if not arguments.only or one.name in arguments.only]
    torch = find_torch(arguments.torch_python)
    left_out = [one.name for one in chosen if one.module == _TORCH and not torch]
    chosen = [
        replace(one, python=arguments.torch_python) if one.module == _TORCH else one
        for one in chosen
        if one.name not in left_out
    ]
    if not chosen:
        raise UsageError("--torch-python: it cannot import torch, and nothing else is asked for")
    machine = describe_machine(PACKAGES, *([f"torch {torch}"] if torch else []))
    rounds = compare(chosen, arguments.rows, arguments.lengths, arguments.epochs, arguments.repeats)
    print(
        f"`{show_command('benchmarks.train', argv)}`: {arguments.rows:,} rows of "
        f"{arguments.lengths} lengths, {arguments.epochs} epochs, medians of {arguments.repeats}."
        f"\n{machine}"
    )
    if left_out:
        print(f"Left out: {', '.join(left_out)}; the interpreter has no torch.")
    print(f"\n{figures_table(rounds, _FIGURES)}")
    pairs = [(a.name, b.name) for a in chosen for b in chosen if are_compared(a, b)]
    if pairs:
        print(f"\n{ratios_table(pairs, rounds, _RATIOS)}")


def _parser() -> argparse.ArgumentParser:
    parser = comparison_parser(
        "train",
        "Time this trainer and its peers on the same rows; print Markdown.",
        rows=200_000,
        contestants=[contestant.name for contestant in CONTESTANTS],
    )
    parser.add_argument(
        "--epochs", type=int, default=5, metavar="N", help="number of epochs (default: %(default)s)"
    )
    add_lengths(parser)
    parser.add_argument(
        "--torch-python",
        default=sys.executable,
        metavar="PYTHON",
        help="interpreter with PyTorch (default: this one)",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Compare as the command line says; return the exit status."""
    return exit_status(lambda: _compare(argv))


if __name__ == "__main__":
    sys.exit(main())
