"""Weighted metrics: a row of weight 3 counts as three rows."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charseq.measures.metrics import Evaluation, MetricsAccumulator
from charseq.measures.weighted import WeightedScores

pytestmark = pytest.mark.unit

NAMES = ("a", "b", "c", "d")
# Stands for a float in a dataclass.
approx: Any = pytest.approx


def measure(
    labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None, cut: int = 0
) -> Evaluation:
    """Measure rows in two batches that two accumulators are given."""
    one, other = (MetricsAccumulator(4, 1, [1, 1, 1, 1]) for _ in range(2))
    for accumulator, rows in ((one, slice(cut)), (other, slice(cut, None))):
        accumulator.add(
            labels[rows],
            probabilities[rows],
            np.ones(len(labels[rows]), np.int64),
            None if weights is None else weights[rows],
        )
    one.merge(other)
    return one.evaluation("test", "ab", NAMES)


def test_weighted_metrics_computed_by_hand() -> None:
    labels = np.array([0, 1, 3])
    probabilities = np.array([[0.5, 0.3, 0.1, 0.1], [0.6, 0.2, 0.1, 0.1], [0.4, 0.3, 0.2, 0.1]])
    measured = measure(labels, probabilities, np.array([1.0, 2.5, 0.5]))
    assert measured.weighted == WeightedScores(
        weight=4.0,
        # -(1 ln 0.5 + 2.5 ln 0.2 + 0.5 ln 0.1) / 4
        loss=approx(1.46701, abs=1e-5),
        accuracy=0.25,
        top3_accuracy=0.875,
        # All are predicted as a: 2 · 1 / (1 + 4), and 0 of b and d; no row is or is called c.
        macro_f1=approx(0.4 / 3),
    )
    assert measured.accuracy == approx(1 / 3)
    assert measure(labels, probabilities, None).weighted is None


@given(st.integers(0, 2**32), st.integers(1, 20))
def test_a_row_of_weight_3_counts_as_three_rows(seed: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    labels, weights = rng.integers(0, 4, rows), rng.integers(1, 5, rows)
    probabilities = rng.dirichlet([0.5] * 4, rows)
    one = measure(labels, probabilities, weights.astype(np.float64), cut=rows // 2)
    repeated = measure(np.repeat(labels, weights), np.repeat(probabilities, weights, axis=0), None)
    assert one.weighted == WeightedScores(
        weight=weights.sum(),
        loss=approx(repeated.loss),
        accuracy=approx(repeated.accuracy),
        top3_accuracy=approx(repeated.top3_accuracy),
        macro_f1=approx(repeated.macro_f1),
    )


def test_they_are_read_from_an_evaluation() -> None:
    labels, probabilities = np.array([0, 1]), np.eye(4)[[0, 2]]
    one = measure(labels, probabilities, np.array([0.5, 2.0]))
    content = json.loads(json.dumps(asdict(one)))
    assert Evaluation.from_json(content) == one
    assert content["weighted"]["accuracy"] == 0.2
