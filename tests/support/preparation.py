"""The preparation as a command on small files, and its dataset read with plain TensorFlow."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import Any

import tensorflow as tf

from pipeline.__main__ import main

MAX_LENGTH, ALPHABET_SIZE, SEED = 6, 4, 3


def make_rows(count: int = 600) -> list[tuple[str, str]]:
    """Return rows with duplicates, ambiguous sequences, rare characters and 3 to be rejected."""
    rng = random.Random(0)
    rows = []
    for _ in range(count):
        sequence = "".join(rng.choices("AACCCDEEEEé😀", k=rng.randint(1, 9)))
        rows.append((sequence, rng.choice(["one", "two", "drei,é"])))
    return [*rows, *rows[:50], ("", "one"), ("AC", ""), ("AC", " ")]


def write_csv(path: Path, rows: list[tuple[str, str]]) -> None:
    """Write (sequence, label) rows; gzipped where the name ends with .gz."""
    lines = ["sequence,label", *(f'{sequence},"{label}"' for sequence, label in rows)]
    text = "\n".join(lines).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)


def prepare(input_glob: Path, output: Path, *flags: str) -> dict[str, Any]:
    """Prepare a dataset, which must succeed, and return its dataset.json."""
    paths = ["--input", str(input_glob), "--output", str(output)]
    options = ["--max-length", str(MAX_LENGTH), "--seed", str(SEED)]
    assert main([*paths, *options, "--max-rejected-fraction", "0.5", *flags]) == 0
    return manifest_of(output)


def manifest_of(dataset: Path) -> dict[str, Any]:
    """Return the content of dataset.json."""
    return json.loads((dataset / "dataset.json").read_text())  # type: ignore[no-any-return]


def read_split(dataset: Path, manifest: dict[str, Any], split: str) -> list[tuple[Any, int, str]]:
    """Read the records of a split with only `tf.io.parse_example` and the manifest's spec.

    Returns:
        (sequence as lists, length, label) of each record, in the order of the files.
    """
    spec = {
        name: tf.io.FixedLenFeature(feature["shape"], feature["dtype"])
        for name, feature in manifest["feature_spec"].items()
    }
    paths = [str(dataset / s["path"]) for s in manifest["shards"] if s["split"] == split]
    compression = "GZIP" if manifest["compression"] == "gzip" else ""
    records = list(tf.data.TFRecordDataset(paths, compression))
    parsed = tf.io.parse_example(records, spec)
    return [
        (sequence.tolist(), int(length), manifest["labels"][label])
        for sequence, length, label in zip(
            *(parsed[name].numpy() for name in ("sequence", "length", "label")), strict=True
        )
    ]
