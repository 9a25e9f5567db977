"""Measure what the signature `explain` of an exported model says, by deletion.

`python -m benchmarks.explain DIR` trains on real data, deletes the characters of test rows one by
one, the most influential first, and watches the probability of the label that the model gave: the
sooner it falls, the better the explanation (Petsiuk, Das and Saenko, 2018, "RISE"). Beside it,
characters in random orders. A deleted character is an unknown one. It prints Markdown.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.explain.deletion import Encoded, Floats, Ints, Model, deletion_table, measure
from benchmarks.figures import describe_machine, show_command
from benchmarks.measure import run_measured
from benchmarks.quality.datasets import AUTO
from benchmarks.quality.rows import Row, hash_bucket, read_rows, write_rows
from benchmarks.quality.tasks import SEEDS, TASKS
from charseq.cli import exit_status, heavy_imports
from charseq.errors import DataError

_DATA = ("names", "amp", "ten")
_MOST_TRAIN_ROWS = 100_000
_TEST_ROWS = 500
_BATCH = 256
_PACKAGES = ("tensorflow", "keras", "numpy")


def train(name: str, root: Path, scratch: Path) -> Path:
    """Train on a task with the defaults; return the exported model.

    Raises:
        DataError: the rows were not fetched.
    """
    source = TASKS[name].directory(root, 0) / "train.tsv"
    if not source.exists():
        raise DataError(f"{source}: not there; run python -m benchmarks.quality fetch {root} first")
    rows, dataset, run = scratch / "rows.tsv", scratch / "dataset", scratch / "run"
    write_rows(rows, _first_by_hash(source, _MOST_TRAIN_ROWS))
    _run("pipeline", f"--input={rows}", f"--output={dataset}", *AUTO)
    _run("trainer", f"--data={dataset}", f"--output={run}", f"--seed={SEEDS[0]}")
    return run / "saved_model"


def _first_by_hash(path: Path, count: int) -> list[Row]:
    rows = read_rows(path)
    rows.sort(key=lambda row: (hash_bucket(row.sequence, 1 << 60), row))
    return rows[:count]


def _run(module: str, *flags: str) -> None:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    run_measured([sys.executable, "-m", module, *flags], environment)


def load_model(path: Path) -> Model:
    """Load an exported model."""
    with heavy_imports():
        import tensorflow as tf

        from charseq.manifest import parse_manifest
        from charseq.models.saved_model import (
            CLASSIFY_IDS,
            DATASET_ASSET,
            ENCODE,
            EXPLAIN,
            IDS,
            INFLUENCE,
            LENGTH,
            PROBABILITIES,
            load_saved_model,
        )
    loaded = load_saved_model(str(path), str(path), trust_model=False)
    manifest = parse_manifest((path / DATASET_ASSET).read_bytes(), str(path / DATASET_ASSET))

    def classify(ids: Ints, length: Ints) -> Floats:
        parts = [
            loaded.signatures[CLASSIFY_IDS](
                **{
                    IDS: tf.constant(ids[start : start + _BATCH], tf.int64),
                    LENGTH: tf.constant(length[start : start + _BATCH], tf.int64),
                }
            )[PROBABILITIES].numpy()
            for start in range(0, len(ids), _BATCH)
        ]
        return np.concatenate(parts)

    def encode_and_explain(texts: Sequence[str]) -> Encoded:
        # By the model itself: the tables of its graph live as long as it.
        sequence = tf.constant(texts)
        encoded = loaded.signatures[ENCODE](sequence)
        influence = loaded.signatures[EXPLAIN](sequence)[INFLUENCE]
        return Encoded(encoded[IDS].numpy(), encoded[LENGTH].numpy(), influence.numpy())

    return Model(classify, encode_and_explain, manifest.unknown_id)


def _measure_all(arguments: argparse.Namespace) -> None:
    machine = describe_machine(_PACKAGES)
    results = {}
    for name in arguments.only or _DATA:
        with tempfile.TemporaryDirectory(prefix="charseq-benchmark-") as scratch:
            model = load_model(train(name, arguments.directory, Path(scratch)))
            test = TASKS[name].directory(arguments.directory, 0) / "test.tsv"
            texts = [row.sequence for row in _first_by_hash(test, _TEST_ROWS)]
            results[name] = measure(model, texts)
        print(f"{name}: measured on {len(texts)} rows", file=sys.stderr, flush=True)
    print(f"`{show_command('benchmarks.explain', arguments.argv)}`.\n{machine}\n")
    print(deletion_table(results))


def main(argv: Sequence[str] | None = None) -> int:
    """Do as the command line says; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.explain",
        description="Measure the signature explain by deletion; print Markdown.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "directory", type=Path, metavar="DIR", help="directory of benchmarks.quality fetch"
    )
    parser.add_argument("--only", nargs="+", choices=_DATA, metavar="NAME", help=", ".join(_DATA))

    def run() -> None:
        arguments = parser.parse_args(argv)
        arguments.argv = argv
        _measure_all(arguments)

    return exit_status(run)


if __name__ == "__main__":
    sys.exit(main())
