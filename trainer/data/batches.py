"""TFRecord shards to batches, in an order that (seed, epoch) decides alone.

A batch is ({"sequence": (batch, *input_shape), "length": (batch,) int64}, label (batch,) int64,
weight (batch,) float32). All have the same shape, so that a step is compiled once: where rows are
missing, copies of others stand in with weight 0.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from charseq.errors import DataError
from trainer.data.files import StoredFiles
from trainer.data.manifest import Manifest

# Rows that are shuffled together: a block of ids records takes about 4 MB, of one_hot 50 MB.
_SHUFFLE_BLOCK = 16_384
_OPEN_SHARDS = 16
_CHUNK = 128
_READ_BUFFER = 1 << 20
_AT_ONCE = 2
_PREFETCHED_BATCHES = 8

# Features of several rows by name: (rows, …) each.
Rows = dict[str, tf.Tensor]


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


@dataclass(frozen=True)
class Batches:
    """The batches of a dataset.

    cache: none, to stream the shards in every epoch, or memory, to keep their rows as bytes and
    shuffle all of them anew.

    Raises:
        tf.errors.DataLossError: a record is torn, or its checksum is wrong.
    """

    manifest: Manifest
    representation: str
    batch_size: int
    seed: int = 0
    cache: str = "none"

    def count(self, split: str) -> int:
        """How many there are in a pass over a split."""
        return math.ceil(self.manifest.records(split) / self.batch_size)

    def training(self, epoch: int, skip: int = 0) -> tf.data.Dataset:
        """The train split in the order of an epoch, without its first `skip` batches.

        The order is a function of (seed, epoch) and nothing else, so that any step of any epoch
        can be reached again. Rows are shuffled in blocks, and the batches of a block are of rows
        of about the same length: a step costs as much as its longest row.
        """
        random = np.random.default_rng([self.seed, epoch])
        batches_per_block = max(1, _SHUFFLE_BLOCK // self.batch_size)
        block_size = batches_per_block * self.batch_size
        first = skip // batches_per_block
        if self.cache == "memory":
            blocks = self._rows.blocks(random, block_size, first)
        else:
            shards = random.permutation([s.path for s in self.manifest.shards_of("train")])
            records = _records(self.manifest, list(shards), block_size)
            blocks = _parallel(records.skip(first), lambda block: _parse(block, self.manifest))
        seed = int(random.integers(2**63))

        def arrange(number: tf.Tensor, rows: Rows) -> tuple[Rows, tf.Tensor]:
            order, weight = length_bucketed_order(rows["length"], self.batch_size, (seed, number))
            return {name: tf.gather(values, order) for name, values in rows.items()}, weight

        numbered = tf.data.Dataset.zip(tf.data.Dataset.range(first, tf.int64.max), blocks)
        arranged = _parallel(numbered, arrange)
        return self._represented(arranged, skip % batches_per_block)

    def evaluation(self, split: str) -> tf.data.Dataset:
        """Every row of a split once, always in the same order."""
        shards = [shard.path for shard in self.manifest.shards_of(split)]

        def fill_up(rows: Rows) -> tuple[Rows, tf.Tensor]:
            count = tf.size(rows["length"])
            order = tf.minimum(tf.range(self.batch_size), count - 1)
            weight = tf.cast(tf.range(self.batch_size) < count, tf.float32)
            return {name: tf.gather(values, order) for name, values in rows.items()}, weight

        records = _records(self.manifest, shards, self.batch_size)
        rows = _parallel(records, lambda batch: _parse(batch, self.manifest))
        return self._represented(rows.map(fill_up), skip=0)

    def _represented(self, blocks: tf.data.Dataset, skip: int) -> tf.data.Dataset:
        """Batches of blocks of (rows, weight), each of as many rows as fill its batches."""

        def features_and_label(rows: Rows, weight: tf.Tensor) -> tuple[Rows, tf.Tensor, tf.Tensor]:
            sequence = rows["sequence"]
            if sequence.dtype.is_integer:
                ids = tf.cast(sequence, tf.int64)
                sequence = represent(ids, self.representation, self.manifest.alphabet_size)
            length = tf.cast(rows["length"], tf.int64)
            return ({"sequence": sequence, "length": length}, tf.cast(rows["label"], tf.int64),
                    weight)  # fmt: skip

        options = tf.data.Options()
        # Its thread may sleep for a minute before it lets go of an iterator (TensorFlow 2.21).
        options.autotune.enabled = False
        # Threads of its own: those that TensorFlow has for all are busy with the model.
        options.threading.private_threadpool_size = _AT_ONCE
        batches = blocks.rebatch(self.batch_size, drop_remainder=True).skip(skip)
        represented = _parallel(batches, features_and_label)
        return represented.prefetch(_PREFETCHED_BATCHES).with_options(options)

    @cached_property
    def _rows(self) -> _RowsInMemory:
        return _RowsInMemory(self.manifest)


def length_bucketed_order(
    length: tf.Tensor, batch_size: int, seed: tuple[int, tf.Tensor]
) -> tuple[tf.Tensor, tf.Tensor]:
    """The rows of a block in the order of its batches, each of rows of about the same length.

    Shuffled, then sorted by length, then cut into batches, then those shuffled. The shortest row
    stands in, with weight 0, for those that a batch lacks.

    Args:
        length: (rows,), of at least one row.
        batch_size: of each batch.
        seed: two integers.

    Returns:
        Row numbers (batches · batch_size,) int32 and weights, 1 or 0, (batches · batch_size,).
    """
    shuffle = tf.random.experimental.stateless_shuffle
    rows = tf.size(length)
    order = shuffle(tf.range(rows), seed)
    order = tf.gather(order, tf.argsort(tf.gather(length, order), stable=True))
    lacking = -rows % batch_size
    order = tf.concat([tf.repeat(order[:1], lacking), order], axis=0)
    weight = tf.concat([tf.zeros(lacking), tf.ones(rows)], axis=0)
    batches = shuffle(tf.range(tf.size(order) // batch_size), seed)

    def reordered(values: tf.Tensor) -> tf.Tensor:
        return tf.reshape(tf.gather(tf.reshape(values, [-1, batch_size]), batches), [-1])

    return reordered(order), reordered(weight)


class _RowsInMemory:
    """The train split as bytes: one for each character, where ids are below 256.

    All is in numpy, from where blocks are gathered: a tensor of it would be a copy.
    """

    def __init__(self, manifest: Manifest) -> None:
        shards = [shard.path for shard in manifest.shards_of("train")]
        records = _records(manifest, shards, _SHUFFLE_BLOCK)
        self.count = manifest.records("train")
        rows, timesteps = self.count, manifest.max_length
        self._columns: dict[str, npt.NDArray[np.integer]] = {
            "sequence": np.empty((rows, timesteps), _smallest(manifest.unknown_id)),
            "length": np.empty(rows, _smallest(timesteps)),
            "label": np.empty(rows, _smallest(len(manifest.labels))),
        }
        self._order: npt.NDArray[np.unsignedinteger] | None = None
        self._orders = 0
        first = 0
        for block in _parallel(records, lambda block: as_ids(_parse(block, manifest))):
            last = first + len(block["label"])
            for name, column in self._columns.items():
                column[first:last] = block[name].numpy()
            first = last

    def blocks(self, random: np.random.Generator, block_size: int, first: int) -> tf.data.Dataset:
        """All rows in a random order, cut into blocks, of which the first `first` are left out.

        There is one order at a time: blocks of an earlier one are not to be asked for any more.
        """
        self._order = None  # Before the next one takes as much.
        self._order = np.arange(self.count, dtype=np.uint32 if self.count < 2**32 else np.uint64)
        random.shuffle(self._order)
        self._orders += 1
        mine = self._orders

        def gather(number: int) -> list[npt.NDArray[np.integer]]:
            if mine != self._orders or self._order is None:
                raise RuntimeError("another epoch has begun")
            chosen = self._order[number * block_size : (number + 1) * block_size]
            return [np.take(column, chosen, axis=0) for column in self._columns.values()]

        types = [column.dtype for column in self._columns.values()]

        def block(number: tf.Tensor) -> Rows:
            rows = _python(gather, number, types)
            return {
                name: tf.ensure_shape(values, [None, *column.shape[1:]])
                for (name, column), values in zip(self._columns.items(), rows, strict=True)
            }

        numbers = tf.data.Dataset.range(first, math.ceil(self.count / block_size))
        return _parallel(numbers, block)


def _smallest(largest: int) -> type[np.integer]:
    """The smallest type that holds integers from 0 to `largest` and that TensorFlow can gather."""
    return next(t for t in (np.uint8, np.uint16, np.int32) if largest <= np.iinfo(t).max)


def as_ids(rows: Rows) -> Rows:
    """Rows with one-hot vectors as ids; that of an unknown character, zero, as 0."""
    sequence = rows["sequence"]
    if not sequence.dtype.is_integer:
        known = tf.reduce_max(sequence, axis=2) > 0
        sequence = tf.where(known, tf.argmax(sequence, axis=2) + 1, 0)
    return {**rows, "sequence": sequence}


@contextmanager
def unreadable_as_data_error(manifest: Manifest) -> Iterator[None]:
    """Give a record that cannot be read, or a shard that cannot be fetched, an error for people.

    Raises:
        DataError: there was one in the block; the message names the shard, and the record.
    """
    try:
        yield
    except tf.errors.DataLossError as error:
        where = next(_torn_records(manifest), "a shard was, but is not any more")
        raise DataError(
            f"{manifest.directory}: {where}: corrupted, prepare the dataset again; "
            f"python -m pipeline.inspect {manifest.directory} --verify looks at all of it"
        ) from error
    except tf.errors.OpError as error:
        trouble = manifest.files.trouble
        if not trouble:
            raise
        raise DataError(
            f"{trouble}; give the same command again: a training goes on from its newest checkpoint"
        ) from error


def _torn_records(manifest: Manifest) -> Iterator[str]:
    """Shards that cannot be read to their ends, each with its first bad record's number, from 1."""
    names = [shard.path for shard in manifest.shards]
    for name, path in zip(names, manifest.files.in_order(names), strict=True):
        read = 0
        try:
            for chunk in _read(path, manifest).batch(1):
                read += len(chunk)
        except tf.errors.DataLossError:
            yield f"{name}, record {read + 1:,}"


