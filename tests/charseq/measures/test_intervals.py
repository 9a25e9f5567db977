"""Mean and interval of a score over folds."""

from __future__ import annotations

import math

import pytest

from charseq.measures.intervals import student_quantile, summarize_folds

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("degrees", "quantile"),
    [(1, 12.7062), (2, 4.30265), (4, 2.77645), (9, 2.26216), (30, 2.04227), (99, 1.98422)],
)
def test_quantiles_are_those_of_the_tables(degrees: int, quantile: float) -> None:
    assert student_quantile(degrees) == pytest.approx(quantile, rel=1e-4)


def test_the_interval_counts_the_rows_that_folds_share() -> None:
    summary = summarize_folds([0.8, 0.82, 0.84, 0.86, 0.88], test_to_train=1 / 3)
    assert summary.mean == pytest.approx(0.84)
    deviation = math.sqrt((2 * 0.04**2 + 2 * 0.02**2) / 4)
    assert summary.deviation == pytest.approx(deviation)
    half = 2.77645 * deviation * math.sqrt(1 / 5 + 1 / 3)
    assert (summary.low, summary.high) == pytest.approx((0.84 - half, 0.84 + half), rel=1e-4)
