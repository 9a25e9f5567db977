"""The rows of each label and split, counted in blocks and added up."""

from __future__ import annotations

import pickle
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.rows import label_counts
from pipeline.rows.label_counts import LabelCounts, add_label_counts, count_labels

pytestmark = pytest.mark.unit

ROWS = st.lists(st.tuples(st.sampled_from(["x", "y", "z", "x\0", "é" * 50]), st.integers(0, 2)))


def count(rows: list[tuple[str, int]]) -> LabelCounts:
    labels = pa.array([label for label, _ in rows], pa.string())
    return count_labels(labels, np.array([split for _, split in rows], np.int64))


def rows_by_name(counts: LabelCounts) -> dict[str, list[int]]:
    return dict(zip(counts.name.to_pylist(), counts.rows.tolist(), strict=True))


@given(st.lists(ROWS, max_size=4))
def test_blocks_add_up_to_the_counts_of_all_rows(blocks: list[list[tuple[str, int]]]) -> None:
    by_row = Counter(row for block in blocks for row in block)
    labels = {label for label, _ in by_row}
    assert rows_by_name(add_label_counts(map(count, blocks))) == {
        label[:40]: [by_row[label, split] for split in range(3)] for label in labels
    }


def test_totals_and_the_train_split() -> None:
    counts = count([("x", 0), ("x", 2), ("y", 1), ("x", 0)])
    assert dict(zip(counts.name.to_pylist(), counts.total.tolist(), strict=True)) == {
        "x": 3,
        "y": 1,
    }
    assert counts.where(counts.is_in_train).name.to_pylist() == ["x"]
    assert counts.where(~counts.is_in_train).name.to_pylist() == ["y"]
    assert rows_by_name(counts.joined("other")) == {"other": [2, 1, 1]}
    assert rows_by_name(LabelCounts().joined("other")) == {}


def test_counts_of_many_labels_are_small_on_their_way() -> None:
    counts = count([(f"label {n}", n % 3) for n in range(10_000)])
    packed = pickle.dumps(counts)
    assert len(packed) < 20 * len(counts)
    assert rows_by_name(pickle.loads(packed)) == rows_by_name(counts)
    assert pickle.loads(packed).hash.tolist() == counts.hash.tolist()
    assert rows_by_name(pickle.loads(pickle.dumps(LabelCounts()))) == {}


def test_the_most_frequent_labels_are_named() -> None:
    counts = count([("a", 0), ("b", 0), ("c", 0), ("b", 2), ("d", 1)])
    assert counts.describe(3) == "'b' (2), 'a' (1), 'c' (1) and 1 more"
    assert counts.describe(4) == "'b' (2), 'a' (1), 'c' (1), 'd' (1)"


def test_more_labels_than_are_worth_counting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_counts, "MAX_COUNTED_LABELS", 5)
    batches = [count([(f"{n}-{i}", 0) for i in range(4)]) for n in range(6)]
    for order in (batches, batches[::-1]):
        total = add_label_counts([add_label_counts(order[:3]), add_label_counts(order[3:])])
        assert rows_by_name(total) == rows_by_name(add_label_counts(batches))
        assert len(total) == 5
