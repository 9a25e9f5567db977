"""The linear model of n-grams: what it learns, and that it does so in the same way each time."""

from __future__ import annotations

import numpy as np
import pytest

from charseq.measures.gains import Ints
from trainer.baseline.linear import LinearModel, fit
from trainer.baseline.ngrams import BUCKETS, Ngrams, distinct_ngrams

pytestmark = pytest.mark.unit


def random_rows(rows: int, num_labels: int, seed: int) -> tuple[Ngrams, Ints]:
    """Rows of six ids, whose label is told by two that stand somewhere in them, side by side."""
    random = np.random.default_rng(seed)
    ids = random.integers(1, 9, (rows, 6))
    labels = random.integers(0, num_labels, rows)
    place = random.integers(0, 5, rows)
    ids[np.arange(rows), place] = 9 + labels // 8
    ids[np.arange(rows), place + 1] = 1 + labels % 8
    return distinct_ngrams(ids, np.full(rows, 6)), labels


def accuracy(model: LinearModel, ngrams: Ngrams, labels: Ints) -> float:
    return float((model.probabilities(ngrams).argmax(axis=1) == labels).mean())


# Of up to 32 labels each has a weight of an n-gram; of more the matrix is learned.
@pytest.mark.parametrize(("num_labels", "dimensions"), [(2, 2), (32, 32), (40, 32)])
def test_it_learns_what_bigrams_tell(num_labels: int, dimensions: int) -> None:
    model = fit(*random_rows(3000, num_labels, seed=0), num_labels)
    assert model.vectors.shape == (BUCKETS, dimensions)
    assert model.matrix.shape == (dimensions, num_labels)
    assert accuracy(model, *random_rows(500, num_labels, seed=1)) > 0.95
    of_other_rows = fit(*random_rows(100, num_labels, seed=2), num_labels)
    is_learned = not np.array_equal(model.matrix, of_other_rows.matrix)
    assert is_learned == (num_labels > 32)


def test_a_row_of_unknown_ngrams_has_the_label_shares() -> None:
    ngrams, labels = random_rows(300, 2, seed=0)
    labels[:] = np.arange(300) % 4 == 0
    unknown = distinct_ngrams(np.array([[99, 98, 97]]), np.array([3]))
    # (75 + 1/2) / (300 + 2 · 1/2)
    assert fit(ngrams, labels, 2).probabilities(unknown)[0, 1] == pytest.approx(75.5 / 301, 1e-5)


def test_rows_count_as_their_weights() -> None:
    ngrams, labels = random_rows(300, 2, seed=0)
    labels[:] = np.arange(300) % 4 == 0
    unknown = distinct_ngrams(np.array([[99, 98, 97]]), np.array([3]))
    # The 75 rows of label 1 weigh 150 of 300: (150 + 1/2) / (300 + 2 · 1/2)
    weights = np.where(labels == 1, 2, 2 / 3).astype(np.float32)
    weighted = fit(ngrams, labels, 2, weights)
    assert weighted.probabilities(unknown)[0, 1] == pytest.approx(0.5, 1e-5)
    plain, equal = fit(ngrams, labels, 2), fit(ngrams, labels, 2, np.ones(300, np.float32))
    assert equal.vectors.tobytes() == plain.vectors.tobytes()
    assert weighted.vectors.tobytes() != plain.vectors.tobytes()


def test_the_same_rows_give_the_same_bits() -> None:
    rows = random_rows(700, 40, seed=2)
    one, other = fit(*rows, 40), fit(*rows, 40)
    assert one.vectors.tobytes() == other.vectors.tobytes()
    assert one.matrix.tobytes() == other.matrix.tobytes()


@pytest.mark.parametrize(("rows", "num_labels"), [(1, 1), (1, 3), (129, 2), (128, 100)])
def test_any_number_of_rows_and_labels(rows: int, num_labels: int) -> None:
    ngrams, labels = random_rows(rows, min(num_labels, 40), seed=3)
    probabilities = fit(ngrams, labels, num_labels).probabilities(ngrams)
    assert probabilities.shape == (rows, num_labels)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
