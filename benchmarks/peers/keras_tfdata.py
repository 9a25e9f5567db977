"""Train with `model.fit` on the TFRecords of this project, read as in the usual tf.data tutorial.

Each record is parsed and encoded separately, with as many threads as tf.data chooses; rows are
shuffled in a buffer. After https://www.tensorflow.org/tutorials/load_data/tfrecord and
https://www.tensorflow.org/guide/data_performance.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from benchmarks.peers.common import MAX_LENGTH
from benchmarks.peers.keras_fit import EpochClock, stacked_lstm
from benchmarks.peers.training import LEARNING_RATE, training_parser, write_metrics

ALPHABET_SIZE = 25
SHUFFLE_BUFFER = 10_000
FEATURES = {
    "sequence": tf.io.FixedLenFeature([MAX_LENGTH], tf.int64),
    "label": tf.io.FixedLenFeature([], tf.int64),
}


def parse(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """One record to ids (MAX_LENGTH,) int64 and a label () int64."""
    example = tf.io.parse_single_example(serialized, FEATURES)
    return example["sequence"], example["label"]


def parse_one_hot(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """One record to vectors (MAX_LENGTH, ALPHABET_SIZE) float32 and a label () int64."""
    ids, label = parse(serialized)
    return tf.one_hot(ids - 1, ALPHABET_SIZE), label


def tutorial_batches(
    files: Sequence[str], batch_size: int, *, one_hot: bool, shuffled: bool
) -> tf.data.Dataset:
    """Records of several files as (sequences, labels), each as `parse` or `parse_one_hot` gives.

    With a batch as the first dimension; the last batch may be short.
    """
    records = tf.data.TFRecordDataset(files)
    rows = records.map(parse_one_hot if one_hot else parse, num_parallel_calls=tf.data.AUTOTUNE)
    if shuffled:
        rows = rows.shuffle(SHUFFLE_BUFFER)
    return rows.batch(batch_size).prefetch(tf.data.AUTOTUNE)


def split_files(dataset: Path, content: dict[str, Any], split: str) -> list[str]:
    """The shards of a split. content: of the dataset's `dataset.json`."""
    return [str(dataset / shard["path"]) for shard in content["shards"] if shard["split"] == split]


def run(dataset: Path, output: Path, epochs: int, batch_size: int) -> None:
    """Train, and write `metrics.json`."""
    content = json.loads((dataset / "dataset.json").read_text(encoding="utf-8"))
    train, validation = (
        tutorial_batches(
            split_files(dataset, content, split),
            batch_size,
            one_hot=True,
            shuffled=split == "train",
        )
        for split in ("train", "validation")
    )
    keras.utils.set_random_seed(0)
    model = stacked_lstm((MAX_LENGTH, ALPHABET_SIZE), len(content["labels"]))
    model.compile(
        optimizer=keras.optimizers.Adam(LEARNING_RATE),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    clock = EpochClock()
    model.fit(train, epochs=epochs, validation_data=validation, callbacks=[clock], verbose=2)
    write_metrics(output, content["counts"]["train"], clock.epochs)


def main(argv: Sequence[str] | None = None) -> int:
    """Train as the command line says."""
    parser = training_parser(__doc__, batch_size=512)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="dataset directory")
    given = parser.parse_args(argv)
    run(given.data, given.output, given.epochs, given.batch_size)
    return 0


if __name__ == "__main__":
    sys.exit(main())
