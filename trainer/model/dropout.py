"""Dropout by numbers that are drawn elsewhere."""

from __future__ import annotations

import tensorflow as tf


def drop(values: tf.Tensor, rate: float, numbers: tf.Tensor) -> tf.Tensor:
    """Return values with zeros where the number is below `rate`, and the others scaled up.

    numbers: of the shape of `values`, uniform in 0 to 1.
    """
    return values * tf.cast(numbers >= rate, values.dtype) / (1 - rate)
