"""The rows of a shard: their order, their duplicates and their ambiguous sequences."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.rows.hashing import hash_sequences
from pipeline.shards.ordering import (
    SHUFFLED,
    AmbiguousSequence,
    merge_most_ambiguous,
    order_rows,
)

pytestmark = pytest.mark.unit

Row = tuple[str, str, str | None]


def batch(rows: list[Row]) -> pa.RecordBatch:
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    return pa.RecordBatch.from_arrays(
        [pa.array(column, pa.string()) for column in columns], schema=SHUFFLED
    )


def rows_of(found: pa.RecordBatch) -> list[Row]:
    return [tuple(row.values()) for row in found.to_pylist()]


def test_equal_rows_are_kept_once_and_ambiguous_sequences_counted() -> None:
    rows: list[Row] = [
        ("B", "x", None),
        ("A", "y", "Araw2"),
        ("A", "x", None),
        ("A", "y", "Araw1"),
        ("B", "x", None),
        ("C", "x", None),
        ("A", "y", None),
    ]
    found = order_rows(batch(rows), seed=0)
    assert (found.duplicates, found.ambiguous) == (3, 1)
    assert found.most_ambiguous == (AmbiguousSequence("A", 2, 4, (("y", 3), ("x", 1))),)
    kept = rows_of(found.rows)
    assert sorted(kept, key=str) == [
        ("A", "x", None),
        ("A", "y", "Araw1"),
        ("B", "x", None),
        ("C", "x", None),
    ]
    hashes = hash_sequences(found.rows["sequence"], 0)
    assert (np.diff(hashes.astype(object)) >= 0).all()


SMALL = st.text("AB", min_size=1, max_size=2)


@given(st.lists(st.tuples(SMALL, SMALL, st.none() | SMALL), max_size=30), st.randoms())
def test_the_order_of_arrival_does_not_matter(rows: list[Row], random: object) -> None:
    expected = order_rows(batch(rows), seed=5)
    random.shuffle(rows)  # type: ignore[attr-defined]
    assert rows_of(order_rows(batch(rows), seed=5).rows) == rows_of(expected.rows)
    pairs = {row[:2] for row in rows}
    assert expected.duplicates == len(rows) - len(pairs)
    sequences = [sequence for sequence, _ in pairs]
    assert expected.ambiguous == sum(sequences.count(s) > 1 for s in set(sequences))


def expected_most_ambiguous(rows: list[Row]) -> list[AmbiguousSequence]:
    found = []
    for sequence in {row[0] for row in rows}:
        counts = Counter(row[1] for row in rows if row[0] == sequence)
        if len(counts) > 1:
            ordered = sorted(counts.items(), key=lambda named: (-named[1], named[0]))
            total = counts.total()
            found.append(AmbiguousSequence(sequence, len(counts), total, tuple(ordered[:6])))
    return sorted(found, key=lambda one: (-one.labels, -one.rows, one.sequence))[:10]


@pytest.mark.parametrize("shards", [1, 2, 5])
def test_the_most_ambiguous_are_the_same_from_any_number_of_shards(shards: int) -> None:
    rng = random.Random(shards)
    sequences = [a + b + c for a in "ABé" for b in "CDE" for c in "FGHI"]
    rows: list[Row] = [(rng.choice(sequences), rng.choice("abcdefghij"), None) for _ in range(150)]
    rows += [("many", f"{label:02}", None) for label in range(20) for _ in range(label % 3 + 1)]
    place = hash_sequences(batch(rows)["sequence"], 1) % np.uint64(shards)
    of_shards = [
        order_rows(batch([row for row, at in zip(rows, place, strict=True) if at == shard]), 1)
        for shard in range(shards)
    ]
    merged = merge_most_ambiguous(found.most_ambiguous for found in of_shards)
    assert merged == expected_most_ambiguous(rows)
