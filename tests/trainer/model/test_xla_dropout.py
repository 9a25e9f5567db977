"""The dropout layer for XLA."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.model.xla_dropout import XlaDropout

SHAPE = (31, 64, 16)


@pytest.fixture(name="dropped")
def _dropped() -> tuple[np.ndarray, np.ndarray]:
    """Ones after two calls of one layer that drops a quarter."""
    layer = XlaDropout(0.25, seed=3)
    call = tf.function(lambda x: layer(x, training=True), jit_compile=True)
    return call(tf.ones(SHAPE)).numpy(), call(tf.ones(SHAPE)).numpy()


def test_a_share_is_zero_and_the_rest_is_scaled(dropped: tuple[np.ndarray, np.ndarray]) -> None:
    first, _ = dropped
    assert np.unique(first) == pytest.approx([0, 4 / 3])
    assert (first == 0).mean() == pytest.approx(0.25, abs=0.01)


def test_each_call_drops_others(dropped: tuple[np.ndarray, np.ndarray]) -> None:
    first, second = dropped
    assert (first != second).mean() == pytest.approx(2 * 0.25 * 0.75, abs=0.01)


def test_equal_seeds_drop_the_same(dropped: tuple[np.ndarray, np.ndarray]) -> None:
    layer = XlaDropout(0.25, seed=3)
    again = tf.function(lambda x: layer(x, training=True), jit_compile=True)(tf.ones(SHAPE))
    np.testing.assert_array_equal(again, dropped[0])


def test_nothing_is_dropped_outside_training() -> None:
    np.testing.assert_array_equal(XlaDropout(0.25)(tf.ones((2, 3))), np.ones((2, 3)))


def test_a_step_needs_no_generator_of_tensorflow() -> None:
    """The one that it chooses by itself takes a hundred times as long on a CPU."""
    layer = XlaDropout(0.25)
    layer.build(SHAPE)
    call = tf.function(lambda x: layer(x, training=True), jit_compile=True)
    program = call.experimental_get_compiler_ir(tf.ones(SHAPE))(stage="hlo")
    assert "rng-bit-generator" not in program
    assert "algorithm=rng_philox" not in program


def test_the_state_is_that_of_the_keras_layer() -> None:
    """A checkpoint of either is one of the other."""
    ours, keras_layer = XlaDropout(0.25), keras.layers.Dropout(0.25)
    assert [v.path.split("/")[-1] for v in ours.variables] == [
        v.path.split("/")[-1] for v in keras_layer.variables
    ]
