"""The index of n-grams."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.ngrams.index import find_ngrams, index_ngrams

pytestmark = pytest.mark.unit

# Of any bits; few of them, so that slots are shared.
hashes = st.one_of(st.integers(-(2**31), 2**31 - 1), st.integers(-9, 9)).filter(bool)


def test_ngrams_of_a_slot_stand_side_by_side() -> None:
    """In four slots, by their last two bits."""
    index = index_ngrams(np.array([5, -3, 2], np.int32))
    assert index.starts.tolist() == [0, 0, 2, 3]
    assert index.keys.tolist() == [5, -3, 2, *[0] * 8]
    assert index.places.tolist() == [1, 2, 3, *[0] * 8]


@settings(deadline=None, max_examples=50)
@given(st.lists(hashes, min_size=1, max_size=300, unique=True), st.lists(hashes), st.booleans())
def test_what_is_there_is_found_and_nothing_else(
    known: list[int], more: list[int], jit: bool
) -> None:
    index = index_ngrams(np.array(known, np.int32))
    find = tf.function(lambda asked: find_ngrams(index, asked), jit_compile=jit)
    asked = [0, *known, *more]
    places = {hashed: place for place, hashed in enumerate(known, start=1)}
    expected = [places.get(each, 0) for each in asked]
    assert find(tf.constant([asked], tf.int32)).numpy().tolist() == [expected]
