"""Lengths before the cut: counted, and put into bins."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.rows.lengths import (
    add_lengths,
    bin_lengths,
    choose_max_length,
    count_lengths,
    last_exact,
    length_quantile,
)

pytestmark = pytest.mark.unit


def test_lengths_are_exact_as_far_as_auto_goes_and_to_twice_the_cut_and_then_double() -> None:
    lengths = np.array([1, 31, 31, 1_024, 1_280, 1_281, 2_560, 2_561, 2**31 - 1], np.int32)
    assert count_lengths(lengths, 40) == {
        1: 1,
        31: 2,
        1_024: 1,
        1_280: 1,
        2_560: 2,
        5_120: 1,
        80 * 2**25: 1,
    }
    assert count_lengths(np.array([2_000, 2_001], np.int32), 1_000) == {2_000: 1, 4_000: 1}
    assert count_lengths(np.array([], np.int32), 40) == {}


def test_lengths_of_blocks_add_up() -> None:
    assert add_lengths([{1: 2, 3: 1}, Counter({3: 4})]) == {1: 2, 3: 5}
    assert add_lengths([]) == {}


def test_a_quantile_is_a_length_that_occurs() -> None:
    lengths = {2: 1, 5: 1, 9: 1}
    shares = (Fraction(1, 100), Fraction(1, 3), Fraction(1, 2), Fraction(2, 3), Fraction(1))
    assert [length_quantile(lengths, share) for share in shares] == [2, 2, 5, 5, 9]


@pytest.mark.parametrize(
    ("lengths", "chosen"),
    [
        ({3: 99, 70: 1}, 3),
        ({3: 98, 70: 2}, 70),
        ({3: 989, 5: 1, 70: 10}, 5),
        ({7: 1}, 7),
        ({1: 1, 1_024: 98, 1_025: 1}, 1_024),
        ({1: 1, 4_096: 1}, 1_024),
        ({}, 1),
    ],
)
def test_the_length_that_leaves_99_percent_whole(lengths: dict[int, int], chosen: int) -> None:
    assert choose_max_length(lengths) == chosen


@given(st.lists(st.integers(1, 1_024), min_size=1, max_size=300))
def test_it_is_the_smallest_length_that_leaves_99_percent_whole(lengths: list[int]) -> None:
    chosen = choose_max_length(count_lengths(np.array(lengths), 31))
    whole = [sum(length <= most for length in lengths) for most in (chosen - 1, chosen)]
    assert 100 * whole[0] < 99 * len(lengths) <= 100 * whole[1]


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
