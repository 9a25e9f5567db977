"""Characters of train rows that become unknown, so that the unknown character is learned."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf


def replace_some(
    ids: tf.Tensor, length: tf.Tensor, unknown_id: int, rate: float, seed: Sequence[tf.Tensor]
) -> tf.Tensor:
    """Return sequences with a share of their characters replaced by the unknown one.

    Where the alphabet covers the train split, the vector of the unknown character would stay as
    random as it began.

    Args:
        ids: (rows, timesteps) integers.
        length: (rows,); what is behind stays padding.
        unknown_id: the id to put in.
        rate: the share of characters.
        seed: two integers, of which characters; the same seed gives the same.
    """
    numbers = tf.random.stateless_uniform(tf.shape(ids), tf.stack(seed))
    is_inside = tf.range(tf.shape(ids)[1]) < tf.cast(length, tf.int32)[:, tf.newaxis]
    return tf.where((numbers < rate) & is_inside, tf.cast(unknown_id, ids.dtype), ids)
