"""How long a step waits for its batch, measured inside the graph.

Operations of a graph run as soon as their inputs are there and a core is free, in no other order.
The clock has to be read between two of them, so each reading is tied to its neighbours by control
dependencies: after the step before, before the batch is requested; after the batch is there, before
the step begins. Without the last one the clock would wait for a free core while the step runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf


def next_batch(
    batches: Iterator[Any], strategy: tf.distribute.Strategy, after: tf.Tensor
) -> tuple[Any, tf.Tensor, tf.Tensor]:
    """Take a batch once `after` is computed.

    Returns:
        The batch, the time at which it was there and the seconds it took, () float64 each.
    """
    with tf.control_dependencies([after]):
        requested = _now()
    with tf.control_dependencies([requested]):
        batch = next(batches)
    with tf.control_dependencies(strategy.experimental_local_results(batch[2])):
        received = _now()
    return batch, received, received - requested


def begin_after(moment: tf.Tensor, step: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
    """Return `step`, which begins when `moment` is computed."""

    def run(*batch: Any) -> tf.Tensor:
        with tf.control_dependencies([moment]):
            return step(*tf.nest.map_structure(tf.identity, batch))

    return run


def _now() -> tf.Tensor:
    """Return seconds, () float64; `tf.timestamp` is no deterministic operation."""
    return tf.ensure_shape(tf.numpy_function(time.perf_counter, [], tf.float64), [])
