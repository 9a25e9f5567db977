"""What an identity asks of two sequences, by their lengths."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations, pairwise

import pytest

from pipeline.identity import Identity, choose_range_bits, gram_lengths

pytestmark = pytest.mark.unit


def identity(threshold: str, positions: int = 1024) -> Identity:
    return Identity(Fraction(threshold), positions)


@pytest.mark.parametrize(
    ("threshold", "length", "edits", "shortest"),
    [
        ("0.8", 4, 0, 4),
        ("0.8", 5, 1, 4),
        ("0.8", 31, 6, 25),
        ("0.9", 10, 1, 9),  # 1 - 0.9 is less than a tenth in floats
        ("0.7", 10, 3, 7),
        ("1", 31, 0, 31),
        ("0.01", 31, 30, 1),
    ],
)
def test_edits_follow_the_longer_sequence(
    threshold: str, length: int, edits: int, shortest: int
) -> None:
    wanted = identity(threshold)
    assert (wanted.edits(length), wanted.shortest(length)) == (edits, shortest)


@pytest.mark.parametrize(
    ("threshold", "length", "has_variants", "grams"),
    [
        ("0.8", 6, True, ()),
        ("0.8", 11, True, ()),
        ("0.8", 12, True, (4,)),  # may be like one of 15 characters, which has no variants
        ("0.8", 15, False, (4, 5)),
        ("0.8", 31, False, (6,)),
        ("0.8", 1000, False, (9,)),
        ("0.9", 15, True, ()),
        ("0.9", 31, False, (9, 10)),
        ("0.5", 10, False, (1, 2)),
        ("1", 1000, True, ()),
    ],
)
def test_short_sequences_have_variants_and_long_ones_grams(
    threshold: str, length: int, has_variants: bool, grams: tuple[int, ...]
) -> None:
    wanted = identity(threshold)
    assert wanted.has_variants(length) == has_variants
    assert gram_lengths(wanted, length) == grams


def test_no_gram_is_for_sequences_longer_than_the_cut() -> None:
    assert gram_lengths(identity("0.8", positions=14), 12) == ()


def test_of_all_places_of_edits_one_in_a_hundred_leaves_no_gram_whole() -> None:
    wanted = identity("0.8")
    for length in (15, 18, 20, 22):
        gram = gram_lengths(identity("0.8", positions=length), length)[0]
        missed, ways = 0, 0
        for places in combinations(range(length), wanted.edits(length)):
            edges = (-1, *places, length)
            runs = [end - start - 1 for start, end in pairwise(edges)]
            ways += 1
            missed += max(runs) < gram
        assert missed <= 0.01 * ways, length


@pytest.mark.parametrize(
    ("size", "bits"), [(0, 2), (1 << 26, 2), ((1 << 26) + 1, 3), (1 << 37, 13), (1 << 60, 16)]
)
def test_larger_inputs_have_more_ranges(size: int, bits: int) -> None:
    assert choose_range_bits(size) == bits
