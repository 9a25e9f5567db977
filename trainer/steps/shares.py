"""How the rows of a batch are divided among replicas, so that sums do not depend on their number.

A batch is cut into parts, whatever the replicas, and each replica computes some of them, one after
another. A sum over the batch adds up the parts in their order. Of more replicas than parts, some
compute nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, TypeVar

import tensorflow as tf

# XLA computes one part on one core, and several at once. A number of rows, not of parts for each
# core: the sums, and so the weights, do not depend on the machine.
_ROWS_PER_PART = 128
_FEW_ROWS = 8

# Features by name, labels (rows,) and weights (rows,).
Batch = tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]
Parts = TypeVar("Parts", bound=tuple[Any, tf.Tensor, tf.Tensor])


def num_parts(batch_size: int) -> int:
    """Return into how many parts a batch is cut; of few rows there are two, for two cores."""
    return max(batch_size // _ROWS_PER_PART, min(2, batch_size // _FEW_ROWS), 1)


@dataclass(frozen=True)
class Shares:
    """The shares of replicas in a batch.

    batch_size: the rows of all replicas together. num_parts: of the batch.
    """

    batch_size: int
    num_parts: int
    num_replicas: int = 1

    def parts(self, replica: int) -> range:
        """Return the numbers of the parts that a replica computes, by its own number."""
        return range(*(self.num_parts * n // self.num_replicas for n in (replica, replica + 1)))

    def rows(self, replica: int) -> slice:
        """Return the rows of the batch that are a replica's."""
        parts = self.parts(replica)
        return slice(self._first_row(parts.start), self._first_row(parts.stop))

    def cut(self, share: Parts, replica: int) -> list[Parts]:
        """Cut the rows that are a replica's into its parts."""
        parts, offset = self.parts(replica), self.rows(replica).start
        bounds = [self._first_row(part) - offset for part in (*parts, parts.stop)]
        return [
            tf.nest.map_structure(partial(_rows, first, last), share)
            for first, last in pairwise(bounds)
        ]

    def _first_row(self, part: int) -> int:
        return self.batch_size * part // self.num_parts


def _rows(first: int, last: int, values: tf.Tensor) -> tf.Tensor:
    # Of a known number of rows: of another, XLA would add some sums up in another order.
    return tf.ensure_shape(values[first:last], [last - first, *values.shape[1:]])


def trim_padding(batch: Batch) -> Batch:
    """Cut the sequences of a batch at the end of the longest one."""
    features, labels, weights = batch
    longest = tf.reduce_max(features["length"])
    return {**features, "sequence": features["sequence"][:, :longest]}, labels, weights
