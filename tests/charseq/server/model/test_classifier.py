"""How batches are filled up to the sizes that were compiled."""

from __future__ import annotations

import pytest

from charseq.server.model.classifier import fill_sizes

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (1, [(1, 1)]),
        (2, [(2, 16)]),
        (16, [(16, 16)]),
        (17, [(16, 16), (1, 1)]),
        (31, [(16, 16), (15, 16)]),
        (32, [(32, 64)]),
        (64, [(64, 64)]),
        (100, [(64, 64), (36, 64)]),
        (200, [(64, 64)] * 3 + [(8, 16)]),
    ],
)
def test_rows_are_filled_up_to_a_size_and_divided_if_that_is_much_larger(
    rows: int, expected: list[tuple[int, int]]
) -> None:
    assert fill_sizes(rows, (1, 16, 64)) == expected
