"""Characters counted, and the size of an alphabet for them."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sizes.characters import (
    CharacterCounts,
    add_character_counts,
    choose_alphabet_size,
    count_characters,
)

pytestmark = pytest.mark.unit

TEXTS = st.lists(st.text(st.sampled_from("aab\x00é😀"), max_size=5))


def count(*texts: str) -> CharacterCounts:
    return count_characters(pa.array(texts, pa.large_binary()))


def as_counter(counts: CharacterCounts) -> Counter[str]:
    pairs = zip(counts.code_point.tolist(), counts.occurrences.tolist(), strict=True)
    return Counter({chr(code_point): occurrences for code_point, occurrences in pairs})


def repeated(**occurrences: int) -> CharacterCounts:
    """Return the counts of characters, ascending."""
    codes = np.array([ord(character) for character in occurrences])
    return CharacterCounts(codes, np.array([*occurrences.values()], np.int64))


def test_characters_are_code_points() -> None:
    assert as_counter(count("abba", "", "😀é\x00", "a")) == {
        **{"\x00": 1, "a": 3, "b": 2},
        **{"é": 1, "😀": 1},
    }
    assert as_counter(count("abb", "", "b~")) == {"a": 1, "b": 3, "~": 1}
    assert as_counter(count("aab", "a")) == {"a": 3, "b": 1}
    assert as_counter(count()) == as_counter(count("")) == {}


def test_a_slice_of_a_column_is_counted_alone() -> None:
    column = pa.array(["x", "aé", "ya"], pa.large_binary())
    assert as_counter(count_characters(column.slice(1, 1))) == {"a": 1, "é": 1}


@given(blocks=st.lists(TEXTS))
def test_counts_of_blocks_add_up(blocks: list[list[str]]) -> None:
    found = add_character_counts(count(*texts) for texts in blocks)
    assert as_counter(found) == Counter("".join(text for texts in blocks for text in texts))
    assert found.code_point.tolist() == sorted(found.code_point.tolist())


def test_the_characters_of_an_alphabet() -> None:
    counts = count("abba", "é")
    assert (counts.total, counts.total_of("bé?"), counts.total_of("")) == (5, 3, 0)


@pytest.mark.parametrize(
    ("occurrences", "size"),
    [
        ({"a": 9_999, "b": 1}, 1),
        ({"a": 9_998, "b": 2}, 2),
        ({"a": 1, "b": 4_999, "c": 5_000}, 2),
        ({"a": 1, "b": 1, "c": 1}, 3),
        # Beyond the integers that a float can hold.
        ({"a": 10**14 * 9_999, "b": 10**14}, 1),
        ({"a": 10**14 * 9_999 - 1, "b": 10**14}, 2),
    ],
)
def test_the_size_of_an_alphabet(occurrences: dict[str, int], size: int) -> None:
    assert choose_alphabet_size(repeated(**occurrences), 8_192) == size


def test_the_size_of_an_alphabet_has_limits() -> None:
    many = CharacterCounts(np.arange(10_000), np.ones(10_000, np.int64))
    assert choose_alphabet_size(many, 20_000) == 9_999
    assert choose_alphabet_size(many, 8_192) == 8_192
    assert choose_alphabet_size(count(), 8_192) == 1


@given(st.lists(st.integers(1, 100_000), min_size=1, max_size=20))
def test_it_is_the_smallest_alphabet_that_covers(occurrences: list[int]) -> None:
    counts = CharacterCounts(np.arange(len(occurrences)), np.array(occurrences))
    frequent = sorted(occurrences, reverse=True)
    size = choose_alphabet_size(counts, 8_192)
    assert Fraction(sum(frequent[:size]), sum(frequent)) >= Fraction(9_999, 10_000)
    assert Fraction(sum(frequent[: size - 1]), sum(frequent)) < Fraction(9_999, 10_000)
