"""Pairs of similar sequences, beside all pairs compared."""

from __future__ import annotations

import random
from collections import defaultdict
from fractions import Fraction
from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from pipeline.identity import Identity
from pipeline.rows.hashing import hash_sequences
from pipeline.similar.keys import by_length, make_keys, make_signatures
from pipeline.similar.pairs import KeyedSequences, pack_keys

pytestmark = pytest.mark.unit

Pair = tuple[str, str]


def find(
    *blocks: list[str], threshold: str, positions: int = 64, bits: int = 4
) -> tuple[set[Pair], int]:
    """Return the pairs found, and the number of distinct sequences."""
    identity = Identity(Fraction(threshold), positions)
    ranges: dict[int, list[bytes]] = defaultdict(list)
    texts: dict[int, str] = {}
    for block in blocks:
        column = pa.array(block)
        hashes = hash_sequences(column, 5)
        texts |= dict(zip(hashes.tolist(), block, strict=True))
        for number, packed in pack_keys(hashes, column, identity, bits):
            ranges[number].append(packed)
    pairs: set[Pair] = set()
    sequences = 0
    for number, parts in ranges.items():
        keyed = KeyedSequences(parts, identity)
        sequences += keyed.count(number, bits)
        for firsts, seconds in keyed.similar_pairs():
            for first, second in zip(firsts.tolist(), seconds.tolist(), strict=True):
                one, other = sorted((texts[first], texts[second]))
                pairs.add((one, other))
    return pairs, sequences


def compare_all(sequences: list[str], threshold: str) -> set[Pair]:
    wanted = Fraction(threshold)
    return {
        (one, other)
        for one, other in combinations(sorted(set(sequences)), 2)
        if 1 - Fraction(Levenshtein.distance(one, other), max(len(one), len(other))) >= wanted
    }


def test_pairs_of_different_sequences_are_found_over_blocks() -> None:
    pairs, sequences = find(
        ["ACDEF", "ACDEF", "KLMNP", "ACDE"], ["ACDEG", "ACDEF", "KLMRR", "é😀éé"], threshold="0.8"
    )
    # ACDE to ACDEF and ACDEG: one edit of five; ACDEF to ACDEG likewise; KLMNP to KLMRR: two.
    assert pairs == {("ACDE", "ACDEF"), ("ACDE", "ACDEG"), ("ACDEF", "ACDEG")}
    assert sequences == 6


def test_an_identity_of_1_finds_nothing() -> None:
    assert find(["ACDEF", "ACDEF", "ACDEG"], threshold="1") == (set(), 2)


@pytest.mark.parametrize("threshold", ["0.5", "0.75", "0.8", "0.9"])
@given(sequences=st.lists(st.text("ABC😀", min_size=1, max_size=9), min_size=1, max_size=25))
def test_all_pairs_of_short_sequences_are_found(threshold: str, sequences: list[str]) -> None:
    found, distinct = find(sequences, threshold=threshold, positions=9)
    wanted = compare_all(sequences, threshold)
    assert distinct == len(set(sequences))
    assert found <= wanted
    if threshold != "0.5":  # which also has q-grams, from 8 characters on
        assert found == wanted


def change(text: str, edits: int, rng: random.Random) -> str:
    for _ in range(edits):
        place = rng.randrange(len(text))
        text = text[:place] + rng.choice(["", "K", "LM"]) + text[place + 1 :]
    return text


@pytest.mark.parametrize(
    ("threshold", "length"), [("0.8", 20), ("0.8", 31), ("0.9", 60), ("0.7", 150)]
)
def test_nearly_all_pairs_of_long_sequences_are_found(threshold: str, length: int) -> None:
    rng = random.Random(0)
    sequences = []
    for _ in range(200):
        text = "".join(rng.choices("ACDEFGHIKLMNPQRSTVWY", k=length))
        most = int((1 - float(threshold)) * length)
        sequences += [text, change(text, rng.randint(1, most), rng)]
    wanted = compare_all(sequences, threshold)
    found, _ = find(sequences, threshold=threshold, positions=200)
    assert len(wanted) > 100
    assert found <= wanted
    assert len(found) >= 0.99 * len(wanted)


def test_the_number_of_ranges_and_the_order_change_nothing() -> None:
    rng = random.Random(1)
    sequences = ["".join(rng.choices("ABCD", k=rng.randint(3, 24))) for _ in range(400)]
    once = find(sequences, threshold="0.7")
    rng.shuffle(sequences)
    assert find(sequences[:150], sequences[150:], threshold="0.7", bits=7) == once
    assert len(once[0]) > 50


def test_a_key_of_many_sequences_takes_no_quadratic_time() -> None:
    """All 30,000 sequences share their first q-grams; all pairs would be 450 million."""
    rng = random.Random(2)
    sequences = ["www." + "".join(rng.choices("abcdefghij", k=26)) for _ in range(30_000)]
    sequences.append(sequences[0][:-1] + "z")
    pairs, _ = find(sequences, threshold="0.9", positions=31)
    one, other = sorted((sequences[0], sequences[-1]))
    assert (one, other) in pairs


def test_an_edit_changes_two_bits_of_a_signature_at_most() -> None:
    rng = random.Random(3)
    for _ in range(200):
        one = "".join(rng.choices("ABCDEFGH", k=12))
        other = change(one, 3, rng) or "A"
        distance = Levenshtein.distance(one, other)
        bits = []
        for text in (one, other):
            (_, codes), *_ = by_length(pa.array([text]))
            bits.append(make_signatures(codes)[0])
        assert np.bitwise_count(bits[0] ^ bits[1]) <= 2 * distance


def test_keys_are_those_of_the_texts_alone() -> None:
    """A key that a sequence has, it has beside any others: blocks are cut anywhere."""
    identity = Identity(Fraction("0.8"), 40)
    texts = ["ACDEFGHIKL", "LKIHGFEDCA", "A" * 10]
    (_, together), *_ = by_length(pa.array(texts))
    keys = make_keys(together, identity)
    for row, text in enumerate(texts):
        (_, alone), *_ = by_length(pa.array([text]))
        assert make_keys(alone, identity)[0].tolist() == keys[row].tolist()
    # 1 + 10 + 45 ways to delete up to two of ten characters; in a row of A they are three.
    assert keys.shape == (3, 56)
    assert [len(set(row)) for row in keys.tolist()] == [56, 56, 3]
