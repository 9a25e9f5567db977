"""The records of a dataset, read through Beam's file systems and turned back into text."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import NamedTuple

import tensorflow as tf
from apache_beam.io.filesystems import FileSystems

from charseq.errors import DataError
from charseq.examples import WEIGHT, ids_to_text, parse_examples, read_tfrecords, to_ids
from charseq.manifest import Manifest
from pipeline.runtime.filesystems import local_file

_BATCH_RECORDS = 256


class Record(NamedTuple):
    """A record as text: a character outside the alphabet is shown as U+FFFD.

    weight: None in a dataset without weights.
    """

    sequence: str
    length: int
    label: str
    weight: float | None = None


def read_records(
    dataset: str, manifest: Manifest, split: str, label: str | None = None
) -> Iterator[Record]:
    """Yield the records of a split, in the order in which they are stored.

    Args:
        dataset: the dataset directory.
        manifest: its manifest.
        split: train, validation or test.
        label: yield only records of this label; None for all.
    """
    for batch in _read_batches(dataset, manifest, split):
        parsed = parse_examples(batch, manifest.feature_spec)
        features = (to_ids(parsed["sequence"]), parsed["length"], parsed["label"])
        rows = (feature.numpy().tolist() for feature in features)
        weights = parsed[WEIGHT].numpy().tolist() if WEIGHT in parsed else repeat(None)
        for ids, length, number, weight in zip(*rows, weights, strict=False):
            name = manifest.labels[number]
            if label in (None, name):
                yield Record(ids_to_text(ids[:length], manifest.alphabet), length, name, weight)


def _read_batches(dataset: str, manifest: Manifest, split: str) -> Iterator[tf.Tensor]:
    """Yield serialized records, (batch,) string.

    Raises:
        DataError: a shard is missing or damaged.
    """
    for shard in manifest.shards_of(split):
        try:
            with local_file(FileSystems.join(dataset, shard.path)) as path:
                yield from read_tfrecords(path, manifest).batch(_BATCH_RECORDS)
        except tf.errors.OpError as error:
            reason = error.message.partition("\n")[0]
            raise DataError(
                f"{dataset}: {shard.path} cannot be read: {reason}; python -m pipeline.inspect "
                f"{dataset} --verify looks at all of it"
            ) from error
