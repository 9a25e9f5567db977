from __future__ import annotations

import math

import numpy as np
import pytest

from charseq.measures.conformal import (
    count_in_sets,
    find_rank,
    find_threshold,
    label_scores,
    rank_labels,
    sort_falling,
)
from charseq.measures.set_methods import APS, LAC, SET_METHODS

pytestmark = pytest.mark.unit

PROBABILITIES = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]], np.float32)
FALLING = np.array([[0.5, 0.3, 0.2], [0.7, 0.2, 0.1]], np.float32)


def test_the_scores_of_rows_own_labels() -> None:
    labels = np.array([1, 2])
    assert label_scores(PROBABILITIES, labels, LAC).tolist() == pytest.approx([0.7, 0.3])
    assert label_scores(PROBABILITIES, labels, APS).tolist() == pytest.approx([0.65, 0.35])


@pytest.mark.parametrize(
    ("rows", "coverage", "rank"),
    [(9, 0.8, 8), (9, 0.85, 9), (9, 0.95, 10), (99, 0.95, 95), (100, 0.95, 96), (9, 0.0, 1)],
)
def test_the_rank_of_the_threshold(rows: int, coverage: float, rank: int) -> None:
    assert find_rank(rows, coverage) == rank
    assert find_rank(rows, float(np.float32(coverage))) == rank


def test_the_threshold_is_a_score_or_infinite() -> None:
    scores = [0.1, 0.2, 0.3, 0.4]
    assert find_threshold(scores, 0.6) == 0.3
    assert find_threshold(scores, 0.9) == math.inf


def test_the_labels_in_a_set() -> None:
    assert count_in_sets(FALLING, 0.75, LAC).tolist() == [2, 1]
    assert count_in_sets(FALLING, 0.7, APS).tolist() == [2, 1]
    assert count_in_sets(FALLING, math.inf, LAC).tolist() == [3, 3]
    assert count_in_sets(FALLING, math.inf, APS).tolist() == [3, 3]


def test_a_set_begins_with_the_most_probable_label() -> None:
    assert sort_falling(PROBABILITIES).tolist() == FALLING.tolist()
    assert rank_labels(np.array([1, 0]), PROBABILITIES).tolist() == [1, 2]
    # Of equal probabilities the lower id comes first.
    equal = np.array([[0.25, 0.5, 0.25]] * 2)
    assert rank_labels(np.array([0, 2]), equal).tolist() == [1, 2]


@pytest.mark.parametrize("method", SET_METHODS)
def test_a_set_is_never_empty(method: str) -> None:
    assert count_in_sets(FALLING, 0.05, method).tolist() == [1, 1]


@pytest.mark.parametrize("method", SET_METHODS)
@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
@pytest.mark.parametrize("seed", range(5))
def test_sets_of_exchangeable_rows_cover_as_often_as_wanted(method, coverage, seed) -> None:
    known, new, labels = 400, 2_000, 12
    random = np.random.default_rng(seed)
    truth = random.dirichlet(np.full(labels, 0.5), known + new)
    own = np.array([random.choice(labels, p=row) for row in truth])
    # The model is far too sure, which the sets make up for.
    sure = truth**2 / (truth**2).sum(axis=1, keepdims=True)
    scores = label_scores(sure, own, method)
    threshold = find_threshold(sorted(scores[:known].tolist()), coverage)
    # The set of a row whose best label alone exceeds the threshold has that label all the same.
    exact = int((scores[known:] <= threshold).sum())
    low, high = central_range(new, math.ceil((known + 1) * coverage), known)
    assert low <= exact <= high
    sizes = count_in_sets(sort_falling(sure[known:]), threshold, method)
    rank = rank_labels(own[known:], sure[known:])
    assert int((rank < sizes).sum()) >= exact


def central_range(new: int, rank: int, known: int) -> tuple[int, int]:
    """Return between which numbers of `new` rows 99.9 % of the beta-binomial distribution lie."""
    covered = np.arange(new + 1)
    log = np.vectorize(math.lgamma)
    a, b = rank, known + 1 - rank
    density = (
        log(new + 1) - log(covered + 1) - log(new - covered + 1)
        + log(covered + a) + log(new - covered + b) - log(new + a + b)
        + log(a + b) - log(a) - log(b)
    )  # fmt: skip
    below = np.cumsum(np.exp(density))
    assert below[-1] == pytest.approx(1)
    return int(np.searchsorted(below, 0.0005)), int(np.searchsorted(below, 0.9995))
