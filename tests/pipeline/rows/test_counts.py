"""Counts of batches, added up."""

from __future__ import annotations

import pyarrow as pa
import pytest

from pipeline.rows import counts
from pipeline.rows.counts import ReadCounts, add_counts, count_labels
from pipeline.rows.rejected import RejectedRow, choose_examples

pytestmark = pytest.mark.unit


def read(*labels: str) -> ReadCounts:
    return ReadCounts(train_labels=count_labels(pa.array(labels, pa.string())))


def test_labels_of_all_batches_are_counted_once() -> None:
    total = add_counts([read("x", "y", "x"), read(), read("y", "z", "x\0")])
    assert len(total.train_labels) == 4
    assert len(add_counts([total, total]).train_labels) == 4


def test_more_labels_than_are_worth_counting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "MAX_COUNTED_LABELS", 5)
    batches = [read(*(f"{n}-{i}" for i in range(4))) for n in range(6)]
    for order in (batches, batches[::-1]):
        total = add_counts([add_counts(order[:3]), add_counts(order[3:])])
        assert total.train_labels.tolist() == add_counts(batches).train_labels.tolist()
        assert len(total.train_labels) == 5


def test_examples_hold_what_is_shown_of_them() -> None:
    rows = [RejectedRow(0, n, "too_long", "A" * 100) for n in (3, 1, 2, 0)]
    assert choose_examples(rows) == [RejectedRow(0, n, "too_long", "A" * 60) for n in (0, 1, 2)]
