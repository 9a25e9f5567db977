"""Weights as they are read from a column."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.columns.weights import is_zero, parse_weights

pytestmark = pytest.mark.unit


def parse(*values: bytes | None) -> list[float]:
    return list(parse_weights(pa.array(values, pa.binary())))


def test_numbers_are_read_as_they_are_written() -> None:
    texts = (b"1", b"2.5", b"0", b"+3e0", b" .25\t", b"7.", b"1e30", b"-0", b"1E-3", b"2.5")
    assert parse(*texts) == [1, 2.5, 0, 3, 0.25, 7, 1e30, 0, 0.001, 2.5]


NO_WEIGHTS = (
    *(None, b"", b" ", b"x", b"-1", b"-1e-30", b"1.1e30", b"1e999", b"nan", b"inf", b"1_000"),
    *(b"1,5", b"0x10", b"1 2", b"\xff", "\u0661".encode(), b"++1", b".", b"e5", b"1e"),
)


@pytest.mark.parametrize("value", NO_WEIGHTS)
def test_what_is_no_number_from_0_on_is_nan(value: bytes | None) -> None:
    one, other = parse(value, b"2")
    assert math.isnan(one)
    assert other == 2


def test_a_tiny_weight_is_0() -> None:
    weights = np.array([0.0, -0.0, 1e-50, 9e-31, 1e-30, 1.0, np.nan])
    assert is_zero(weights).tolist() == [True, True, True, True, False, False, False]


@given(st.lists(st.floats(0, 1e30)))
def test_the_text_of_a_float_is_that_float(values: list[float]) -> None:
    assert parse(*(repr(value).encode() for value in values)) == values
