"""The notes on a dataset name the labels that a user should know about."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pipeline.dataset.labels import choose_labels
from pipeline.dataset.notes import note_absent_labels, note_left_out_labels
from pipeline.options import Options
from pipeline.rows.label_counts import count_labels

pytestmark = pytest.mark.unit

# a is in train and test, b only in test, c once in train.
COUNTS = count_labels(pa.array(["a", "a", "b", "b", "c", "a"]), np.array([0, 0, 2, 2, 0, 2]))


def notes(**changes: object) -> list[str]:
    options = Options(input=("i",), output="o", **changes)  # type: ignore[arg-type]
    return list(note_left_out_labels(choose_labels(COUNTS, options), options))


def test_labels_without_a_train_row_are_named() -> None:
    assert notes() == [
        "labels without a row in the train split: 1, and their 2 rows are rejected as "
        "unseen_label: 'b' (2)"
    ]


def test_rare_labels_are_named_with_what_becomes_of_them() -> None:
    assert notes(min_label_rows=3) == [
        "labels with fewer than 3 rows: 2, and their 3 rows are rejected as rare_label: "
        "'b' (2), 'c' (1)"
    ]
    assert notes(min_label_rows=3, rare_label_as="z") == [
        "labels with fewer than 3 rows: 2, and their 3 rows are labelled 'z': 'b' (2), 'c' (1)"
    ]


def test_labels_without_a_record_in_a_split_are_named() -> None:
    counts = {"train": {"a": 3, "b": 1, "c": 1}, "validation": {"a": 1}, "test": {"a": 2, "c": 1}}
    assert list(note_absent_labels(("a", "b", "c"), counts)) == [
        "labels without a row in the validation split: 2 of 3: 'b', 'c'",
        "labels without a row in the test split: 1 of 3: 'b'",
    ]


def test_a_note_stays_short() -> None:
    labels = [f"{n:04d}" + "x" * 100 for n in range(3000)]
    (note,) = note_absent_labels(labels, {"train": dict.fromkeys(labels, 1), "test": {}})
    assert note.endswith(" and 2,980 more")
    assert len(note) < 1200
