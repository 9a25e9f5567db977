"""Inputs that are refused for their labels or their rejected rows."""

from __future__ import annotations

from collections import Counter

import pytest

from charseq.errors import DataError
from pipeline.dataset import limits
from pipeline.dataset.limits import check_label_count, check_rejected_fraction
from pipeline.options import Options
from pipeline.rows.counts import ReadCounts
from pipeline.rows.parts import Part
from pipeline.rows.rejected import RejectedRow
from pipeline.rows.sources import Source

pytestmark = pytest.mark.unit


def options(**changes: object) -> Options:
    return Options(input=("i",), output="o", **changes)  # type: ignore[arg-type]


def test_more_labels_than_max_labels_are_refused() -> None:
    check_label_count(4, options(max_labels=4))
    with pytest.raises(DataError, match="is 'label' the right --label-column"):
        check_label_count(4, options(max_labels=3))
    with pytest.raises(DataError, match="is 'file' the right --label-from"):
        check_label_count(4, options(max_labels=3, label_from="file"))


def test_more_labels_than_are_worth_counting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_COUNTED_LABELS", 5)
    with pytest.raises(DataError, match="have at least 5 different labels"):
        check_label_count(5, options(max_labels=3))


def test_too_many_rejected_rows_are_refused_with_examples_of_each_reason() -> None:
    source = Source("a.csv", 99, "csv", None, ("sequence", "label"), 0, 1, first_row=2)
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
    check_rejected_fraction(counts, parts, options(max_rejected_fraction=0.03))
    with pytest.raises(DataError) as raised:
        check_rejected_fraction(counts, parts, options())
    assert str(raised.value).splitlines() == [
        "3 of 100 rows are rejected, more than --max-rejected-fraction 0.01 allows; nothing was "
        "written",
        "  2 missing_label (no label), such as",
        "    a.csv, row 5: 'A,'",
        "    a.csv, row 62: 'C,'",
        "  1 too_long (longer than --max-length, with --too-long=reject), such as",
        "    a.csv, row 63: 'AAA,x'",
    ]
