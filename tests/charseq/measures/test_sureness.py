"""How far answers can be relied on: literal numbers, and batches that make no difference."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from charseq.measures.conformal import find_threshold, label_scores
from charseq.measures.set_methods import APS, LAC, SET_METHODS
from charseq.measures.sureness import (
    TARGETS,
    AnsweredAccumulator,
    SetsAccumulator,
    SetScore,
    Uncalibrated,
    UncalibratedAccumulator,
    find_set_score,
    pool_sets,
)
from charseq.measures.temperature import rescale

pytestmark = pytest.mark.unit

# Stands for a float in a dataclass.
approx: Any = pytest.approx


def answered(*batches: tuple[list[float], list[bool]]) -> AnsweredAccumulator:
    accumulator = AnsweredAccumulator()
    for highest, hits in batches:
        accumulator.add(np.array(highest, np.float32), np.array(hits))
    return accumulator


def test_the_surest_rows_are_answered_first() -> None:
    accumulator = answered(([0.6, 0.99], [False, True]), ([0.8, 0.9], [False, True]))
    curve = {round(100 * point.share): point for point in accumulator.curve()}
    # A quarter is one row: less is not measured.
    assert sorted(curve) == [*range(26, 95, 2), 95, 96, 98, 100]
    assert {share: curve[share].accuracy for share in (26, 50, 76, 100)} == {
        26: 1.0,
        50: 1.0,
        76: approx(2 / 3.04),
        100: 0.5,
    }
    # 1 of 0.8, which is wrong, is answered to a fifth: 2 of 2.2.
    other = {round(100 * point.share): point for point in accumulator.curve()}[56]
    assert other.accuracy == approx(2 / 2.24)
    least = [curve[share].min_probability for share in (26, 50, 74, 100)]
    assert least == approx([0.9, 0.9, 0.8, 0.6], abs=4e-3)
    assert all(low <= high for low, high in zip(least, (0.9, 0.9, 0.8, 0.6), strict=True))


def test_rows_that_are_all_very_sure_or_all_unsure_are_told_apart() -> None:
    for surer, sure in ((0.9999, 0.999), (0.002, 0.001)):
        curve = answered(([sure, surer] * 50, [False, True] * 50)).curve()
        assert len(curve) == 51
        assert [point.accuracy for point in curve if point.share <= 0.5] == [1.0] * 25


def test_certain_and_impossible_rows_have_a_place() -> None:
    (*_, last) = answered(([1.0, 1.0000001, 0.0], [True, True, False])).curve()
    assert (last.share, last.accuracy, last.min_probability) == (1.0, approx(2 / 3), 0.0)


def test_merged_accumulators_have_the_rows_of_both() -> None:
    one, other = answered(([0.6], [True])), answered(([0.9], [False]))
    one.merge(other)
    assert one.curve() == answered(([0.6, 0.9], [True, False])).curve()


PROBABILITIES = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.4, 0.35, 0.25]], np.float32)
LABELS = np.array([1, 2, 2])


def test_sets_of_three_rows() -> None:
    thresholds = {(LAC, 0.8): 0.75, (LAC, 0.9): 0.68, (APS, 0.8): 0.7, (APS, 0.9): math.inf}
    accumulator = SetsAccumulator(thresholds, 3)
    accumulator.add(LABELS[:1], PROBABILITIES[:1])
    accumulator.add(LABELS[1:], PROBABILITIES[1:])
    assert accumulator.scores() == (
        # 0.5 and 0.3; 0.7; all three, as 1 - 0.25 is not above.
        SetScore(LAC, 0.8, 1.0, 2.0, (0, 1, 2)),
        # 0.5, without 0.3; 0.7; 0.4 and 0.35, without 0.25.
        SetScore(LAC, 0.9, approx(1 / 3), approx(4 / 3), (0, 0, 1)),
        # 0.5 + 0.3 / 2; 0.7 / 2; 0.4 + 0.35 / 2.
        SetScore(APS, 0.8, approx(2 / 3), approx(5 / 3), (0, 1, 1)),
        SetScore(APS, 0.9, 1.0, 3.0, (0, 1, 2)),
    )


@pytest.mark.parametrize("method", SET_METHODS)
def test_on_exchangeable_rows_every_target_is_met_about(method: str) -> None:
    known, new, labels = 2_000, 4_000, 6
    random = np.random.default_rng(3)
    truth = random.dirichlet(np.full(labels, 0.5), known + new).astype(np.float32)
    own = np.array([random.choice(labels, p=row / row.sum()) for row in truth.astype(float)])
    scores = sorted(label_scores(truth[:known], own[:known], method).tolist())
    accumulator = SetsAccumulator(
        {(method, target): find_threshold(scores, target) for target in TARGETS}, labels
    )
    accumulator.add(own[known:], truth[known:])
    found = accumulator.scores()
    assert [score.coverage for score in found] == pytest.approx(list(TARGETS), abs=0.03)
    assert [sum(score.covered) for score in found] == [
        round(new * score.coverage) for score in found
    ]


def test_the_measures_without_the_temperature() -> None:
    # Of temperature 2: 0.5 to 0.25 are 2 to 1, without it 4 to 1.
    before = np.array([[0.8, 0.2], [0.2, 0.8]])
    accumulator = UncalibratedAccumulator(2.0)
    for label in (0, 1):
        accumulator.add(np.array([label]), rescale(before[:1], 2.0).astype(np.float32))
    assert accumulator.uncalibrated() == Uncalibrated(
        2.0,
        approx(-(math.log(0.8) + math.log(0.2)) / 2, abs=1e-6),
        # One of two is right, at 0.8.
        approx(0.3, abs=1e-6),
    )


SETS = (SetScore(LAC, 0.95, 0.5, 2.0, (1, 0)), SetScore(APS, 0.95, 1.0, 1.5, (2, 0)))


def test_sets_of_several_folds_count_by_their_rows() -> None:
    other = (SetScore(LAC, 0.95, 1.0, 1.0, (3, 5)), SetScore(APS, 0.95, 0.75, 1.75, (3, 3)))
    assert pool_sets([(2, SETS), (8, other)]) == (
        SetScore(LAC, 0.95, 0.9, 1.2, (4, 5)),
        SetScore(APS, 0.95, 0.8, 1.7, (5, 3)),
    )
    assert pool_sets([(2, SETS), (8, ())]) == ()


def test_the_score_to_name() -> None:
    assert find_set_score(reversed(SETS)) == SETS[0]
    assert find_set_score(()) is None
