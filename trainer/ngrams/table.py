"""The vectors of n-grams while they are trained: a row for each bucket, few of which change.

A step reads and writes the rows of its batch only, so that it costs the same however many buckets
there are. A row begins at zero and stays zero until a batch has an n-gram in its bucket: n-grams
that the train split lacks have no effect in validation, evaluation and export.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

_EPSILON = 1e-6


class Lookup(NamedTuple):
    """The rows that the n-grams of a batch have in a table.

    rows: (distinct,) int32, rising. places: (batch, positions, sizes) int32, of each n-gram in
    `rows`. vectors: (distinct, width) float32.
    """

    rows: tf.Tensor
    places: tf.Tensor
    vectors: tf.Tensor


class Stored(NamedTuple):
    """A part of a table as a checkpoint holds it.

    shape: of its array; None where it depends on the rows that a step has changed.
    """

    shape: tuple[int | None, ...]
    numpy: Callable[[], npt.NDArray[np.generic]]
    assign: Callable[[npt.NDArray[Any]], object]


class NgramTable:
    """Vectors for each bucket, side by side, and what Adagrad (Duchi et al., 2011) keeps of them.

    vectors: (num_buckets + 1, sum of `widths`) float32. Row 0 stands where there is no n-gram, and
    stays zero. squares: (num_buckets + 1, vectors) float32, of each vector the sum of the mean
    squared gradients; its numbers share a rate.
    """

    def __init__(self, num_buckets: int, widths: Sequence[int]) -> None:
        self.widths = tuple(widths)
        self.vectors = _zeros([num_buckets + 1, sum(widths)], "ngram_vectors")
        self.squares = _zeros([num_buckets + 1, len(widths)], "ngram_squares")
        self._restored = np.zeros(0, np.int32)

    def look_up(self, buckets: tf.Tensor) -> Lookup:
        """Return the rows of buckets (batch, positions, sizes) int32."""
        rows, places = tf.unique(tf.reshape(buckets, [-1]))
        # In an order that no other row of the batch decides: vectors are added up in the order of
        # their places, and replicas have other rows beside them than one device has.
        order = tf.argsort(rows)
        places = tf.gather(tf.math.invert_permutation(order), tf.reshape(places, tf.shape(buckets)))
        rows = tf.gather(rows, order)
        return Lookup(rows, places, _read_rows(self.vectors, rows))

    def update(self, lookup: Lookup, gradient: tf.Tensor, rates: tf.Tensor) -> tf.Operation:
        """Take a step of Adagrad on the rows of a batch, and on no others.

        Args:
            lookup: of the batch.
            gradient: (distinct, width) float32, of the loss by the vectors.
            rates: (vectors,) float32, the learning rate of each.
        """
        gradient *= tf.cast(lookup.rows > 0, tf.float32)[:, tf.newaxis]
        of_each = tf.split(gradient, self.widths, axis=1)
        means = tf.stack([tf.reduce_mean(each * each, axis=1) for each in of_each], axis=1)
        squares = _read_rows(self.squares, lookup.rows) + means
        scales = tf.repeat(rates / (tf.sqrt(squares) + _EPSILON), self.widths, axis=1)
        vectors = lookup.vectors - gradient * scales
        return tf.group(
            _write_rows(self.squares, lookup.rows, squares),
            _write_rows(self.vectors, lookup.rows, vectors),
        )

    def touched(self) -> npt.NDArray[np.int32]:
        """Return the numbers of the rows that training has changed, (rows,) int32."""
        changed = [
            tf.reduce_any(tf.convert_to_tensor(variable) != 0, axis=1)
            for variable in (self.squares, self.vectors)
        ]
        return np.flatnonzero(tf.logical_or(*changed).numpy()).astype(np.int32)

    def stored(self, prefix: str) -> dict[str, Stored]:
        """Return what a checkpoint holds of the model: the rows that a step has changed."""
        bag, *_ = self.widths
        return {
            f"{prefix}/ngram_rows": Stored((None,), self.touched, self._restore_rows),
            f"{prefix}/bag_vectors": self._stored_rows(self.vectors, slice(0, bag)),
            f"{prefix}/lstm_vectors": self._stored_rows(self.vectors, slice(bag, sum(self.widths))),
        }

    def stored_squares(self, prefix: str) -> dict[str, Stored]:
        """Return what a checkpoint holds of the optimizer; restored after the model."""
        columns = slice(0, len(self.widths))
        return {f"{prefix}/ngram_squares": self._stored_rows(self.squares, columns)}

    def _stored_rows(self, variable: tf.Variable, columns: slice) -> Stored:
        def assign(values: npt.NDArray[np.float32]) -> None:
            whole = np.array(tf.convert_to_tensor(variable))
            whole[:, columns] = 0
            whole[self._restored, columns] = values
            variable.assign(whole)

        return Stored(
            (None, columns.stop - columns.start),
            lambda: tf.gather(variable, self.touched()).numpy()[:, columns],
            assign,
        )

    def _restore_rows(self, rows: npt.NDArray[np.int32]) -> None:
        """Note to which rows the values belong that are restored next."""
        self._restored = rows


def sum_by_row(
    places: tf.Tensor, gradient: tf.Tensor, kept: tf.Tensor, distinct: tf.Tensor
) -> tf.Tensor:
    """Return the gradient by the vectors of a lookup, (distinct, width) float32.

    Args:
        places: (batch, positions, sizes) int32, of vectors of the lookup.
        gradient: (batch, positions, width) float32, by the sum of the vectors at each position.
        kept: (batch, positions, sizes) float32, by which each vector was multiplied in the sum.
        distinct: () int32, the number of vectors.
    """
    width = gradient.shape[-1]
    total = tf.zeros([distinct, width])
    for size in range(kept.shape[2]):
        parts = tf.reshape(gradient * kept[:, :, size, tf.newaxis], [-1, width])
        of_size = tf.reshape(places[:, :, size], [-1])
        total += tf.math.unsorted_segment_sum(parts, of_size, distinct)
    return total


def _zeros(shape: Sequence[int], name: str) -> tf.Variable:
    return tf.Variable(tf.zeros(shape), trainable=False, name=name)


def _read_rows(variable: tf.Variable, rows: tf.Tensor) -> tf.Tensor:
    # Not `tf.gather`: under a strategy that would read, and copy, the whole variable.
    return tf.raw_ops.ResourceGather(resource=variable.handle, indices=rows, dtype=variable.dtype)


def _write_rows(variable: tf.Variable, rows: tf.Tensor, values: tf.Tensor) -> tf.Operation:
    # Not `variable.scatter_update`: under a strategy that would add the replicas' values up.
    return tf.raw_ops.ResourceScatterUpdate(resource=variable.handle, indices=rows, updates=values)
