"""Inputs that are refused for their labels or their rejected rows."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from charseq.errors import DataError
from pipeline.dataset import limits
from pipeline.dataset.limits import (
    check_counted_labels,
    check_label_count,
    check_rejected_rows,
)
from pipeline.formats.head import Header
from pipeline.options import Options
from pipeline.rows.counts import ReadCounts
from pipeline.rows.label_counts import LabelCounts, count_labels
from pipeline.rows.parts import Part
from pipeline.rows.rejected import RejectedRow
from pipeline.rows.sources import Source

pytestmark = pytest.mark.unit


def options(**changes: object) -> Options:
    return Options(input=("i",), output="o", **changes)  # type: ignore[arg-type]


def counts_of(**rows: tuple[int, int, int]) -> LabelCounts:
    """Return counts of labels with so many rows in train, validation and test."""
    labels = pa.array(np.repeat(list(rows), [sum(each) for each in rows.values()]), pa.string())
    splits = [np.repeat(np.arange(3), each) for each in rows.values()]
    return count_labels(labels, np.concatenate(splits))


FOUR = counts_of(a=(1, 0, 0), b=(1, 0, 0), c=(1, 0, 0), d=(1, 0, 0))


def test_more_labels_than_max_labels_are_refused() -> None:
    check_label_count(FOUR, options(max_labels=4))
    with pytest.raises(DataError, match="is 'label' the right --label-column"):
        check_label_count(FOUR, options(max_labels=3))
    with pytest.raises(DataError, match="is 'file' the right --label-from"):
        check_label_count(FOUR, options(max_labels=3, label_from="file"))


def test_a_single_label_is_refused_by_its_name() -> None:
    with pytest.raises(DataError, match="have only the label 'b', expected at least two"):
        check_label_count(counts_of(b=(7, 0, 0)), options())
    with pytest.raises(DataError, match=r"have no label with 9 rows or more \(--min-label-rows\)"):
        check_label_count(LabelCounts(), options(min_label_rows=9))


def test_more_labels_than_are_worth_counting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_COUNTED_LABELS", 5)
    check_counted_labels(4, options())
    with pytest.raises(DataError, match="have at least 5 different labels"):
        check_counted_labels(5, options())


def test_too_many_rejected_rows_are_refused_with_examples_of_each_reason() -> None:
    source = Source("a.csv", 99, "csv", None, Header(("sequence", "label"), 0, 1, first_row=2))
    parts = [Part(0, source, 0, 50, 50), Part(1, source, 50, 99, 50)]
    counts = ReadCounts(
        usable=97,
        rejected=Counter(too_long=1, missing_label=2),
        examples=[
            RejectedRow(0, 3, "missing_label", "A,"),
            RejectedRow(1, 0, "missing_label", "C,"),
            RejectedRow(1, 1, "too_long", "AAA,x"),
        ],
        rows_in_part=Counter({0: 60, 1: 40}),
    )
    none = LabelCounts()
    check_rejected_rows(counts, none, parts, options(max_rejected_fraction=0.03))
    with pytest.raises(DataError) as raised:
        check_rejected_rows(counts, none, parts, options())
    assert str(raised.value).splitlines() == [
        "3 of 100 rows are rejected, more than --max-rejected-fraction 0.01 allows; nothing was "
        "written",
        "  2 missing_label (no label), such as",
        "    a.csv, row 5: 'A,'",
        "    a.csv, row 62: 'C,'",
        "  1 too_long (longer than --max-length, with --too-long=reject), such as",
        "    a.csv, row 63: 'AAA,x'",
    ]


def test_rows_of_unseen_labels_count_as_rejected() -> None:
    counts = ReadCounts(usable=96, rejected=Counter(too_long=4))
    unseen = counts_of(x=(0, 2, 0), y=(0, 0, 3), z=(0, 1, 0), w=(0, 0, 1))
    check_rejected_rows(counts, unseen, [], options(max_rejected_fraction=0.11))
    with pytest.raises(DataError) as raised:
        check_rejected_rows(counts, unseen, [], options(max_rejected_fraction=0.1))
    assert str(raised.value).splitlines() == [
        "11 of 100 rows are rejected, more than --max-rejected-fraction 0.1 allows; nothing was "
        "written",
        "  7 unseen_label (a label that no row of the train split has), such as",
        "    'y' (3), 'x' (2), 'w' (1) and 1 more",
        "    --min-label-rows N rejects the rows of rarer labels as rare_label, which do not count "
        "here; --rare-label-as NAME joins these labels under a name instead",
        "    is 'label' the right --label-column?",
        "  4 too_long (longer than --max-length, with --too-long=reject), such as",
    ]
