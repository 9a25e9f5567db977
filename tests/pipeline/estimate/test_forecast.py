"""A forecast: what follows from the costs of a row, and how it is put."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.estimate.costs import Costs
from pipeline.estimate.forecast import CLUSTER_PER_COST, RUN_PER_COST, Forecast

pytestmark = pytest.mark.unit

FORECAST = Forecast(
    files=3,
    bytes=3_100_000_000,
    rows=20_000_000,
    sampled=100_000,
    rejected=0.001,
    duplicates=0.02,
    characters=27,
    labels=8,
    start_seconds=6.0,
    costs=Costs(seconds=3e-6, spilled=40.0, written=110.0, shards=77),
    cores=4,
)


def test_seconds_and_core_hours_follow_from_the_costs_of_a_row() -> None:
    assert FORECAST.seconds == pytest.approx(6 + 60 * RUN_PER_COST / 4)
    assert FORECAST.core_hours == pytest.approx(60 * CLUSTER_PER_COST / 3600)
    assert (FORECAST.dataset_bytes, FORECAST.disk_bytes) == (2_200_000_000, 3_000_000_000)


def test_it_says_what_was_estimated_and_what_was_counted() -> None:
    lines = list(FORECAST.lines(None))
    assert lines[0] == "input: 3 file(s), 3.1 GB, about 20,000,000 rows"
    assert lines[1].startswith("sample: 100,000 rows, 0.1% rejected, 2.0% duplicates")
    whole = replace(FORECAST, rows=100_000)
    assert next(iter(whole.lines(None))) == "input: 3 file(s), 3.1 GB, 100,000 rows"


def test_a_price_is_that_of_all_core_hours() -> None:
    hours = FORECAST.core_hours
    assert list(FORECAST.lines(12.0))[-1] == f"  at 12 for a core hour: {12 * hours:.2g}"
    assert "at" not in list(FORECAST.lines(None))[-1].split()
