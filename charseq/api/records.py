"""The records of a local dataset, as a `tf.data.Dataset` and as arrays."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from charseq.api.tensorflow import import_tensorflow
from charseq.errors import DataError
from charseq.examples import WEIGHT, ids_to_text, parse_examples, read_tfrecords, to_ids
from charseq.manifest import Feature, Manifest, Shard

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

# Records lie in the order of a hash, in each shard: a block of some shards is a fair sample.
_SHUFFLED_RECORDS = 1 << 14
_OPEN_SHARDS = 16
_BATCH_RECORDS = 1024

Arrays = dict[str, "np.ndarray[Any, Any]"]


def read_batches(
    directory: str, manifest: Manifest, split: str, batch_size: int, seed: int | None
) -> tf.data.Dataset:
    """Return the records of a split in batches, as Keras takes them.

    Args:
        directory: of the dataset.
        manifest: of the dataset.
        split: train, validation or test, or a fold.
        batch_size: records of each batch but the last.
        seed: of the order; None for the order in which they are stored.

    Returns:
        ({"sequence": (batch, …), "length": (batch,) int64}, label (batch,) int64), and the weights
        (batch,) float32 third where the records have any.
    """
    tf = import_tensorflow()
    shards = manifest.shards_of(split)
    records = _read_serialized(directory, manifest, shards, seed)

    def to_example(serialized: Any) -> tuple[Any, ...]:
        features = parse_examples(serialized, manifest.feature_spec)
        inputs = {name: features[name] for name in ("sequence", "length")}
        weight = (features[WEIGHT],) if WEIGHT in features else ()
        return (inputs, features["label"], *weight)

    batches = records.batch(batch_size).map(
        tf.autograph.experimental.do_not_convert(to_example),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    size = -(-manifest.records(split) // batch_size)
    return batches.apply(tf.data.experimental.assert_cardinality(size)).prefetch(tf.data.AUTOTUNE)


def _read_serialized(
    directory: str, manifest: Manifest, shards: Sequence[Shard], seed: int | None
) -> tf.data.Dataset:
    """Return the serialized records of shards, () string each, in the order of a seed if any."""
    tf = import_tensorflow()
    paths = [os.fsencode(os.path.join(directory, shard.path)) for shard in shards]
    files = tf.data.Dataset.from_tensor_slices(tf.constant(paths, tf.string))
    read = tf.autograph.experimental.do_not_convert(lambda path: read_tfrecords(path, manifest))
    if seed is None:
        return files.flat_map(read)
    shuffled = files.shuffle(max(1, len(shards)), seed)
    records = shuffled.interleave(read, cycle_length=_OPEN_SHARDS)
    return records.shuffle(_SHUFFLED_RECORDS, seed)


def read_arrays(directory: str, manifest: Manifest, split: str, limit: int | None) -> Arrays:
    """Return the first records of a split as arrays (rows, …) by feature.

    Args:
        directory: of the dataset.
        manifest: of the dataset.
        split: train, validation or test, or a fold.
        limit: how many; None for all.

    Raises:
        DataError: a shard is missing or damaged.
    """
    import numpy as np

    available = manifest.records(split)
    rows = available if limit is None else min(limit, available)
    arrays = {
        name: np.empty((rows, *feature.shape), feature.dtype)
        for name, feature in manifest.feature_spec.items()
    }
    start = 0
    for batch in _parsed(directory, manifest, split, rows):
        end = start + len(batch["length"])
        for name, array in arrays.items():
            array[start:end] = batch[name]
        start = end
    return arrays


def _parsed(directory: str, manifest: Manifest, split: str, rows: int) -> Iterator[Arrays]:
    """Yield the first records of a split, some at a time: (batch, …) of each feature."""
    tf = import_tensorflow()
    records = _read_serialized(directory, manifest, manifest.shards_of(split), None)
    try:
        for serialized in records.take(rows).batch(_BATCH_RECORDS):
            parsed = parse_examples(serialized, manifest.feature_spec)
            yield {name: tensor.numpy() for name, tensor in parsed.items()}
    except tf.errors.OpError as error:
        reason = error.message.partition("\n")[0]
        raise DataError(
            f"{directory}: {split} cannot be read: {reason}; charseq verify {directory} looks at "
            "all of it"
        ) from error


def to_texts(arrays: Arrays, manifest: Manifest) -> list[str]:
    """Return the characters of records, as they were encoded: cut, and U+FFFD for one unknown.

    Args:
        arrays: of `read_arrays`.
        manifest: of their dataset.
    """
    tf = import_tensorflow()
    if not len(arrays["length"]):
        return []
    ids = to_ids(tf.constant(arrays["sequence"])).numpy()
    return [
        ids_to_text(row[:length].tolist(), manifest.alphabet)
        for row, length in zip(ids, arrays["length"].tolist(), strict=True)
    ]


def describe_feature(feature: Feature) -> str:
    """Return a feature as text, such as `(31,) int64`."""
    return f"{feature.shape} {feature.dtype}"
