"""Records of shards as tensors, read inside tf.data."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from charseq.errors import DataError
from charseq.examples import parse_examples, read_tfrecords
from charseq.manifest import Manifest
from trainer.data.dataset import Dataset
from trainer.data.files import OPEN_SHARDS

_CHUNK = 128
_READ_BUFFER_BYTES = 1 << 20
PARALLEL_CALLS = 2

# Features of several rows by name: (rows, …) each.
Rows = dict[str, tf.Tensor]


def first_shards(manifest: Manifest, rows: int, split: str = "train") -> list[str]:
    """Return the paths of the first shards of a split that hold `rows` rows, or of all."""
    paths = []
    for shard in manifest.shards_of(split):
        if rows <= 0:
            break
        paths.append(shard.path)
        rows -= shard.records
    return paths


def read_rows(dataset: Dataset, shards: Sequence[str], batch_size: int) -> tf.data.Dataset:
    """Return the rows of several shards, some of each in turn, `batch_size` in an element."""
    records = read_records(dataset, shards, batch_size)
    return parse_rows(records, dataset.manifest).with_options(data_options())


def read_records(dataset: Dataset, shards: Sequence[str], batch_size: int) -> tf.data.Dataset:
    """Return serialized Examples of several shards, some of each in turn: (batch,) string.

    The path of a shard is requested inside `interleave`, which opens the shard at once and
    requests the paths in order; TensorFlow may run a `map` before it in parallel and far ahead.
    """
    by_path = {shard.path: shard for shard in dataset.manifest.shards}

    def shard_path(index: int) -> bytes:
        return os.fsencode(dataset.files.shard_path(shards, index))

    def is_kept(index: int) -> npt.NDArray[np.bool_]:
        assert dataset.excluded is not None
        return dataset.excluded.is_kept(by_path[shards[index]])

    def read(index: tf.Tensor) -> tf.data.Dataset:
        path = tf.ensure_shape(call_python(shard_path, index, tf.string), [])
        # In chunks: tf.data spends more on an element than reading a record takes.
        chunks = _read_shard(path, dataset.manifest).batch(_CHUNK)
        if not dataset.excluded:
            return chunks
        return _keep(chunks, tf.ensure_shape(call_python(is_kept, index, tf.bool), [None]))

    indices = tf.data.Dataset.range(len(shards))
    return indices.interleave(read, cycle_length=OPEN_SHARDS).rebatch(batch_size)


def _keep(chunks: tf.data.Dataset, is_kept: tf.Tensor) -> tf.data.Dataset:
    """Return the records of a shard without some, in chunks as of a shard that never had them.

    is_kept: which records stay, (records,) bool.
    """

    def keep(number: tf.Tensor, chunk: tf.Tensor) -> tf.Tensor:
        first = number * _CHUNK
        return tf.boolean_mask(chunk, is_kept[first : first + tf.size(chunk, tf.int64)])

    kept = chunks.enumerate().map(tf.autograph.experimental.do_not_convert(keep))
    return kept.rebatch(_CHUNK)


def parse_rows(records: tf.data.Dataset, manifest: Manifest) -> tf.data.Dataset:
    """Return the features of each element of serialized Examples."""
    return parallel_map(records, lambda batch: parse_examples(batch, manifest.feature_spec))


def data_options() -> tf.data.Options:
    """Return the options of everything that is iterated over."""
    options = tf.data.Options()
    # Its thread may sleep for a minute before it lets go of an iterator (TensorFlow 2.21).
    options.autotune.enabled = False
    # Threads of its own: those that TensorFlow shares are busy with the model.
    options.threading.private_threadpool_size = PARALLEL_CALLS
    return options


def parallel_map(dataset: tf.data.Dataset, function: Callable[..., object]) -> tf.data.Dataset:
    """Return `dataset` mapped by `function`, a few elements at a time and in their order.

    `function` branches by TensorFlow's functions only: AutoGraph would take longer than the rest.
    """
    traced = tf.autograph.experimental.do_not_convert(function)
    return dataset.map(traced, num_parallel_calls=PARALLEL_CALLS, deterministic=True)


def call_python(function: Callable[[Any], Any], value: tf.Tensor, types: Any) -> Any:
    """Return what a Python function makes of a tensor's value, in tensors of unknown shape.

    It is declared stateless. Anything stateful in a pipeline (`from_tensors` counts too) makes
    TensorFlow run all of it in one thread, and only on demand, while operations have to be
    deterministic. These functions do change something, a cache, but never what they return.
    """
    return tf.numpy_function(function, [value], types, stateful=False)


@contextmanager
def read_errors_as_data_error(dataset: Dataset) -> Iterator[None]:
    """Turn a record or a shard that cannot be read, or a failed download, into a user-facing error.

    Raises:
        DataError: it happened in the block; the message names the shard, and the record, or says
            that the dataset has been replaced.
    """
    try:
        yield
    except tf.errors.DataLossError as error:
        dataset.check_unchanged()
        nowhere = (dataset.parts[0].directory, "a shard was, but is not any more")
        directory, where = next(_corrupted_records(dataset), nowhere)
        raise DataError(
            f"{directory}: {where}: corrupted, prepare the dataset again; "
            f"python -m pipeline.inspect {directory} --verify looks at all of it"
        ) from error
    except tf.errors.OpError as error:
        cause = dataset.files.download_error
        if not cause:
            _raise_if_shard_is_lost(dataset, error)
            raise
        raise DataError(
            f"{cause}; give the same command again: a training goes on from its newest checkpoint"
        ) from error


def _raise_if_shard_is_lost(dataset: Dataset, error: tf.errors.OpError) -> None:
    """Raise a user-facing error if `error` is that a shard is not there, or no longer the same.

    Raises:
        DataError: it is.
    """
    if isinstance(error, tf.errors.NotFoundError):
        dataset.check_unchanged()
        raise DataError(f"{dataset.directory}: {error.message.splitlines()[0]}") from error


def _corrupted_records(dataset: Dataset) -> Iterator[tuple[str, str]]:
    """Yield each shard that cannot be read to its end, with its first bad record, from 1.

    Before it, the directory of its dataset. The shards are copied anew: a pipeline that has failed
    may still request others.
    """
    for part in dataset.parts:
        for shard in part.manifest.shards:
            num_read = 0
            try:
                with part.files.local_copy(shard.path) as path:
                    for _ in _read_shard(path, part.manifest):
                        num_read += 1
            except tf.errors.DataLossError:
                yield part.directory, f"{shard.path}, record {num_read + 1:,}"


def _read_shard(path: str | tf.Tensor, manifest: Manifest) -> tf.data.Dataset:
    return read_tfrecords(path, manifest, _READ_BUFFER_BYTES)
