"""Measure what the signature `explain` of an exported model says, by deletion.

`python -m benchmarks.explain DIR` trains on real data, deletes the characters of test rows one by
one, the most influential first, and watches the probability of the label that the model gave: the
sooner it falls, the better the explanation (Petsiuk, Das and Saenko, 2018, "RISE"). Beside it,
characters in random orders. A deleted character is an unknown one. It prints Markdown.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.explain.deletion import Encoded, Floats, Ints, Model, deletion_table, measure
from benchmarks.figures import describe_machine, show_command
from benchmarks.quality.tasks import TASKS
from benchmarks.trained import first_by_hash, train_on
from charseq.cli import exit_status, heavy_imports

_DATA = ("names", "amp", "ten")
_TEST_ROWS = 500
_BATCH = 256
_PACKAGES = ("tensorflow", "keras", "numpy")


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
            model = load_model(
                train_on(name, 0, arguments.directory, Path(scratch)) / "saved_model"
            )
            test = TASKS[name].directory(arguments.directory, 0) / "test.tsv"
            texts = [row.sequence for row in first_by_hash(test, _TEST_ROWS)]
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
