from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from charseq.measures import conformal
from charseq.measures.set_methods import SET_METHODS
from trainer.export.prediction_sets import count_in_sets, find_threshold

pytestmark = pytest.mark.unit

SCORES = tf.constant([0.125, 0.25, 0.5, 0.75])


@pytest.mark.parametrize(
    ("coverage", "threshold"), [(0.0, 0.125), (0.4, 0.25), (0.6, 0.5), (0.8, 0.75), (0.81, np.inf)]
)
def test_the_threshold_of_a_coverage(coverage: float, threshold: float) -> None:
    assert find_threshold(SCORES, tf.constant(coverage)).numpy() == threshold


@given(st.integers(1, 3_000), st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99, 0.999, 1.0]))
def test_it_is_that_of_the_evaluation(rows: int, coverage: float) -> None:
    scores = np.linspace(0, 1, rows, dtype=np.float32)
    got = find_threshold(tf.constant(scores), tf.constant(coverage)).numpy()
    assert got == conformal.find_threshold(scores.tolist(), coverage)


@pytest.mark.parametrize("method", SET_METHODS)
@pytest.mark.parametrize("threshold", [0.05, 0.45, 0.75, 0.92, np.inf])
def test_the_sets_are_those_of_the_evaluation(method: str, threshold: float) -> None:
    falling = np.array([[0.5, 0.3, 0.2], [0.7, 0.2, 0.1], [0.34, 0.33, 0.33]], np.float32)
    got = count_in_sets(tf.constant(falling), tf.constant(threshold, tf.float32), method)
    assert got.numpy().tolist() == conformal.count_in_sets(falling, threshold, method).tolist()
