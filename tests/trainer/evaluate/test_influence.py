from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from trainer.evaluate.certain_rows import Row
from trainer.evaluate.influence import (
    BEGIN,
    END,
    NgramInfluence,
    count_occlusions,
    measure_characters,
    measure_ngrams,
    rank_ngrams,
    within_budget,
)
from trainer.export.explanation import explain

pytestmark = pytest.mark.unit

UNKNOWN = 4  # of three characters


def row_of(*ids, probability=0.5, length=None):
    return Row(np.array(ids, np.int32), length or len(ids), 1, 0, probability)


def classify(ids, lengths):
    """The first of two labels has 0.5 with the characters 1 2 side by side, else 0.125."""
    has = ((ids[:, :-1] == 1) & (ids[:, 1:] == 2)).any(axis=1) if ids.shape[1] > 1 else False
    first = np.where(has, 0.5, 0.125) * np.ones(len(ids))
    assert (lengths <= ids.shape[1]).all()
    return np.stack([first, 1 - first], axis=1).astype(np.float32)


def test_a_whole_ngram_becomes_unknown():
    (of_row,) = measure_ngrams(classify, [row_of(3, 1, 2)], UNKNOWN)
    fallen = pytest.approx(math.log(4))
    assert of_row == {
        (3,): 0.0,
        (BEGIN, 3): 0.0,
        (1,): fallen,
        (2,): fallen,
        (2, END): fallen,
        (3, 1): fallen,
        (BEGIN, 3, 1): fallen,
        (1, 2): fallen,
        (1, 2, END): fallen,
        (3, 1, 2): fallen,
        (BEGIN, 3, 1, 2): fallen,
        (3, 1, 2, END): fallen,
    }


def test_an_ngram_that_stands_twice_has_the_mean_and_unknown_characters_have_none():
    long, short = measure_ngrams(classify, [row_of(1, 2, 3, 2), row_of(UNKNOWN, 3)], UNKNOWN)
    assert long[(2,)] == pytest.approx(math.log(4) / 2)
    assert long[(2, END)] == 0
    # The model is not asked for a row as it is: its probability is known.
    fallen = pytest.approx(math.log(4))
    assert short == {(3,): fallen, (3, END): fallen}
    assert measure_ngrams(classify, [], UNKNOWN) == []


def test_characters_have_the_influence_that_the_exported_model_gives_them():
    rows = [row_of(3, 1, 2), row_of(1, UNKNOWN, probability=0.125), row_of(1, 2)]
    fallen = math.log(4)
    measured = measure_characters(classify, rows, UNKNOWN)
    assert measured == [(0, pytest.approx(fallen), pytest.approx(fallen)), (0, 0), measured[2]]

    def classify_tensors(ids, length):
        return tf.numpy_function(classify, [ids, length], tf.float32)

    ids = tf.constant([[3, 1, 2], [1, UNKNOWN, 0], [1, 2, 0]], tf.int64)
    found = explain(classify_tensors, ids, tf.constant([3, 2, 2], tf.int64), UNKNOWN)
    assert found.influence.numpy()[0].tolist() == pytest.approx(measured[0])
    assert found.influence.numpy()[2, :2].tolist() == pytest.approx(measured[2])


def test_ngrams_of_few_rows_come_later():
    often: list[dict[tuple[int, ...], float]] = [{(1,): 0.5, (2,): -1.0}] * 20
    rare: list[dict[tuple[int, ...], float]] = [{(3,): 1.0}] * 4
    once: list[dict[tuple[int, ...], float]] = [{(4,): 9.0}] * 2
    # 10 / 30 and 4 / 14.
    assert rank_ngrams([*once, *rare, *often]) == [
        NgramInfluence((1,), 20, 0.5),
        NgramInfluence((3,), 4, 1.0),
    ]


def test_ngrams_that_overlap_with_one_before_are_left_out():
    rows = [{(1, 2): 1.0, (1,): 0.5, (1, 2, END): 0.25, (2, 1): 0.75, (3, END): 0.125}] * 3
    assert [one.ids for one in rank_ngrams(rows)] == [(1, 2), (2, 1), (3, END)]


def test_rows_are_chosen_as_long_as_they_fit():
    rows = [row_of(*[1] * length) for length in (3, 6, 2)] + [row_of(1, length=2)]
    assert within_budget(rows, lambda length: length**2, 40) == [rows[0], rows[2]]
    assert within_budget(rows, lambda length: length**2, 49) == rows[:3]
    assert [count_occlusions(length) for length in (1, 3, 31)] == [1, 6, 118]
