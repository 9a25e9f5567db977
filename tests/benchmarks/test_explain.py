"""What benchmarks.explain makes of what a model says."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.explain.deletion import (
    Encoded,
    Floats,
    Ints,
    Model,
    area,
    at_shares,
    delete_one_by_one,
    deletion_table,
    measure,
    order_by_influence,
    summarize,
)

pytestmark = pytest.mark.unit

UNKNOWN = 9


def test_the_most_influential_characters_are_deleted_first() -> None:
    order = order_by_influence(np.array([0.5, -1, 2, 0.5]))
    assert order.tolist() == [2, 0, 3, 1]
    assert delete_one_by_one(np.array([1, 2, 3, 4, 0]), order, UNKNOWN).tolist() == [
        [1, 2, 3, 4, 0],
        [1, 2, 9, 4, 0],
        [9, 2, 9, 4, 0],
        [9, 2, 9, 9, 0],
        [9, 9, 9, 9, 0],
    ]


def test_an_area_is_a_share_of_all_that_could_be() -> None:
    assert area(np.array([1.0, 0.5, 0.0])) == 0.5
    assert area(np.array([0.8, 0.0])) == 0.4


def test_a_curve_is_read_between_its_points() -> None:
    assert at_shares(np.array([1.0, 0.5, 0.3]), [0, 0.25, 0.5, 1]).tolist() == [1, 0.75, 0.5, 0.3]


def test_the_orders_of_a_row_count_as_one_and_rows_are_compared() -> None:
    ours = summarize([[np.array([1.0, 0.0])], [np.array([0.6, 0.6])]])
    random = summarize([[np.array([1.0, 0.5]), np.array([1.0, 0.3])], [np.array([0.4, 0.4])] * 2])
    assert ours.areas.tolist() == [0.5, 0.6]
    assert random.areas.tolist() == [0.7, 0.4]
    table = deletion_table({"amp": {"by influence": ours, "at random": random}})
    assert table.splitlines()[2:] == [
        "| antimicrobial peptides, by influence | 0.800 | 0.750 | 0.700 | 0.650 | 0.550 | 0.425 |"
        " 0.300 | 0.550 | 50.0% |",
        "| antimicrobial peptides, at random | 0.700 | 0.670 | 0.640 | 0.610 | 0.550 | 0.475 |"
        " 0.400 | 0.550 |  |",
    ]


def test_deletion_by_influence_takes_away_the_label_at_once() -> None:
    """Of a model that looks at the second character alone, and knows it."""

    def classify(ids: Ints, length: Ints) -> Floats:
        is_two = ids[:, 1] == 2
        return np.stack([np.where(is_two, 0.9, 0.2), np.where(is_two, 0.1, 0.8)], axis=1)

    ids, length = np.array([[1, 2, 3, 0]]), np.array([3])
    model = Model(classify, lambda _: Encoded(ids, length, np.array([[0, 1.5, 0, 0]])), UNKNOWN)
    measured = measure(model, ["abc"])
    assert measured["by influence"].areas.tolist() == pytest.approx([(0.9 / 2 + 0.2 * 2.5) / 3])
    assert 0.3 < measured["at random"].areas[0] < 0.7
