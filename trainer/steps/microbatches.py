"""A replica's share of a batch, cut so that it is computed fast."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, TypeVar

import tensorflow as tf

# XLA computes one microbatch on one core, and several at once. A number of rows, not of
# microbatches for each core: the sums, and so the weights, do not depend on the machine.
_ROWS_PER_MICROBATCH = 128
_FEW_ROWS = 8

# Features by name, labels (rows,) and weights (rows,).
Batch = tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]
Parts = TypeVar("Parts", bound=tuple[Any, tf.Tensor, tf.Tensor])


def num_microbatches(batch_size: int, num_replicas: int = 1) -> int:
    """Return into how many microbatches a replica cuts its share of a batch.

    Where the microbatches of one replica alone can be divided among several, they are: sums over
    them then have the same bits. Of few rows there are two, for two cores.
    """
    alone = _num_microbatches(batch_size)
    if alone % num_replicas == 0 and batch_size % alone == 0:
        return alone // num_replicas
    return _num_microbatches(batch_size // num_replicas)


def _num_microbatches(rows: int) -> int:
    return max(rows // _ROWS_PER_MICROBATCH, min(2, rows // _FEW_ROWS), 1)


def split_batch(batch: Parts, count: int) -> list[Parts]:
    """Cut the rows of a batch into `count` microbatches of about the same size.

    batch: features in any structure, labels (rows,) and weights (rows,).
    """
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
