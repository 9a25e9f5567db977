"""TFRecord shards to batches, in an order that (seed, epoch) decides alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import tensorflow as tf

from trainer.errors import DataError
from trainer.manifest import Manifest

# Rows that are shuffled together: a block of ids records takes about 2 MB, of one_hot 50 MB.
_SHUFFLE_BLOCK = 16_384
_OPEN_SHARDS = 16
_CHUNK = 128
_READ_BUFFER = 1 << 20
_PARSED_AT_ONCE = 2
_PREFETCHED_BATCHES = 8


def resolve_representation(representation: str | None, manifest: Manifest) -> str:
    """The representation to train on: the one asked for, or the one that suits the records.

    Raises:
        DataError: the records cannot be represented so.
    """
    if manifest.encoding == "ids":
        return representation or "embedding"
    if representation not in (None, "one_hot"):
        raise DataError(
            f"--representation: got {representation!r}, expected 'one_hot' for the one_hot records "
            f"of {manifest.directory}; {representation!r} needs a dataset of --encoding ids"
        )
    return "one_hot"


def input_shape(representation: str, manifest: Manifest) -> tuple[int, ...]:
    """The shape of one sequence as the model gets it: the `input_shape` of its first layer."""
    features = {"embedding": (), "one_hot": (manifest.alphabet_size,), "scalar": (1,)}
    return (manifest.max_length, *features[representation])


def represent(ids: tf.Tensor, representation: str, alphabet_size: int) -> tf.Tensor:
    """Ids as the model gets them: (batch, max_length) int64 to (batch, *input_shape).

    embedding: the ids themselves, int64. one_hot: float32, the rows of padding and of unknown
    characters zero. scalar: float32, id / alphabet_size, so that values stay about 0 to 1.
    """
    if representation == "one_hot":
        return tf.one_hot(ids - 1, alphabet_size)
    if representation == "scalar":
        return tf.cast(ids[..., tf.newaxis], tf.float32) / alphabet_size
    return ids


def training_batches(
    manifest: Manifest, representation: str, batch_size: int, seed: int, epoch: int, skip: int = 0
) -> tf.data.Dataset:
    """The train split in the order of an epoch: shards permuted, then rows shuffled in blocks.

    The order is a function of (seed, epoch) and nothing else, so that any step of any epoch can
    be reached again: the first `skip` batches are left out. The last batch may be short.

    Returns:
        ({"sequence": (batch, *input_shape), "length": (batch,) int64}, label (batch,) int64)
    """
    random = np.random.default_rng([seed, epoch])
    shards = random.permutation([shard.path for shard in manifest.shards_of("train")])
    block_seed = random.integers(2**63)

    def shuffle(number: tf.Tensor, block: tf.Tensor) -> tf.Tensor:
        return tf.random.experimental.stateless_shuffle(block, seed=[block_seed, number])

    blocks = _records(manifest, list(shards), _SHUFFLE_BLOCK).enumerate()
    return _parsed(blocks.map(shuffle).rebatch(batch_size).skip(skip), manifest, representation)


def evaluation_batches(
    manifest: Manifest, split: str, representation: str, batch_size: int
) -> tf.data.Dataset:
    """Every row of a split once, always in the same order; elements as `training_batches`."""
    shards = [shard.path for shard in manifest.shards_of(split)]
    return _parsed(_records(manifest, shards, batch_size), manifest, representation)


@contextmanager
def corruption_as_data_error(manifest: Manifest) -> Iterator[None]:
    """Give a record whose checksum is wrong, read in the block, an error for people.

    Raises:
        DataError: there was such a record.
    """
    try:
        yield
    except tf.errors.DataLossError as error:
        raise DataError(
            f"{manifest.directory}: a shard is corrupted, prepare the dataset again"
        ) from error


def _records(manifest: Manifest, shards: list[str], batch_size: int) -> tf.data.Dataset:
    """Serialized Examples of several shards, some of each in turn: (batch,) string."""
    compression = {"none": "", "gzip": "GZIP"}[manifest.compression]

    def read(path: tf.Tensor) -> tf.data.Dataset:
        # In chunks, because tf.data spends more on an element than there is to do for a record.
        return tf.data.TFRecordDataset(path, compression, _READ_BUFFER).batch(_CHUNK)

    paths = tf.data.Dataset.from_tensor_slices([manifest.path(shard) for shard in shards])
    return paths.interleave(read, cycle_length=_OPEN_SHARDS).rebatch(batch_size)


def _parsed(batches: tf.data.Dataset, manifest: Manifest, representation: str) -> tf.data.Dataset:
    """Batches of serialized Examples to features and labels."""
    spec = {
        name: tf.io.FixedLenFeature(feature.shape, feature.dtype)
        for name, feature in manifest.feature_spec.items()
    }

    def parse(serialized: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        # A whole batch at once: parse_single_example, mapped over rows, is ten times slower.
        example = tf.io.parse_example(serialized, spec)
        sequence = example["sequence"]
        if manifest.encoding == "ids":
            sequence = represent(sequence, representation, manifest.alphabet_size)
        return {"sequence": sequence, "length": example["length"]}, example["label"]

    options = tf.data.Options()
    # Its thread may sleep for up to a minute before it lets go of an iterator (TensorFlow 2.21).
    options.autotune.enabled = False
    parsed = batches.map(parse, num_parallel_calls=_PARSED_AT_ONCE, deterministic=True)
    return parsed.prefetch(_PREFETCHED_BATCHES).with_options(options)
