"""Exact shares of each label."""

from __future__ import annotations

from collections import Counter, defaultdict
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.split.strata import (
    StratifiedSplits,
    find_cuts,
    find_strata,
    make_plan,
    pack_facts,
    plan_cuts,
    share_out,
    share_out_all,
)

pytestmark = pytest.mark.unit

FRACTIONS = {"train": Fraction(1, 2), "validation": Fraction(1, 4), "test": Fraction(1, 4)}
LOW, MIDDLE, HIGH = 5, 1 << 63, (1 << 64) - 1
Row = tuple[int, str]  # a hash and a label


def plan(*blocks: list[Row], fractions: dict[str, Fraction] | None = None) -> StratifiedSplits:
    """Return what blocks of rows say."""
    fractions = fractions or FRACTIONS
    facts: dict[int, list[bytes]] = defaultdict(list)
    for block in blocks:
        hashes, labels = zip(*block, strict=True)
        for number, packed in pack_facts(np.array(hashes, np.uint64), pa.array(labels)):
            facts[number].append(packed)
    ranges = [find_strata(number, packed) for number, packed in facts.items()]
    counts = [each.counts for each in ranges]
    cuts = plan_cuts(counts, fractions)
    found = [find_cuts(each, cuts.get(each.counts.number, [])) for each in ranges]
    return make_plan(counts, found, fractions)


def assign(splits: StratifiedSplits, rows: list[Row]) -> list[int]:
    hashes, labels = zip(*rows, strict=True)
    batch = pa.record_batch({"label": pa.array(labels)})
    assigned = splits.assign(batch, np.array(hashes, np.uint64))
    assert not assigned.is_dropped.any()
    return assigned.split.tolist()  # type: ignore[no-any-return]


def test_each_label_is_cut_in_the_order_of_hashes() -> None:
    rows = [(LOW, "x"), (MIDDLE, "x"), (LOW + 1, "x"), (HIGH, "x"), (LOW + 2, "y"), (HIGH - 1, "y")]
    splits = plan(rows[:3], rows[3:])
    assert assign(splits, rows) == [0, 1, 0, 2, 0, 1]
    assert splits.cuts.to_json() == {
        "x": ["8000000000000000", "ffffffffffffffff"],
        "y": ["fffffffffffffffe", None],
    }
    assert list(splits.notes({})) == ["labels with fewer sequences than splits: 1: 'y'"]


def test_a_sequence_of_several_labels_counts_with_the_most_frequent() -> None:
    rows = [(LOW, "y"), (LOW, "x"), (LOW, "y"), (MIDDLE, "y"), (MIDDLE, "x"), (HIGH, "y")]
    splits = plan(rows)
    # LOW is of y, MIDDLE of x (the first by text), HIGH of y. Each row of a sequence goes with it.
    assert assign(splits, rows) == [0, 0, 0, 0, 0, 1]
    assert list(splits.notes({}))[1] == (
        "sequences with several labels: 2; --stratify counts each with its most frequent label"
    )


def test_a_split_of_no_share_gets_nothing() -> None:
    fractions = {"train": Fraction(1, 2), "validation": Fraction(0), "test": Fraction(1, 2)}
    rows = [(LOW, "x"), (MIDDLE, "x"), (HIGH, "x"), (LOW + 1, "x")]
    assert assign(plan(rows, fractions=fractions), rows) == [0, 2, 2, 0]


@pytest.mark.parametrize(
    ("count", "shares"),
    [
        (0, [0, 0, 0]),
        (1, [1, 0, 0]),
        (2, [2, 0, 0]),
        (4, [3, 1, 0]),
        (5, [4, 1, 0]),
        (7, [5, 1, 1]),
        (15, [12, 2, 1]),
        (10_000_019, [8_000_015, 1_000_002, 1_000_002]),
    ],
)
def test_the_largest_remainder_gets_the_rest(count: int, shares: list[int]) -> None:
    assert share_out(count, [Fraction(8, 10), Fraction(1, 10), Fraction(1, 10)]) == shares


def test_what_is_left_of_labels_goes_round() -> None:
    fifths = [Fraction(1, 5)] * 5
    assert share_out_all({"a": 3, "b": 6, "c": 4}, fifths) == {
        "a": [1, 1, 1, 0, 0],
        "b": [1, 1, 1, 2, 1],
        "c": [1, 1, 1, 0, 1],
    }
    assert share_out_all({"a": 5, "b": 5}, [Fraction(8, 10), *[Fraction(1, 10)] * 2]) == {
        "a": [4, 1, 0],
        "b": [4, 1, 0],
    }


ROWS = st.lists(st.tuples(st.integers(0, 40), st.sampled_from("xyz")), min_size=1, max_size=120)


@given(ROWS, st.integers(1, 4))
def test_shares_are_exact_whatever_the_order_and_the_blocks(rows: list[Row], blocks: int) -> None:
    step = (1 << 64) // 41
    hashed = [(number * step, label) for number, label in rows]
    parts = [part for part in (hashed[start::blocks] for start in range(blocks)) if part]
    found = assign(plan(*parts), hashed)
    assert found == assign(plan(hashed[::-1]), hashed)
    labels: dict[int, Counter[str]] = defaultdict(Counter)
    for number, label in hashed:
        labels[number][label] += 1
    stratum = {number: min(of, key=lambda name: (-of[name], name)) for number, of in labels.items()}
    split = dict(zip((number for number, _ in hashed), found, strict=True))
    assert [split[number] for number, _ in hashed] == found  # one split for each sequence
    totals = {label: list(stratum.values()).count(label) for label in sorted(stratum.values())}
    for label, shares in share_out_all(totals, list(FRACTIONS.values())).items():
        members = sorted(number for number, name in stratum.items() if name == label)
        expected = [place for place, share in enumerate(shares) for _ in range(share)]
        assert [split[number] for number in members] == expected
