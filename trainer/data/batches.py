"""TFRecord shards to batches, in an order that depends only on (seed, epoch).

A batch is ({"sequence": (batch, *input_shape), "length": (batch,) int64}, label (batch,) int64,
weight (batch,) float32). All batches have the same shape, so that a step is compiled once: copies
of other rows, with weight 0, fill up a batch that lacks rows. The weight of others is 1, or, where
records have weights, in proportion to theirs, with a mean of 1 over the split.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import tensorflow as tf

from charseq.examples import WEIGHT
from charseq.manifest import Manifest
from trainer.data.dataset import Dataset
from trainer.data.order import length_bucketed_order
from trainer.data.records import Rows, data_options, parallel_map, parse_rows, read_records
from trainer.data.representation import represent
from trainer.data.rows_in_memory import RowsInMemory
from trainer.data.unknown import replace_some

# Rows that are shuffled together: a block of ids records takes about 4 MB, of one_hot 50 MB.
_SHUFFLE_BLOCK = 16_384
_PREFETCHED_BATCHES = 8


def resolve_batch_size(requested: int, rows: int) -> int:
    """Return the size of a batch: no more than the rows of an epoch.

    What a batch holds beyond them would be computed, and count for nothing.
    """
    return min(requested, rows)


def count_batches(manifest: Manifest, split: str, batch_size: int) -> int:
    """Return the number of batches of a split."""
    return math.ceil(manifest.records(split) / batch_size)


@dataclass(frozen=True)
class Batches:
    """The batches of a dataset.

    cache: none, to stream the shards in every epoch, or memory, to keep their rows as bytes and
    shuffle all of them together. unknown_rate: the share of characters that become unknown in
    training, of records of ids.

    Raises:
        tf.errors.DataLossError: a record is torn, or its checksum is wrong.
    """

    dataset: Dataset
    representation: str
    batch_size: int
    seed: int = 0
    cache: str = "none"
    unknown_rate: float = 0.0

    @property
    def manifest(self) -> Manifest:
        """The manifest of the dataset."""
        return self.dataset.manifest

    def count(self, split: str) -> int:
        """Return the number of batches of a split."""
        return count_batches(self.manifest, split, self.batch_size)

    def training(self, epoch: int, skip: int = 0) -> tf.data.Dataset:
        """Return the train split in the order of an epoch, without its first `skip` batches.

        The order depends only on (seed, epoch), so that a run can continue at any step. Rows are
        shuffled in blocks, and the rows of a batch have similar lengths: a step takes as long as
        its longest row requires.
        """
        random = np.random.default_rng([self.seed, epoch])
        batches_per_block = max(1, _SHUFFLE_BLOCK // self.batch_size)
        first, skip_in_block = divmod(skip, batches_per_block)
        # The generator is used in this order: the order of a run must not change.
        blocks = self._blocks(random, batches_per_block * self.batch_size, first)
        seed, unknown_seed = (int(random.integers(2**63)) for _ in range(2))

        def arrange(number: tf.Tensor, rows: Rows) -> tuple[Rows, tf.Tensor]:
            rows = self._with_unknown_characters(rows, (unknown_seed, number))
            order, weight = length_bucketed_order(rows["length"], self.batch_size, (seed, number))
            return _gather(rows, order), weight

        numbered = tf.data.Dataset.zip(tf.data.Dataset.range(first, tf.int64.max), blocks)
        return self._to_batches(parallel_map(numbered, arrange), "train", skip_in_block)

    def evaluation(self, split: str) -> tf.data.Dataset:
        """Return every row of a split once, always in the same order."""
        shards = [shard.path for shard in self.manifest.shards_of(split)]

        def fill_up(rows: Rows) -> tuple[Rows, tf.Tensor]:
            count = tf.size(rows["length"])
            order = tf.minimum(tf.range(self.batch_size), count - 1)
            return _gather(rows, order), tf.cast(tf.range(self.batch_size) < count, tf.float32)

        records = read_records(self.dataset, shards, self.batch_size)
        return self._to_batches(parse_rows(records, self.manifest).map(fill_up), split, skip=0)

    def _with_unknown_characters(self, rows: Rows, seed: tuple[int, tf.Tensor]) -> Rows:
        ids, unknown_id = rows["sequence"], self.manifest.unknown_id
        if not self.unknown_rate or not ids.dtype.is_integer:
            return rows
        replaced = replace_some(ids, rows["length"], unknown_id, self.unknown_rate, seed)
        return {**rows, "sequence": replaced}

    def _blocks(self, random: np.random.Generator, block_size: int, first: int) -> tf.data.Dataset:
        """Return the train split in shuffle blocks, without the first `first` of them."""
        if self.cache == "memory":
            return self._rows_in_memory.blocks(random, block_size, first)
        shards = random.permutation([shard.path for shard in self.manifest.shards_of("train")])
        records = read_records(self.dataset, shards.tolist(), block_size)
        return parse_rows(records.skip(first), self.manifest)

    def _to_batches(self, blocks: tf.data.Dataset, split: str, skip: int) -> tf.data.Dataset:
        """Cut blocks of (rows, weight), each of whole batches, into batches for the model."""
        scale = self.manifest.weight_scale(split)
        batches = blocks.rebatch(self.batch_size, drop_remainder=True).skip(skip)
        represented = parallel_map(batches, partial(self._represent_batch, scale))
        return represented.prefetch(_PREFETCHED_BATCHES).with_options(data_options())

    def _represent_batch(
        self, scale: float, rows: Rows, weight: tf.Tensor
    ) -> tuple[Rows, tf.Tensor, tf.Tensor]:
        """Return a batch; scale: what the weights of records are multiplied by."""
        if WEIGHT in rows:
            weight *= rows[WEIGHT] * scale
        sequence = rows["sequence"]
        if sequence.dtype.is_integer:
            ids = tf.cast(sequence, tf.int64)
            sequence = represent(ids, self.representation, self.manifest.alphabet_size)
        features = {"sequence": sequence, "length": tf.cast(rows["length"], tf.int64)}
        return features, tf.cast(rows["label"], tf.int64), weight

    @cached_property
    def _rows_in_memory(self) -> RowsInMemory:
        return RowsInMemory(self.dataset)


def _gather(rows: Rows, order: tf.Tensor) -> Rows:
    return {name: tf.gather(values, order) for name, values in rows.items()}
