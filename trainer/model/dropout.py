"""Dropout whose masks follow from a key: the same on every device, with XLA and without.

TensorFlow's generators make numbers for statistics, at 2 ns each where XLA compiles them and 400 ns
where it chooses another one. A mask needs less: the place of a value, mixed with the key.
"""

from __future__ import annotations

import tensorflow as tf

from trainer.bits import FIRST, GOLDEN, SECOND, fold, uint32


def random_bits(shape: tf.Tensor | list[int], key: tf.Tensor) -> tf.Tensor:
    """Return 32 random bits for each value of a tensor, int32 of `shape`.

    They are good enough to choose what is dropped, and for nothing else.

    Args:
        shape: (axes,) int32.
        key: (2,) int32; others give other bits.
    """
    first, second = tf.unstack(tf.bitcast(key, tf.uint32))
    first = _mix(first + _mix(second + uint32(GOLDEN)))
    second = _mix(first + uint32(GOLDEN))
    places = tf.bitcast(tf.range(tf.reduce_prod(shape)), tf.uint32)
    bits = _mix(places * uint32(GOLDEN) + first, second)
    return tf.reshape(tf.bitcast(bits, tf.int32), shape)


def drop(values: tf.Tensor, rate: float, bits: tf.Tensor) -> tf.Tensor:
    """Return values with a share of `rate` set to zero, and the others scaled up.

    bits: of `random_bits`, of the shape of `values`.
    """
    is_kept = bits >= round(rate * 2**32) - 2**31
    return tf.where(is_kept, values * (1 / (1 - rate)), 0)


def _mix(bits: tf.Tensor, key: tf.Tensor | int = 0) -> tf.Tensor:
    """Return bits each of which depends on all of `bits`."""
    bits = fold(bits, 16) * uint32(FIRST) + tf.cast(key, tf.uint32)
    return fold(fold(bits, 13) * uint32(SECOND), 16)
