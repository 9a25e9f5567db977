"""What is dropped follows from a key."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.model.dropout import drop, random_bits

pytestmark = pytest.mark.unit

words = st.integers(-(2**31), 2**31 - 1)


def mix(bits: int, key: int = 0) -> int:
    bits = ((bits ^ bits >> 16) * 0x85EBCA6B + key) % 2**32
    bits = (bits ^ bits >> 13) * 0xC2B2AE35 % 2**32
    return bits ^ bits >> 16


def plain_bits(count: int, key: tuple[int, int]) -> list[int]:
    """Return the bits in plain integers of any size, cut to 32 bits."""
    first, second = (word % 2**32 for word in key)
    first = mix((first + mix((second + 0x9E3779B1) % 2**32)) % 2**32)
    second = mix((first + 0x9E3779B1) % 2**32)
    return [mix((place * 0x9E3779B1 + first) % 2**32, second) for place in range(count)]


@settings(deadline=None, max_examples=20)
@given(words, words, st.booleans())
def test_xla_and_plain_integers_agree(first: int, second: int, jit: bool) -> None:
    bits = tf.function(lambda key: random_bits([3, 5], key), jit_compile=jit)
    found = bits(tf.constant([first, second])).numpy()
    assert found.dtype == np.int32
    expected = np.reshape(plain_bits(15, (first, second)), (3, 5))
    np.testing.assert_array_equal(found.view(np.uint32), expected)


def test_what_is_kept_is_scaled_up() -> None:
    bits = tf.constant([-(2**31), -(2**30) - 1, -(2**30), 2**31 - 1])
    assert drop(tf.ones(4), 0.25, bits).numpy() == pytest.approx([0, 0, 4 / 3, 4 / 3])


@pytest.mark.parametrize("key", [(7, 9), (8, 9), (7, 10)])
def test_other_keys_and_other_places_have_nothing_in_common(key: tuple[int, int]) -> None:
    count = 200_000
    bits = random_bits([count], tf.constant(key)).numpy()
    dropped = bits < round(0.3 * 2**32) - 2**31
    assert dropped.mean() == pytest.approx(0.3, abs=0.005)
    here = random_bits([count], tf.constant((7, 8))).numpy() < round(0.3 * 2**32) - 2**31
    for shift in range(4):
        for one, other in ((here, dropped), (dropped, dropped)):
            if shift or one is not other:
                both = (one[: count - shift] & other[shift:]).mean()
                assert both == pytest.approx(0.09, abs=0.004), shift
