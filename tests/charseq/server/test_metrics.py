"""How far what is asked is from the training data."""

from __future__ import annotations

import math

import numpy as np
import pytest

from charseq.server.metrics import LastRows, population_stability_index

pytestmark = pytest.mark.unit


def test_equal_tenths_are_at_no_distance() -> None:
    assert population_stability_index([100] * 10) == 0


def test_rows_that_are_all_strange_are_far_away() -> None:
    index = population_stability_index([0] * 9 + [1000])
    shares = np.array([0.5] * 9 + [1000.5]) / 1005
    assert index == pytest.approx(((shares - 0.1) * np.log(shares * 10)).sum())
    assert index > 6


def test_of_few_rows_nothing_is_said() -> None:
    assert math.isnan(population_stability_index([19] * 10))
    assert not math.isnan(population_stability_index([20] * 10))


def test_the_last_rows_replace_those_before() -> None:
    rows = LastRows()
    even = (np.arange(1000) / 1000).astype(np.float32)
    for _ in range(11):
        rows.add(np.full(1000, 1.0, np.float32))
    assert rows.distance() > 6
    for _ in range(10):
        rows.add(even)
    assert rows.distance() == pytest.approx(0, abs=1e-4)
