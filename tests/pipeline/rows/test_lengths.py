"""Lengths before the cut: counted, and put into bins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.rows.lengths import bin_lengths, count_lengths, last_exact

pytestmark = pytest.mark.unit


def test_lengths_are_exact_to_twice_the_cut_and_then_double() -> None:
    lengths = np.array([1, 31, 31, 32, 80, 81, 160, 161, 50_000, 2**31 - 1], np.int32)
    assert count_lengths(lengths, 40) == {
        1: 1,
        31: 2,
        32: 1,
        80: 1,
        160: 2,
        320: 1,
        81_920: 1,
        80 * 2**25: 1,
    }
    assert count_lengths(np.array([], np.int32), 40) == {}


def test_a_bin_ends_at_the_cut() -> None:
    assert bin_lengths({2: 5, 4: 1}, 3) == [(1, 1, 0), (2, 2, 5), (3, 3, 0), (4, 4, 1)]
    bins = bin_lengths({7: 1, 256: 2}, 31)
    assert bins[30:32] == [(31, 31, 0), (32, 32, 0)]
    assert bins[63:] == [(64, 64, 0), (65, 128, 0), (129, 256, 2)]
    wide = bin_lengths({1: 1, 100: 2, 101: 3, 103: 4, 400: 5}, 100)
    assert wide[0] == (1, 1, 1)
    assert (98, 100, 2) in wide
    assert (101, 103, 7) in wide
    assert wide[-2:] == [(200, 200, 0), (201, 400, 5)]


def test_bins_end_at_the_cut_unless_that_is_far_beyond_the_longest() -> None:
    assert bin_lengths({11: 1}, 31)[-1] == (31, 31, 0)
    assert bin_lengths({10: 1}, 31)[-1] == (10, 10, 1)
    assert len(bin_lengths({12: 1}, 100_000)) == 12


@pytest.mark.parametrize("max_length", [1, 2, 31, 100, 5_000])
@given(lengths=st.lists(st.integers(1, 2**31 - 1) | st.integers(1, 200), min_size=1))
def test_bins_are_few_and_hold_every_row(max_length: int, lengths: list[int]) -> None:
    bins = bin_lengths(count_lengths(np.array(lengths, np.int32), max_length), max_length)
    assert len(bins) <= 120
    assert sum(one.rows for one in bins) == len(lengths)
    assert [one.first for one in bins] == [1, *(one.last + 1 for one in bins[:-1])]
    ends = [one.last for one in bins]
    assert max_length in ends or ends[-1] < max_length / 3
    cut = sum(one.rows for one in bins if one.first > max_length)
    assert cut == sum(length > max_length for length in lengths)
    assert all(one.last <= last_exact(max_length) or one.last == 2 * one.first - 2 for one in bins)
