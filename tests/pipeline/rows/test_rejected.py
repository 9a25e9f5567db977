"""Rejected rows: their number in their file, and the text of their counts."""

from __future__ import annotations

import pytest

from pipeline.formats.head import Header
from pipeline.rows.parts import Part
from pipeline.rows.rejected import RejectedRow, describe_rejected, first_rows
from pipeline.rows.sources import Source

pytestmark = pytest.mark.unit


def make_parts(*paths: str) -> list[Part]:
    return [
        Part(index, Source(path, 9, "csv", None, Header(("sequence",), first_row=2)), 0, 9, 9)
        for index, path in enumerate(paths)
    ]


def test_row_numbers_go_on_from_part_to_part_of_a_file() -> None:
    parts = make_parts("a.csv", "a.csv", "a.csv", "b.csv")
    first = first_rows(parts, {0: 10, 1: 0, 2: 5, 3: 7})
    assert first == [2, 12, 12, 2]
    assert RejectedRow(2, 3, "too_long", "AAA").to_json(parts, first) == {
        "source": "a.csv",
        "row": 15,
        "reason": "too_long",
        "raw": "AAA",
    }


def test_counts_of_rejected_rows_as_text() -> None:
    assert describe_rejected({}) == "rejected 0"
    assert describe_rejected({"too_long": 1200, "missing_label": 1}) == (
        "rejected 1,201 (1,200 too_long, 1 missing_label)"
    )
