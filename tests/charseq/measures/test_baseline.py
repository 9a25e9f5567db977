"""A model beside the label shares alone, and beside n-grams."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charseq.measures.baseline import (
    Baseline,
    BaselineAccumulator,
    NgramBaseline,
    explain_not_better,
    explain_trivial,
    label_shares,
)

pytestmark = pytest.mark.unit

SHARES = np.array([0.75, 0.25])


def baseline_of(labels: Any, losses: Any, cuts: Any = ()) -> Baseline:
    accumulator = BaselineAccumulator(SHARES)
    for batch in zip(np.split(np.asarray(labels), cuts), np.split(losses, cuts), strict=True):
        accumulator.add(*batch)
    return accumulator.baseline()


def test_no_label_has_a_share_of_zero() -> None:
    assert label_shares([3, 0, 4]).tolist() == [3.5 / 8.5, 0.5 / 8.5, 4.5 / 8.5]


def test_the_loss_of_the_label_shares() -> None:
    baseline = baseline_of([0, 0, 1, 0], np.zeros(4))
    assert baseline.loss == pytest.approx(-(3 * math.log(0.75) + math.log(0.25)) / 4)


@pytest.mark.parametrize(
    ("labels", "accuracy", "macro_f1"),
    [
        # The most frequent label of the train split, 0, has an F1 of 2 · 3 / (4 + 3), the other 0.
        ([0, 0, 1, 0], 0.75, 3 / 7),
        ([0, 0], 1.0, 1.0),
        ([1, 1], 0.0, 0.0),
    ],
)
def test_the_most_frequent_label_for_every_row(
    labels: list[int], accuracy: float, macro_f1: float
) -> None:
    baseline = baseline_of(labels, np.zeros(len(labels)))
    assert baseline.accuracy == accuracy
    assert baseline.macro_f1 == pytest.approx(macro_f1)


def test_the_interval_is_that_of_a_mean_of_drawn_rows() -> None:
    random = np.random.default_rng(5)
    labels = random.integers(0, 2, 4000)
    losses = random.gamma(2.0, 0.3, 4000)
    gains = -np.log(SHARES)[labels] - losses
    # By the central limit theorem; the bootstrap's own quantiles vary by some percent of it.
    half = 1.96 * gains.std() / math.sqrt(4000)
    baseline = baseline_of(labels, losses)
    assert baseline.gain_low == pytest.approx(gains.mean() - half, abs=half / 8)
    assert baseline.gain_high == pytest.approx(gains.mean() + half, abs=half / 8)


@given(
    st.lists(st.tuples(st.integers(0, 1), st.floats(0, 20)), min_size=1, max_size=30),
    st.lists(st.integers(0, 30), max_size=3),
)
def test_it_depends_neither_on_batches_nor_on_the_order_of_rows(
    rows: list[tuple[int, float]], cuts: list[int]
) -> None:
    labels, losses = np.array([label for label, _ in rows]), np.array([loss for _, loss in rows])
    one = baseline_of(labels, losses)
    other = baseline_of(labels[::-1], losses[::-1], sorted(min(cut, len(rows)) for cut in cuts))
    assert (other.loss, other.gain_low, other.gain_high) == pytest.approx(
        (one.loss, one.gain_low, one.gain_high), abs=1e-9
    )
    gains = -np.log(SHARES)[labels] - losses
    assert gains.min() - 1e-6 <= one.gain_low <= one.gain_high <= gains.max() + 1e-6


def test_many_rows_take_no_more_memory_and_keep_the_smallest_gain_apart_from_none() -> None:
    labels = np.zeros(100_000, np.int64)
    accumulator = BaselineAccumulator(SHARES)
    for _ in range(10):
        accumulator.add(labels, np.full(100_000, -math.log(0.75) - 1e-6))
    assert accumulator.baseline().gain_low == pytest.approx(1e-6, rel=1e-6)
    for _ in range(10):
        accumulator.add(labels, np.full(100_000, -math.log(0.75) + 2e-6))
    assert accumulator.baseline().gain_high == pytest.approx(-0.5e-6, rel=0.01)


def ints(*counts: int) -> npt.NDArray[np.int64]:
    return np.array(counts, np.int64)


BETTER = Baseline(loss=0.7, accuracy=0.6, macro_f1=0.4, gain_low=0.001, gain_high=0.2)
NO_BETTER = replace(BETTER, gain_low=0.0)


@pytest.mark.parametrize(
    ("baseline", "support", "predictions", "reason"),
    [
        (BETTER, ints(60, 40), ints(70, 30), None),
        (
            NO_BETTER,
            ints(60, 40),
            ints(70, 30),
            "beyond chance, its loss of 0.5000 is no better than 0.7000, that of the label shares "
            "alone",
        ),
        (
            BETTER,
            ints(60, 40),
            ints(0, 100),
            "it always gives the label b\\x1b: to 100 of 100 rows, of which 60 have another",
        ),
        (
            BETTER,
            ints(9000, 1000),
            ints(9990, 10),
            "it nearly always gives the label a: to 9,990 of 10,000 rows, of which 1,000 have "
            "another",
        ),
        (BETTER, ints(9000, 1000), ints(9989, 11), None),
        # Nearly all rows have the label, and so it is expected.
        (BETTER, ints(9995, 5), ints(9996, 4), None),
        (BETTER, ints(100, 0), ints(100, 0), None),
    ],
)
def test_a_trivial_model_is_explained(
    baseline: Baseline,
    support: npt.NDArray[np.int64],
    predictions: npt.NDArray[np.int64],
    reason: str | None,
) -> None:
    assert explain_trivial(0.5, baseline, ("a", "b\x1b"), support, predictions) == reason
    both = explain_trivial(0.5, NO_BETTER, ("a", "b"), ints(6, 4), ints(10, 0))
    assert both is not None
    assert "always gives the label a: to 10 of 10" in both
    assert both.endswith(
        "; beyond chance, its loss of 0.5000 is no better than 0.7000, that of the label shares "
        "alone"
    )


NGRAMS = NgramBaseline(
    loss=0.25,
    accuracy=0.875,
    macro_f1=0.8,
    loss_gain_low=0.001,
    loss_gain_high=0.2,
    accuracy_gain_low=0.002,
    accuracy_gain_high=0.1,
)
NO_BETTER_ACCURACY = "its accuracy of 0.9000 is no better than 0.8750"
NO_BETTER_LOSS = "its loss of 0.2000 is no better than 0.2500"


@pytest.mark.parametrize(
    ("gains", "reason"),
    [
        ({}, None),
        ({"accuracy_gain_low": 0.0}, None),
        ({"loss_gain_low": -0.1}, None),
        (
            {"accuracy_gain_low": -0.2, "accuracy_gain_high": -0.1},
            "beyond chance, its accuracy of 0.9000 is worse than 0.8750",
        ),
        (
            {"loss_gain_low": -0.2, "loss_gain_high": -0.1},
            "beyond chance, its loss of 0.2000 is worse than 0.2500",
        ),
        (
            {"loss_gain_low": 0.0, "accuracy_gain_low": -0.1},
            f"beyond chance, {NO_BETTER_ACCURACY} and {NO_BETTER_LOSS}",
        ),
    ],
)
def test_a_model_that_is_not_better_than_ngrams_is_explained(
    gains: dict[str, float], reason: str | None
) -> None:
    assert explain_not_better(0.9, 0.2, replace(NGRAMS, **gains)) == reason
