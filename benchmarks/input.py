"""Measure the input pipeline of a training, without a model.

Reads whole epochs of this trainer's batches and of the usual tutorial's, from the shards of one
dataset. Prints Markdown. Usage: `python -m benchmarks.input`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.arguments import comparison_parser
from benchmarks.figures import describe_machine, figures_table, ratios_table, show_command
from benchmarks.samples import make_sample
from benchmarks.training import PACKAGES, prepare_dataset
from charseq.cli import exit_status, heavy_imports
from charseq.errors import DataError, UsageError
from trainer.data.dataset import Dataset, read_dataset

if TYPE_CHECKING:
    import tensorflow as tf

_BATCH = 512
_MIN_ROWS = 1_000


@dataclass(frozen=True)
class Contestant:
    """An input pipeline. representation: of a character, as the trainer names them."""

    name: str
    is_ours: bool
    representation: str


CONTESTANTS = (
    Contestant("charseq_embedding", True, "embedding"),
    Contestant("charseq_one_hot", True, "one_hot"),
    Contestant("charseq_scalar", True, "scalar"),
    Contestant("tutorial_embedding", False, "embedding"),
    Contestant("tutorial_one_hot", False, "one_hot"),
)


def are_compared(one: Contestant, other: Contestant) -> bool:
    """Whether the ratio of `one` to `other` says something: us to the tutorial, on the same."""
    return one.is_ours and not other.is_ours and one.representation == other.representation


def make_batches(contestant: Contestant, dataset: Dataset, epoch: int) -> tf.data.Dataset:
    """Shuffled batches of the train split; the second part of each is its labels."""
    from benchmarks.peers.keras_tfdata import tutorial_batches
    from trainer.data.batches import Batches

    if contestant.is_ours:
        return Batches(dataset, contestant.representation, _BATCH).training(epoch)
    files = [dataset.path(shard.path) for shard in dataset.manifest.shards_of("train")]
    one_hot = contestant.representation == "one_hot"
    return tutorial_batches(files, _BATCH, one_hot=one_hot, shuffled=True)


def measure_epoch(contestant: Contestant, dataset: Dataset, epoch: int) -> float:
    """Records a second of one epoch, from the making of the input to its last batch.

    Raises:
        DataError: they are not all records of the split.
    """
    started = time.perf_counter()
    batches = make_batches(contestant, dataset, epoch)
    records = int(batches.reduce(np.float32(0), lambda total, batch: total + _rows(batch)))
    seconds = time.perf_counter() - started
    expected = dataset.manifest.records("train")
    if records != expected:
        raise DataError(f"{contestant.name}: {records} records read, expected {expected}")
    return records / seconds


def _rows(batch: tuple[Any, ...]) -> tf.Tensor:
    """How many rows a batch has, without those of weight 0 that fill it up."""
    import tensorflow as tf

    _, labels, *weights = batch
    return tf.reduce_sum(weights[0]) if weights else tf.cast(tf.size(labels), tf.float32)


def compare(
    contestants: Sequence[Contestant], dataset: Path, repeats: int
) -> dict[str, list[float]]:
    """Read an epoch with each contestant in turn, `repeats` times over; give the rates by name."""
    with heavy_imports():
        import benchmarks.peers.keras_tfdata  # noqa: F401 - that no contestant pays for it
        import trainer.data.batches  # noqa: F401

    prepared = read_dataset(str(dataset))
    rates: dict[str, list[float]] = {one.name: [] for one in contestants}
    # Epoch 0 reads the shards into the file cache, and is not counted.
    for epoch in range(repeats + 1):
        for one in contestants:
            rate = measure_epoch(one, prepared, epoch)
            print(f"{epoch}/{repeats} {one.name}: {rate:,.0f} records/s", file=sys.stderr)
            if epoch > 0:
                rates[one.name].append(rate)
    return rates


def _itself(rate: float) -> float:
    return rate


def _compare(argv: Sequence[str] | None) -> None:
    arguments = _parser().parse_args(argv)
    if arguments.rows < _MIN_ROWS or arguments.repeats < 1:
        raise UsageError(f"--rows takes {_MIN_ROWS} or more, --repeats 1 or more")
    chosen = [one for one in CONTESTANTS if not arguments.only or one.name in arguments.only]
    machine = describe_machine(PACKAGES)
    with tempfile.TemporaryDirectory(prefix="charseq-benchmark-") as name:
        sample = make_sample(Path(name), arguments.rows, "mixed")
        dataset = prepare_dataset(sample, Path(name, "dataset"))
        rates = compare(chosen, dataset, arguments.repeats)
    print(
        f"`{show_command('benchmarks.input', argv)}`: {arguments.rows:,} rows, batches of "
        f"{_BATCH}, medians of {arguments.repeats}.\n{machine}\n"
    )
    print(figures_table(rates, {"records/s": (_itself, ",.0f")}))
    pairs = [(a.name, b.name) for a in chosen for b in chosen if are_compared(a, b)]
    if pairs:
        print(f"\n{ratios_table(pairs, rates, {'records/s': _itself})}")


def _parser() -> argparse.ArgumentParser:
    return comparison_parser(
        "input",
        "Time the input pipelines of this trainer and of a tutorial; print Markdown.",
        rows=200_000,
        contestants=[contestant.name for contestant in CONTESTANTS],
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Compare as the command line says; return the exit status."""
    return exit_status(lambda: _compare(argv))


if __name__ == "__main__":
    sys.exit(main())