def _records(manifest: Manifest, shards: list[str], batch_size: int) -> tf.data.Dataset:
    """Serialized Examples of several shards, some of each in turn: (batch,) string."""
    files = manifest.files

    def read(path: tf.Tensor) -> tf.data.Dataset:
        # In chunks, because tf.data spends more on an element than there is to do for a record.
        return _read(path, manifest).batch(_CHUNK)

    if not isinstance(files, StoredFiles):
        paths = tf.data.Dataset.from_tensor_slices([files.path(shard) for shard in shards])
        return paths.interleave(read, cycle_length=_OPEN_SHARDS).rebatch(batch_size)
    fetched = files.fetched(shards, ahead=_OPEN_SHARDS)

    def read_fetched(number: tf.Tensor) -> tf.data.Dataset:
        # Here, where it is asked in order: TensorFlow may run a `map` of its own in parallel.
        path = tf.ensure_shape(_python(fetched, number, tf.string), [])
        return read(path).concatenate(_removed(path))

    numbers = tf.data.Dataset.range(len(shards))
    return numbers.interleave(read_fetched, cycle_length=_OPEN_SHARDS).rebatch(batch_size)


def _removed(path: tf.Tensor) -> tf.data.Dataset:
    """No element; when the first is asked for, the file is removed."""

    def remove(path: bytes) -> np.bool_:
        os.remove(path)
        return np.bool_(False)

    one = tf.data.Dataset.from_tensor_slices(path[tf.newaxis, tf.newaxis])
    return one.filter(lambda path: tf.ensure_shape(_python(remove, path[0], tf.bool), []))


