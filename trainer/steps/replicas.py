"""Sums over the replicas of a strategy that have the same bits whatever their number.

Replicas add up in an order of their own. So each gives the parts of a sum to all others, which add
them in the order of the rows, as one replica alone does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras
import tensorflow as tf


def replica_number() -> int:
    """Return the number of this replica, from 0; each has a graph of its own."""
    return int(tf.get_static_value(_context().replica_id_in_sync_group))


def gather(values: tf.Tensor) -> tf.Tensor:
    """Return the values (rows, …) of all replicas, one after another, on each of them."""
    if _context().num_replicas_in_sync == 1:
        return values
    return tf.ensure_shape(_context().all_gather(values, axis=0), [None, *values.shape[1:]])


def gather_sequences(values: tf.Tensor, timesteps: int) -> tf.Tensor:
    """Return the values (rows, steps, …) of all replicas, one after another, on each of them.

    steps: the same on all replicas, at most `timesteps`. It may differ from batch to batch, but
    TensorFlow demands that what replicas send each other always has the same shape.
    """
    if _context().num_replicas_in_sync == 1:
        return values
    steps = tf.shape(values)[1]
    paddings = [[0, 0], [0, timesteps - steps], *[[0, 0]] * (len(values.shape) - 2)]
    padded = tf.ensure_shape(tf.pad(values, paddings), [None, timesteps, *values.shape[2:]])
    return gather(padded)[:, :steps]


def add_counts(count: tf.Tensor) -> tf.Tensor:
    """Return the sum over all replicas of a whole number, float32, on each of them.

    In any order it is exact, up to 2**24.
    """
    if _context().num_replicas_in_sync == 1:
        return count
    return _context().all_reduce(tf.distribute.ReduceOp.SUM, count)


def add_in_order(
    parts: Sequence[Sequence[tf.Tensor]], count: int, shapes: Sequence[Sequence[int]]
) -> list[tf.Tensor]:
    """Return several sums over the parts of all replicas, added in their order, on each replica.

    What replicas send each other is one tensor: a message for each sum would take longer.

    Args:
        parts: of this replica, each the float32 terms of all sums; there may be none.
        count: of the parts of all replicas.
        shapes: of the sums.
    """
    if _context().num_replicas_in_sync == 1:
        return [tf.add_n(terms) for terms in zip(*parts, strict=True)]
    sizes = [math.prod(shape) for shape in shapes]
    own = [tf.concat([tf.reshape(term, [-1]) for term in part], axis=0) for part in parts]
    gathered = gather(tf.stack(own) if own else tf.zeros([0, sum(sizes)]))
    sums = tf.split(tf.add_n(tf.unstack(gathered, count)), sizes)
    return [tf.reshape(each, shape) for each, shape in zip(sums, shapes, strict=True)]


def keep_on_first(values: tf.Tensor) -> tf.Tensor:
    """Return values on the first replica and zeros on all others: their sum are the values."""
    if _context().num_replicas_in_sync == 1:
        return values
    # Chosen in the graph: without that, TensorFlow merges the sums that follow into one of another
    # order.
    is_first = tf.convert_to_tensor(_context().replica_id_in_sync_group) == 0
    return tf.where(is_first, values, tf.zeros_like(values))


def apply_gradients(
    optimizer: keras.optimizers.Optimizer,
    gradients: Sequence[tf.Tensor],
    variables: Sequence[keras.Variable],
) -> tf.Tensor:
    """Update variables by gradients that are the same on all replicas; return the updates so far.

    The optimizer sums over the replicas.
    """
    optimizer.apply([keep_on_first(gradient) for gradient in gradients], variables)
    return tf.identity(optimizer.iterations)


def _context() -> tf.distribute.ReplicaContext:
    return tf.distribute.get_replica_context()
