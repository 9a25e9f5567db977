"""The rows of a batch, divided among replicas."""

from __future__ import annotations

import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from trainer.steps.shares import Shares, num_parts

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("batch_size", "parts"),
    [(1, 1), (15, 1), (16, 2), (32, 2), (256, 2), (512, 4), (1000, 7), (4096, 32)],
)
def test_a_batch_has_two_parts_or_one_for_each_128_rows(batch_size: int, parts: int) -> None:
    assert num_parts(batch_size) == parts


@pytest.mark.parametrize(
    ("replicas", "parts", "rows"),
    [
        (1, [range(3)], [slice(0, 10)]),
        (2, [range(1), range(1, 3)], [slice(0, 3), slice(3, 10)]),
        (3, [range(1), range(1, 2), range(2, 3)], [slice(0, 3), slice(3, 6), slice(6, 10)]),
        (
            4,
            [range(0, 0), range(1), range(1, 2), range(2, 3)],
            [slice(0, 0), slice(0, 3), slice(3, 6), slice(6, 10)],
        ),
    ],
)
def test_each_replica_has_whole_parts(replicas: int, parts: list[range], rows: list[slice]) -> None:
    shares = Shares(10, 3, replicas)
    assert [list(shares.parts(number)) for number in range(replicas)] == [*map(list, parts)]
    assert [shares.rows(number) for number in range(replicas)] == rows


@given(st.integers(1, 70), st.integers(1, 9), st.integers(1, 9))
def test_the_parts_are_the_same_however_many_replicas(
    batch_size: int, count: int, replicas: int
) -> None:
    batch = tuple(tf.range(batch_size) for _ in range(3))

    def cut(shares: Shares) -> list[list[int]]:
        return [
            part[0].numpy().tolist()
            for number in range(shares.num_replicas)
            for part in shares.cut(tuple(each[shares.rows(number)] for each in batch), number)
        ]

    alone = cut(Shares(batch_size, count))
    assert len(alone) == count
    assert cut(Shares(batch_size, count, replicas)) == alone
