"""The train split kept in memory, and its rows in another random order for every epoch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from charseq.examples import WEIGHT, to_ids
from trainer.data.dataset import Dataset
from trainer.data.records import Rows, call_python, parallel_map, read_rows

_ROWS_AT_ONCE = 16_384


class RowsInMemory:
    """The train split as bytes: one for each character, where ids are below 256.

    The columns are numpy arrays, from which blocks are gathered: a tensor would be a copy.
    """

    def __init__(self, dataset: Dataset) -> None:
        manifest = dataset.manifest
        self.count = manifest.records("train")
        max_length, labels = manifest.max_length, len(manifest.labels)
        self._columns: dict[str, npt.NDArray[Any]] = {
            "sequence": np.empty((self.count, max_length), smallest_dtype(manifest.unknown_id)),
            "length": np.empty(self.count, smallest_dtype(max_length)),
            "label": np.empty(self.count, smallest_dtype(labels)),
        }
        if WEIGHT in manifest.feature_spec:
            self._columns[WEIGHT] = np.empty(self.count, np.float32)
        self._order: npt.NDArray[np.unsignedinteger] | None = None
        self._num_orders = 0
        self._fill(dataset)

    def _fill(self, dataset: Dataset) -> None:
        shards = [shard.path for shard in dataset.manifest.shards_of("train")]
        rows = read_rows(dataset, shards, _ROWS_AT_ONCE)
        ids = parallel_map(rows, lambda row: {**row, "sequence": to_ids(row["sequence"])})
        first = 0
        for block in ids:
            last = first + len(block["label"])
            for name, column in self._columns.items():
                column[first:last] = block[name].numpy()
            first = last

    def blocks(self, random: np.random.Generator, block_size: int, first: int) -> tf.data.Dataset:
        """Return all rows in a random order, cut into blocks, without the first `first` blocks.

        There is only one order at a time: reading blocks of an earlier one raises RuntimeError.
        """
        self._shuffle(random)
        number_of_order = self._num_orders
        types = [column.dtype for column in self._columns.values()]

        def gather(number: int) -> list[npt.NDArray[Any]]:
            if number_of_order != self._num_orders or self._order is None:
                raise RuntimeError("another epoch has begun")
            chosen = self._order[number * block_size : (number + 1) * block_size]
            return [np.take(column, chosen, axis=0) for column in self._columns.values()]

        def block(number: tf.Tensor) -> Rows:
            rows = call_python(gather, number, types)
            return {
                name: tf.ensure_shape(values, [None, *column.shape[1:]])
                for (name, column), values in zip(self._columns.items(), rows, strict=True)
            }

        numbers = tf.data.Dataset.range(first, math.ceil(self.count / block_size))
        return parallel_map(numbers, block)

    def _shuffle(self, random: np.random.Generator) -> None:
        self._order = None  # Freed before the next one takes as much.
        self._order = np.arange(self.count, dtype=np.uint32 if self.count < 2**32 else np.uint64)
        random.shuffle(self._order)
        self._num_orders += 1


def smallest_dtype(largest: int) -> type[np.integer]:
    """Return the smallest dtype for integers 0 to `largest` that TensorFlow can gather."""
    dtypes = (np.uint8, np.uint16, np.int32)
    return next(dtype for dtype in dtypes if largest <= np.iinfo(dtype).max)
