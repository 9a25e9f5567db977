"""A replica's share of a batch, cut so that it is computed fast."""

from __future__ import annotations

from itertools import pairwise

import tensorflow as tf

# XLA computes one microbatch on one core, and several at once. A number of rows, not of
# microbatches for each core: the sums, and so the weights, do not depend on the machine.
_ROWS_PER_MICROBATCH = 128

# Features by name, labels (rows,) and weights (rows,).
Batch = tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]


def num_microbatches(rows: int) -> int:
    """Return into how many microbatches `rows` rows are cut; two of few rows, for two cores."""
    return max(rows // _ROWS_PER_MICROBATCH, min(2, rows // (_ROWS_PER_MICROBATCH // 4)), 1)


def split_batch(batch: Batch, count: int) -> list[Batch]:
    """Cut the rows of a batch into `count` microbatches of about the same size."""
    rows = tf.size(batch[1])
    bounds = [rows * number // count for number in range(count + 1)]
    return [
        tf.nest.map_structure(lambda each, first=first, last=last: each[first:last], batch)
        for first, last in pairwise(bounds)
    ]


def trim_padding(batch: Batch) -> Batch:
    """Cut the sequences of a batch at the end of the longest one."""
    features, labels, weights = batch
    longest = tf.reduce_max(features["length"])
    return {**features, "sequence": features["sequence"][:, :longest]}, labels, weights
