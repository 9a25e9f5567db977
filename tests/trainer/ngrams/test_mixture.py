"""The choice of the experts' weights."""

from __future__ import annotations

import numpy as np
import pytest

from trainer.ngrams.experts import FIRST_MIXTURE
from trainer.ngrams.mixture import improve_mixture

pytestmark = pytest.mark.unit

BEST = np.array([0.1, 0.9, 0.3])


def fit(rows: float, best: np.ndarray = BEST) -> np.ndarray:
    """Return where the steps end, if the loss of a row is (weights - best)²."""
    weights = np.array(FIRST_MIXTURE)
    for _ in range(10):
        weights = improve_mixture(weights, 2 * rows * (weights - best), 2 * rows * np.eye(3))
    return weights


@pytest.mark.parametrize(("rows", "share"), [(0, 0), (10, 0.5), (30, 0.75), (1e6, 1)])
def test_few_rows_move_the_weights_little(rows: float, share: float) -> None:
    expected = FIRST_MIXTURE + share * (BEST - FIRST_MIXTURE)
    np.testing.assert_allclose(fit(rows), expected, atol=1e-4)


def test_no_weight_is_negative_and_the_others_are_the_best_beside_it() -> None:
    np.testing.assert_allclose(fit(1e6, np.array([-2, 0.7, 0.5])), [0, 0.7, 0.5], atol=1e-4)


def test_a_weight_comes_back_from_zero() -> None:
    found = improve_mixture(np.array([0.0, 0.5, 0.2]), np.array([-1e6, 0, 0]), 1e6 * np.eye(3))
    assert found[0] == 0.5  # The longest step.
