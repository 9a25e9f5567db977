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
        (17, [(17, 128)]),
        (128, [(128, 128)]),
        (129, [(128, 128), (1, 1)]),
        (300, [(128, 128), (128, 128), (44, 128)]),
        (511, [(128, 128)] * 3 + [(127, 128)]),
        (512, [(512, 1024)]),
        (1024, [(1024, 1024)]),
    ],
)
def test_rows_are_filled_up_to_a_size_and_divided_if_that_is_much_larger(
    rows: int, expected: list[tuple[int, int]]
) -> None:
    assert fill_sizes(rows, (1, 16, 128, 1024)) == expected


def test_sizes_of_long_sequences() -> None:
    assert fill_sizes(40, (1, 16, 64)) == [(40, 64)]
