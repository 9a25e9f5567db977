from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from charseq.measures.temperature import fit_temperature, rescale

pytestmark = pytest.mark.unit

PROBABILITIES = st.integers(2, 5).flatmap(
    lambda labels: arrays.arrays(
        np.float64, st.tuples(st.integers(1, 30), st.just(labels)), elements=st.floats(0.001, 1)
    ).map(lambda values: values / values.sum(axis=1, keepdims=True))
)


def test_answers_that_are_too_sure_get_a_temperature_above_1() -> None:
    # 0.9 each, of which 8 of 10 are right.
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1]])
    temperature = fit_temperature(probabilities, np.array([0, 1]), np.array([80_000.0, 20_000.0]))
    assert temperature == pytest.approx(math.log(0.9 / 0.1) / math.log(0.8 / 0.2), abs=1e-4)
    assert rescale(probabilities, temperature)[0].tolist() == pytest.approx([0.8, 0.2], abs=1e-4)


def test_answers_that_are_not_sure_enough_get_one_below_1() -> None:
    probabilities = np.array([[0.2, 0.6, 0.2]] * 10)
    labels = np.array([1] * 9 + [0])
    weights = np.full(10, 1e6)
    temperature = fit_temperature(probabilities, labels, weights)
    assert temperature == pytest.approx(math.log(3) / math.log(18), abs=1e-4)


def test_a_few_rows_decide_little() -> None:
    probabilities, labels = np.array([[0.9, 0.1]] * 2), np.array([0, 0])
    assert 0.9 < fit_temperature(probabilities, labels) < 1


def test_zeros_stay_finite() -> None:
    probabilities = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    assert 1 < fit_temperature(probabilities, np.array([0, 0])) <= 20
    assert np.isfinite(rescale(probabilities, 0.05)).all()


@given(PROBABILITIES, st.floats(0.2, 5))
def test_a_temperature_changes_no_order_and_its_inverse_undoes_it(probabilities, temperature):
    scaled = rescale(probabilities, temperature)
    assert scaled.sum(axis=1) == pytest.approx(np.ones(len(scaled)))
    best = scaled[np.arange(len(scaled)), probabilities.argmax(axis=1)]
    assert best == pytest.approx(scaled.max(axis=1))
    assert rescale(scaled, 1 / temperature) == pytest.approx(probabilities, abs=1e-6)


@given(PROBABILITIES, st.randoms(use_true_random=False))
def test_it_has_the_lowest_loss_but_for_the_prior(probabilities, random) -> None:
    rows, count = probabilities.shape
    labels = np.array([random.randrange(count) for _ in range(rows)])

    def cost(temperature: float) -> float:
        of_label = rescale(probabilities, temperature)[np.arange(rows), labels]
        return float(-np.log(of_label).sum()) + 2 * (1 / temperature - 1) ** 2

    temperature = fit_temperature(probabilities, labels)
    assert cost(temperature) <= min(cost(other) for other in np.geomspace(0.06, 19, 80)) + 1e-6