def _python(function: Callable[[Any], Any], value: tf.Tensor, types: Any) -> Any:
    """What a Python function of ours gives for a value; of unknown shape.

    Called as if it had no state: with anything stateful in it (`from_tensors` counts as such)
    TensorFlow runs all of a pipeline in one thread and only when the model asks, as long as
    operations are to be deterministic. Ours are asked in order and touch nothing of others.
    """
    return tf.numpy_function(function, [value], types, stateful=False)


def _read(path: tf.Tensor | str, manifest: Manifest) -> tf.data.Dataset:
    compression = {"none": "", "gzip": "GZIP"}[manifest.compression]
    return tf.data.TFRecordDataset(path, compression, _READ_BUFFER)


def _parse(serialized: tf.Tensor, manifest: Manifest) -> Rows:
    """Serialized Examples (rows,) string to the features of the manifest, (rows, …) each."""
    spec = {
        name: tf.io.FixedLenFeature(feature.shape, feature.dtype)
        for name, feature in manifest.feature_spec.items()
    }
    # All at once: parse_single_example, mapped over rows, is ten times slower.
    rows: Rows = tf.io.parse_example(serialized, spec)
    return rows


def _parallel(dataset: tf.data.Dataset, function: Callable[..., object]) -> tf.data.Dataset:
    return dataset.map(function, num_parallel_calls=_AT_ONCE, deterministic=True)
