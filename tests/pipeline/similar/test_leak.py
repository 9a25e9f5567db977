"""How many sampled sequences have a similar train row, with two kinds of splits."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pipeline.similar import leak
from pipeline.similar.leak import Leak, add_samples, count_leaks, find_nearest, take_sample

pytestmark = pytest.mark.unit


def test_the_least_ranks_of_each_column_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leak, "SAMPLED_SEQUENCES", 2)
    rank = np.array([9, 1, 5, 5, 7, 3], np.uint64)
    sequence = pa.array(["i", "a", "e", "e", "g", "c"])
    measured = np.array([[1, 1], [1, 0], [1, 0], [1, 0], [0, 1], [0, 0]], bool)
    sample = take_sample(rank, sequence, measured)
    assert sample.rank.tolist() == [1, 5, 7, 9]
    assert sample.sequence.to_pylist() == ["a", "e", "g", "i"]
    # 9 is the third of the first column, and the second of the other.
    assert sample.is_measured.tolist() == [
        [True, False],
        [True, False],
        [False, True],
        [False, True],
    ]
    parts = [take_sample(rank[n::2], sequence[n::2], measured[n::2]) for n in range(2)]
    added = add_samples(parts)
    assert added.rank.tolist() == [1, 5, 7, 9]
    assert added.is_measured.tolist() == sample.is_measured.tolist()


def test_train_rows_of_both_splits_are_compared() -> None:
    measured = np.array([[1, 1], [1, 1], [0, 1]], bool)
    sample = take_sample(
        np.array([1, 2, 3], np.uint64), pa.array(["ACDEF", "KLMNPQRSTV", "WWWW"]), measured
    )
    train = pa.array(["ACDEG", "KLMNPQRSTA", "AAAA", "WWWW"])
    is_train = np.array([[0, 1], [1, 1], [0, 0], [1, 0]], bool)
    nearest = find_nearest(sample, train, is_train)
    wanted = np.array([[0, 0.8], [0.9, 0.9], [1, 0]], np.float32)
    assert nearest.tolist() == wanted.tolist()
    assert count_leaks(sample, [nearest], 0.8) == [Leak(2, 1), Leak(3, 2)]
    assert count_leaks(sample, [nearest], 0.9) == [Leak(2, 1), Leak(3, 1)]


def test_without_a_train_row_nothing_is_near() -> None:
    sample = take_sample(np.array([1], np.uint64), pa.array(["A"]), np.ones((1, 2), bool))
    none = find_nearest(sample, pa.array(["A"]), np.zeros((1, 2), bool))
    assert none.tolist() == [[-1, -1]]
    assert count_leaks(sample, [], 0.5) == [Leak(1, 0), Leak(1, 0)]
