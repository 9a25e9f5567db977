"""The notes on a dataset name the labels that a user should know about."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pipeline.dataset.labels import choose_labels
from pipeline.dataset.notes import (
    note_absent_labels,
    note_amounts,
    note_doubtful_labels,
    note_left_out_labels,
)
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


def test_labels_that_are_probably_one_or_none_are_named() -> None:
    rows = {"Yes": 3, "yes": 400, "1": 5, "1.0": 1_000, "yse": 2, "nan": 7, "NA": 1}
    assert list(note_doubtful_labels(rows)) == [
        "labels that read like a missing value: 'nan' (7), 'NA' (1); if they are, leave these "
        "rows out of the input",
        "labels that differ only in case, quotes, spaces or the form of characters: "
        "'Yes' (3) and 'yes' (400)",
        "labels that are the same number: '1' (5) and '1.0' (1,000)",
        "labels that are one edit apart, the first perhaps a typing error: "
        "'yse' (2) and 'yes' (400)",
    ]
    assert list(note_doubtful_labels({"alpha": 3, "beta": 400, "11": 1, "12": 1000})) == []


def test_labels_that_seem_to_be_amounts_are_noted() -> None:
    numbers = [str(n / 10) for n in range(201)]
    assert list(note_amounts(numbers)) == [
        "all labels are numbers, and each is a class of its own, as this is classification; to "
        "predict an amount, give ranges of it as labels"
    ]
    assert list(note_amounts(numbers[:200])) == list(note_amounts([*numbers, "n/a"])) == []


def test_the_first_20_pairs_are_named_in_short_notes() -> None:
    rows = {f"{n:02}{'é' * 60}{end}": 10**9 for n in range(15) for end in ("x", "X")}
    rows |= {f"{n}{end}": 10**9 for n in range(100, 115) for end in (".0", "")}
    spellings, numbers = note_doubtful_labels(rows)
    assert spellings.count(" and ") == 15
    assert numbers.count(" and ") == 5 + 1
    assert numbers.endswith("and 10 more")
    assert max(len(spellings), len(numbers)) < 2000


def test_rows_by_name_are_of_whole_names_only() -> None:
    long, longer = "x" * 40, "y" * 50
    counts = count_labels(pa.array(["a", "a", long, longer]), np.array([0, 1, 0, 2]))
    assert counts.by_name([]) == {"a": 2}
    assert counts.by_name(["a", longer, "absent"]) == {"a": 2, longer: 1}
