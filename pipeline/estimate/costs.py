"""What a row costs in each step of a preparation, measured on the rows of a sample."""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import tensorflow as tf

from pipeline.dataset.checking import UsableRows, check_block
from pipeline.dataset.plan import make_plan
from pipeline.dataset.shuffling import partition_rows
from pipeline.options import AUTO, MAX_SHARDS, Options
from pipeline.rows.blocks import Block
from pipeline.rows.counts import add_counts
from pipeline.shards.partition import default_train_shards, plan_partition
from pipeline.shards.write import write_shard
from pipeline.sizes.characters import add_character_counts, count_characters
from pipeline.sizes.length_pass import measure_block
from pipeline.split_options import SplitOptions

T = TypeVar("T")
# The first round also loads the graph, and the fastest one had the least beside it.
_ROUNDS = 3
# Of a longer step that matters little.
_LONG_SECONDS = 5.0


@dataclass(frozen=True)
class Costs:
    """What a row of the input costs, on average.

    seconds: of a core. spilled: the bytes that it has between two steps. written: those that it has
    in a shard. shards: how many there will be, of all splits.
    """

    seconds: float
    spilled: float
    written: float
    shards: int


def measure_costs(
    blocks: Sequence[Block], rows: int, transform_dir: str, options: Options
) -> Costs:
    """Take the steps of a preparation on a sample, without Beam, and measure them.

    They are those of a dataset with one split, whatever the options say.

    Args:
        blocks: the sample.
        rows: of the whole input.
        transform_dir: the graph of the sample, with its vocabulary.
        options: of the preparation, with the length that was chosen.
    """
    fractions, num_shards = options.split_fractions, options.num_shards
    # Not the splits: one may be empty if rows are split by `--split` alone.
    options = replace(
        options, input=options.all_inputs, splits=SplitOptions(), split="train=1", num_shards=None
    )
    stopwatch = _Stopwatch()
    checked = stopwatch.fastest(lambda: [check_block(block, options) for block in blocks])
    counts = add_counts(block.counts for block in checked)
    share = next(iter(fractions.values()))
    usable = math.ceil(rows * counts.usable / counts.read)
    of_train = num_shards or default_train_shards(usable * share)
    shards = len(plan_partition(fractions, of_train).shards)
    options = replace(options, num_shards=min(shards, MAX_SHARDS))
    if options.max_length == AUTO:
        stopwatch.fastest(lambda: [measure_block(block, options.row_rules) for block in blocks])
    train = [block.train["sequence"].flatten() for block in checked if block.train is not None]
    characters = stopwatch.fastest(lambda: add_character_counts(map(count_characters, train)))
    batches = [tf.constant(texts.to_pylist()) for texts in train]
    stopwatch.fastest(lambda: [_split_and_count(batch) for batch in batches])
    plan = make_plan(counts, None, characters, transform_dir, [b.part for b in blocks], options)
    usable_rows = [UsableRows(block.part, block.first, block.packed) for block in checked]
    partitioned = stopwatch.fastest(
        lambda: [partition_rows(each, plan, options) for each in usable_rows]
    )
    packed = [rows for each in partitioned for _, rows in each.by_shard]
    with tempfile.TemporaryDirectory() as directory:
        shard = stopwatch.fastest(
            lambda: write_shard(
                plan.partition.shards[0], packed, transform_dir, directory, plan.options
            )
        )
        index_bytes = os.path.getsize(shard.staged_index)
    spilled = sum(len(block.packed) for block in checked) + sum(map(len, packed))
    return Costs(
        stopwatch.seconds / counts.read,
        spilled / counts.read,
        (shard.bytes + index_bytes) / counts.read,
        shards,
    )


@tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
def _split_and_count(texts: tf.Tensor) -> tf.Tensor:
    """Return how often each character occurs, as TensorFlow Transform counts them."""
    characters = tf.strings.unicode_split(texts, "UTF-8").values
    return tf.unique_with_counts(characters).count


class _Stopwatch:
    """Adds up the CPU seconds of some steps."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def fastest(self, step: Callable[[], T]) -> T:
        """Take a step some times, and add the CPU seconds of the fastest one; return its result."""
        seconds = math.inf
        for _ in range(_ROUNDS):
            before = time.process_time()
            result = step()
            seconds = min(seconds, time.process_time() - before)
            if seconds > _LONG_SECONDS:
                break
        self.seconds += seconds
        return result
