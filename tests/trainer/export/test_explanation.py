from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from trainer.export.explanation import explain

pytestmark = pytest.mark.unit

UNKNOWN = 3
IDS = tf.constant([[1, 1, 2, 0], [2, 3, 1, 2], [0, 0, 0, 0]], tf.int64)
LENGTH = tf.constant([3, 4, 1], tf.int64)
# What `share_of_ones` says of the three texts: [3/5, 2/5], [2/6, 4/6] and [1/3, 2/3].
INFLUENCE = [[np.log(3 / 2), np.log(3 / 2), 0, 0], [0, 0, np.log(4 / 5), 0], [0, 0, 0, 0]]


def share_of_ones(ids: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """Return the share of 1 among the characters, with one 1 and one other character more."""
    ones = tf.reduce_sum(tf.cast(ids == 1, tf.float32), axis=1)
    share = (ones + 1) / (tf.cast(length, tf.float32) + 2)
    return tf.stack([share, 1 - share], axis=1)


@pytest.mark.parametrize("max_ids", [1, 4, 8, 12, 1000])
def test_influence_is_what_the_winning_label_loses_in_nats(max_ids: int) -> None:
    """However many characters the model is asked about at once: 1, 2, 3 or all."""
    found = explain(share_of_ones, IDS, LENGTH, UNKNOWN, max_ids)
    assert found.label.numpy().tolist() == [0, 1, 1]
    np.testing.assert_allclose(found.log_probability, np.log([3 / 5, 4 / 6, 2 / 3]), rtol=1e-6)
    np.testing.assert_allclose(found.influence, INFLUENCE, atol=1e-6)
    assert found.influence.dtype == tf.float32


def test_padding_and_unknown_characters_are_not_asked_about() -> None:
    asked: list[list[int]] = []

    def classify(ids: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        asked.extend([*row, n] for row, n in zip(ids.numpy(), length.numpy(), strict=True))
        return share_of_ones(ids, length)

    found = explain(classify, IDS[:2], LENGTH[:2], UNKNOWN, max_ids=12)
    assert asked[2:] == [
        [3, 1, 2, 0, 3],
        [1, 3, 2, 0, 3],
        [1, 1, 3, 0, 3],
        [3, 3, 1, 2, 4],
        [2, 3, 3, 2, 4],
        [2, 3, 1, 3, 4],
    ]
    assert (found.influence.numpy()[[0, 1], [3, 1]] == 0).all()


def test_a_text_without_known_characters_has_no_influence() -> None:
    ids = tf.constant([[3, 3], [0, 0]], tf.int64)
    found = explain(share_of_ones, ids, tf.constant([2, 1], tf.int64), UNKNOWN)
    assert found.influence.numpy().tolist() == [[0, 0], [0, 0]]


def test_a_probability_of_zero_has_a_finite_influence() -> None:
    def is_known(ids: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        known = tf.cast(tf.reduce_all(ids != UNKNOWN, axis=1), tf.float32)
        return tf.stack([known, 1 - known], axis=1)

    found = explain(is_known, IDS[:1, :3], LENGTH[:1], UNKNOWN)
    np.testing.assert_allclose(found.influence, [[87.3365, 87.3365, 87.3365]], rtol=1e-6)


def test_a_batch_without_texts_is_explained() -> None:
    found = explain(share_of_ones, IDS[:0], LENGTH[:0], UNKNOWN)
    assert found.influence.shape == (0, 4)
