"""Who computes the probabilities of ids: XLA, or the model's own graph."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from charseq.models.batches import batch_rows
from charseq.models.probabilities import find_probabilities

MODEL = SimpleNamespace(max_length=5, unknown_id=3)
ROWS = 1024
IDS = np.tile([[1, 2, 3, 0, 0]], (ROWS, 1))
LENGTH = np.full(ROWS, 3)


def find(compute: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]) -> Any:
    """Return what computes the probabilities of a model with this function of ids and lengths."""

    @tf.function(
        input_signature=[tf.TensorSpec([None, None], tf.int64), tf.TensorSpec([None], tf.int64)]
    )
    def classify_ids(ids: tf.Tensor, length: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"probabilities": compute(ids, length)}

    return find_probabilities(SimpleNamespace(signatures={"classify_ids": classify_ids}), MODEL)


def is_compiled(probabilities: Any) -> bool:
    return isinstance(probabilities, tf.types.experimental.PolymorphicFunction)


def in_float32(ids: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """Sum the ids in a loop that ends with the longest sequence, and give 1 / sum."""
    *_, added = tf.while_loop(
        lambda step, _: step < tf.reduce_max(length),
        lambda step, added: (step + 1, added + tf.gather(ids, step, axis=1)),
        (tf.constant(0, tf.int64), tf.zeros_like(length)),
    )
    first = 1 / tf.cast(added, tf.float32)
    return tf.stack([first, 1 - first], axis=1)


def by_text(ids: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """Do the same by way of strings, which XLA does not have."""
    return in_float32(tf.strings.to_number(tf.strings.as_string(ids), tf.int64), length)


def in_bfloat16(ids: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """Do the same with a rounding in between that XLA leaves out."""
    exact = in_float32(ids, length)
    return tf.cast(tf.cast(exact, tf.bfloat16) * 0.3, tf.float32) / 0.3


def test_a_batch_of_long_sequences_has_fewer_rows() -> None:
    lengths = (1, 31, 256, 512, 1000, 100_000)
    assert [batch_rows(length) for length in lengths] == [1024, 1024, 1024, 512, 262, 64]


def test_xla_computes_what_it_can_compile() -> None:
    probabilities = find(in_float32)
    assert is_compiled(probabilities)
    expected = np.tile(np.array([[1 / 6, 5 / 6]], np.float32), (ROWS, 1))
    np.testing.assert_allclose(probabilities(IDS, LENGTH), expected, 1e-6)


@pytest.mark.parametrize("compute", [by_text, in_bfloat16])
def test_the_graph_computes_what_xla_cannot_or_computes_differently(
    compute: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
) -> None:
    probabilities = find(compute)
    assert not is_compiled(probabilities)
    expected = np.tile([[1 / 6, 5 / 6]], (ROWS, 1))
    np.testing.assert_allclose(probabilities(IDS, LENGTH), expected, 1e-2)


def test_the_graph_computes_on_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [f"/device:{kind}:0"])
    assert not is_compiled(find(in_float32))
