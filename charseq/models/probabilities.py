"""The probabilities of encoded sequences, from a model's own graph or from XLA's program of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from charseq.models.batches import batch_rows
from charseq.models.saved_model import (
    CLASSIFY_IDS,
    IDS,
    LENGTH,
    PROBABILITIES,
    PROBABILITY_TOLERANCE,
)

if TYPE_CHECKING:
    import tensorflow as tf

# From ids (rows, max_length) int64 and lengths (rows,) int64 to (rows, labels) float32.
Probabilities = Callable[["tf.Tensor", "tf.Tensor"], "tf.Tensor"]

_LONGEST_TRIED = 32


class Reader(Protocol):
    """What a model reads: sequences of at most so many ids, of which `unknown_id` is the last."""

    @property
    def max_length(self) -> int: ...

    @property
    def unknown_id(self) -> int: ...


def find_probabilities(loaded: Any, model: Reader, rows: int | None = None) -> Probabilities:
    """Return the function that a loaded model's signature `classify_ids` computes.

    XLA computes it if it can compile it, and agrees with the model's own graph: bfloat16, for
    instance, it rounds less often. On GPUs, where that was never measured, the graph does.

    Args:
        loaded: the model.
        model: what it reads.
        rows: of the batch that it is tried with; None for `batch_rows`.
    """
    import tensorflow as tf

    signature = loaded.signatures[CLASSIFY_IDS]

    def in_graph(ids: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        return signature(**{IDS: ids, LENGTH: length})[PROBABILITIES]

    if tf.config.list_logical_devices("GPU"):
        return in_graph
    in_xla: Probabilities = tf.function(in_graph, jit_compile=True)
    return in_xla if _agree(in_xla, in_graph, _sequences_to_try(model, rows)) else in_graph


def _agree(
    in_xla: Probabilities, in_graph: Probabilities, inputs: tuple[tf.Tensor, tf.Tensor]
) -> bool:
    """Return whether XLA can compute probabilities, and they are those of the graph."""
    import tensorflow as tf

    try:
        got, expected = in_xla(*inputs), in_graph(*inputs)
    except tf.errors.OpError:
        return False
    return np.allclose(got, expected, rtol=0, atol=PROBABILITY_TOLERANCE)


def _sequences_to_try(model: Reader, rows: int | None) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the ids and lengths of a batch: with every character, and of many lengths."""
    import tensorflow as tf

    number, position = np.ogrid[: rows or batch_rows(model.max_length), : model.max_length]
    length = 1 + number % min(model.max_length, _LONGEST_TRIED)
    ids = np.where(position < length, 1 + (number + position) % model.unknown_id, 0)
    return tf.constant(ids, tf.int64), tf.constant(length[:, 0], tf.int64)
