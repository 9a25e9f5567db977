"""Characters that become unknown: which, how many, and never padding."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from trainer.data.unknown import replace_some

pytestmark = pytest.mark.unit


def replaced(rate: float, seed: tuple[int, int]) -> np.ndarray:
    ids = tf.ones([1000, 20], tf.uint8)
    lengths = tf.repeat(tf.constant([5, 20], tf.uint8), 500)
    return np.asarray(replace_some(ids, lengths, 7, rate, seed))


def test_a_share_of_the_characters_and_no_padding_becomes_unknown() -> None:
    ids = replaced(0.1, (1, 2))
    assert ids.dtype == np.uint8
    assert set(np.unique(ids)) == {1, 7}
    assert not (ids[:500, 5:] == 7).any()
    assert (ids[500:] == 7).mean() == pytest.approx(0.1, abs=0.01)
    assert (ids[:500, :5] == 7).mean() == pytest.approx(0.1, abs=0.02)


def test_the_same_seed_replaces_the_same_characters() -> None:
    first = replaced(0.1, (1, 2))
    np.testing.assert_array_equal(replaced(0.1, (1, 2)), first)
    assert not np.array_equal(replaced(0.1, (1, 3)), first)
    assert not np.array_equal(replaced(0.1, (2, 2)), first)
