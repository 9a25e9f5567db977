from __future__ import annotations

import numpy as np
import pytest

from trainer.evaluate.certain_rows import CertainRows

pytestmark = pytest.mark.unit


def add(certain, *rows, num_labels=3):
    """Add rows of (label, predicted, probability, ids)."""
    probabilities = np.zeros((len(rows), num_labels), np.float32)
    ids = np.zeros((len(rows), 1200), np.int64)
    for place, (_, predicted, probability, text) in enumerate(rows):
        probabilities[place] = (1 - probability) / (num_labels - 1)
        probabilities[place, predicted] = probability
        ids[place, : len(text)] = text
    labels = np.array([row[0] for row in rows])
    certain.add(labels, probabilities, ids, np.array([len(row[3]) for row in rows]))


def shown(rows):
    return [(row.ids.tolist(), row.predicted, round(row.probability, 3)) for row in rows]


def test_the_most_certain_rows_of_a_label_are_kept_in_order():
    certain = CertainRows(3)
    add(certain, (0, 0, 0.5, [1]), (0, 1, 0.75, [2]), (0, 0, 0.875, [3]), (2, 1, 0.625, [4]))
    add(certain, (0, 0, 0.625, [5, 5]), (0, 0, 0.9375, [6]), (0, 2, 0.8125, [7]))
    assert shown(certain.right(0)) == [([6], 0, 0.938), ([3], 0, 0.875), ([5, 5], 0, 0.625)]
    assert shown(certain.wrong(0)) == [([7], 2, 0.812), ([2], 1, 0.75)]
    assert shown(certain.wrong(2)) == [([4], 1, 0.625)]
    assert certain.right(1) == []
    # Two wrong rows of 0, one of 2; no row is of 1.
    assert certain.shown_labels() == [0, 2]


def test_of_rows_that_are_as_certain_the_first_stay():
    certain = CertainRows(3)
    add(certain, *((1, 0, 0.75, [number]) for number in range(1, 5)))
    add(certain, *((1, 0, 0.75, [number]) for number in range(5, 9)))
    assert [row.ids.tolist() for row in certain.wrong(1)] == [[1], [2], [3], [4], [5]]


def test_the_first_rows_that_are_predicted_as_a_label_are_a_sample():
    certain = CertainRows(40)
    add(certain, *((number % 2, 7, 0.5, [number + 1]) for number in range(60)), num_labels=40)
    # 1,000 for the 30 labels that may be shown.
    assert [row.ids.tolist()[0] for row in certain.sampled(7)] == list(range(1, 34))


def test_labels_with_the_most_wrong_rows_are_shown():
    certain = CertainRows(40)
    rows = [(label, 0, 0.5, [1]) for label in range(40) for _ in range(1 + (label == 38))]
    add(certain, *rows, num_labels=40)
    # Label 0 has no wrong row.
    assert certain.shown_labels() == [38, *range(1, 30)]


def test_of_a_long_row_the_beginning_is_kept():
    certain = CertainRows(2)
    add(certain, (0, 0, 0.5, [3] * 1200), num_labels=2)
    (row,) = certain.right(0)
    assert (len(row.ids), row.length, row.is_whole) == (1000, 1200, False)
