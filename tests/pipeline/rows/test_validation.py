"""Which rows are usable."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pipeline.formats.parsed_rows import KEPT_BYTES, BadRow, ParsedRows
from pipeline.options import Options
from pipeline.rows.validation import validate_rows

pytestmark = pytest.mark.unit

EARLIER = BadRow(0, "broken_quoting", "earlier")


def parsed(*rows: tuple[bytes | None, bytes | None]) -> ParsedRows:
    return ParsedRows(
        sequence=pa.array([row[0] for row in rows], pa.binary()),
        label=pa.array([row[1] for row in rows], pa.binary()),
        row=np.arange(len(rows)) * 10,
        bad=(EARLIER,),
        raw=lambda index: f"raw {index}",
        rows=len(rows) * 10,
    )


def test_each_reason() -> None:
    rows = parsed(
        (b"AC", b"x"),
        (b"", b"x"),
        (None, b"x"),
        (b"A", b""),
        (b"A", None),
        (b"A", b" \t"),
        (b"\xff", b"x"),
        (b"A", b"\xff"),
        (b"A", b"x\ny"),
        ("é\n".encode(), b"y"),
        (" \u200b".encode(), b"x"),
    )
    checked = validate_rows(rows, Options(input=("i",), output="o", max_length=2).row_rules)
    assert checked.sequence.to_pylist() == ["AC", "é"]
    assert checked.label.to_pylist() == ["x", "y"]
    assert checked.row.tolist() == [0, 90]
    assert checked.raw.to_pylist() == [None, "é\n"]
    assert checked.lengths == {1: 1, 2: 1}
    assert [(bad.row, bad.reason, bad.raw) for bad in checked.bad] == [
        (0, "broken_quoting", "earlier"),
        (10, "empty_sequence", "raw 1"),
        (20, "empty_sequence", "raw 2"),
        (30, "missing_label", "raw 3"),
        (40, "missing_label", "raw 4"),
        (50, "missing_label", "raw 5"),
        (60, "invalid_utf8", "raw 6"),
        (70, "invalid_utf8", "raw 7"),
        (80, "line_break", "raw 8"),
        (100, "empty_sequence", "raw 10"),
    ]


def test_a_sequence_of_blanks_is_empty_also_where_nothing_is_stripped() -> None:
    rows = parsed((b" A", b"x"), ("\t\u200b\u3000".encode(), b"x"))
    checked = validate_rows(rows, Options(input=("i",), output="o", strip=False).row_rules)
    assert checked.sequence.to_pylist() == [" A"]
    assert [(bad.row, bad.reason) for bad in checked.bad[1:]] == [(10, "empty_sequence")]


def test_length_is_in_code_points_and_too_long_is_cut_or_rejected() -> None:
    rows = parsed(("😀é".encode(), b"x"), ("😀éA".encode(), b"x"))
    cut = validate_rows(rows, Options(input=("i",), output="o", max_length=2).row_rules)
    assert (cut.sequence.to_pylist(), cut.truncated) == (["😀é", "😀éA"], 1)
    rejected = validate_rows(
        rows, Options(input=("i",), output="o", max_length=2, too_long="reject").row_rules
    )
    assert (rejected.sequence.to_pylist(), rejected.truncated) == (["😀é"], 0)
    assert cut.lengths == rejected.lengths == {2: 1, 3: 1}
    assert [bad.reason for bad in rejected.bad] == ["broken_quoting", "too_long"]


def test_an_absurdly_long_sequence_goes_on_without_its_end() -> None:
    rows = parsed((b"A" * (KEPT_BYTES + 1), b"x"), ("é".encode() * KEPT_BYTES, b"x"), (b"A", b"x"))
    checked = validate_rows(rows, Options(input=("i",), output="o").row_rules)
    assert checked.sequence.to_pylist() == ["A" * KEPT_BYTES, "é" * KEPT_BYTES, "A"]
    assert checked.truncated == 2
    whole = validate_rows(
        rows, Options(input=("i",), output="o", max_length=KEPT_BYTES + 1).row_rules
    )
    assert (len(whole.sequence[0].as_py()), whole.truncated) == (KEPT_BYTES + 1, 0)
    rejected = validate_rows(rows, Options(input=("i",), output="o", too_long="reject").row_rules)
    assert rejected.sequence.to_pylist() == ["A"]
    assert [row.reason for row in rejected.bad[1:]] == ["too_long", "too_long"]
