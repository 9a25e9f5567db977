"""What hashes in a graph consist of: 32-bit multiplications that wrap around, shifts and xor.

TensorFlow, XLA, ONNX and JavaScript compute the same numbers from them.
"""

from __future__ import annotations

import tensorflow as tf

# The multiplier of Fibonacci hashing (Knuth, 1973), and those of MurmurHash3's last step.
GOLDEN, FIRST, SECOND = 0x9E3779B1, 0x85EBCA6B, 0xC2B2AE35


def uint32(value: int) -> tf.Tensor:
    """Return a constant, () uint32."""
    return tf.constant(value, tf.uint32)


def fold(bits: tf.Tensor, count: int) -> tf.Tensor:
    """Return uint32 bits whose higher ones are also `count` places lower, by exclusive or."""
    return bits ^ tf.bitwise.right_shift(bits, uint32(count))
