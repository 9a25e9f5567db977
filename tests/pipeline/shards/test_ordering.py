"""The rows of a shard: their order, their duplicates and their ambiguous sequences."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.options import Options
from pipeline.rows.hashing import hash_sequences
from pipeline.shards.ordering import (
    AmbiguousSequence,
    merge_most_ambiguous,
    order_rows,
    shuffled_schema,
)

pytestmark = pytest.mark.unit

OPTIONS = Options(input=("i",), output="o")

Row = tuple[str, str, str | None]


def batch(rows: list[Row]) -> pa.RecordBatch:
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    return pa.RecordBatch.from_arrays(
        [pa.array(column, pa.string()) for column in columns], schema=shuffled_schema(OPTIONS)
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
WEIGHTED = replace(OPTIONS, weight_column="weight")


def weighted(rows: Sequence[tuple[str, str, str | None, float]]) -> pa.RecordBatch:
    columns = list(zip(*rows, strict=True)) or [(), (), (), ()]
    schema = shuffled_schema(WEIGHTED)
    arrays = [pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def test_the_weights_of_equal_rows_are_added_up_from_the_least_on() -> None:
    """In float64 1e16 + 1 + 1 is 1e16, and 1 + 1 + 1e16 is two more."""
    rows = [("A", "x", "a", 1e16), ("A", "x", None, 1.0), ("B", "x", None, 4.0)]
    rows += [("A", "x", None, 1.0), ("A", "y", None, 0.5)]
    found = order_rows(weighted(rows), seed=0)
    assert sorted(found.rows.to_pylist(), key=str) == [
        {"sequence": "A", "label": "x", "raw": "a", "weight": 1e16 + 2},
        {"sequence": "A", "label": "y", "raw": None, "weight": 0.5},
        {"sequence": "B", "label": "x", "raw": None, "weight": 4.0},
    ]
    kept = order_rows(weighted(rows), seed=0, keeps_duplicates=True).rows
    assert sorted(kept["weight"].to_pylist()) == [0.5, 1.0, 1.0, 4.0, 1e16]


@given(
    st.lists(st.tuples(SMALL, SMALL, st.none() | SMALL, st.floats(0, 1e30)), max_size=30),
    st.randoms(),
)
def test_the_order_of_arrival_does_not_change_a_weight(
    rows: list[tuple[str, str, str | None, float]], random: object
) -> None:
    expected = order_rows(weighted(rows), seed=5).rows.to_pylist()
    random.shuffle(rows)  # type: ignore[attr-defined]
    assert order_rows(weighted(rows), seed=5).rows.to_pylist() == expected
    without_raw = [(*row[:2], None, row[3]) for row in rows]
    weights = [row["weight"] for row in order_rows(weighted(without_raw), seed=5).rows.to_pylist()]
    assert weights == [row["weight"] for row in expected]


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
