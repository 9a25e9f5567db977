"""The order of the rows of a shuffle block."""

from __future__ import annotations

import tensorflow as tf


def length_bucketed_order(
    length: tf.Tensor, batch_size: int, seed: tuple[int, tf.Tensor]
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the rows of a block in the order of its batches, each of rows of similar length.

    The rows are shuffled, sorted by length (stable), and cut into batches, which are shuffled
    again. The shortest row, with weight 0, fills up the batch that lacks rows.

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
