"""Rows as bytes, in pieces, and together again."""

from __future__ import annotations

import pyarrow as pa
import pytest

from pipeline.rows.packing import pack_rows, unpack_rows

pytestmark = pytest.mark.unit

SCHEMA = pa.schema([("sequence", pa.string()), ("label", pa.string()), ("raw", pa.string())])


def test_rows_travel_in_pieces() -> None:
    rows = pa.RecordBatch.from_pylist(
        [
            {"sequence": "é", "label": "x", "raw": None},
            {"sequence": "C", "label": "y", "raw": "C…"},
        ],
        SCHEMA,
    )
    pieces = [pack_rows(rows[:1]), b"", pack_rows(rows[1:])]
    assert unpack_rows(pieces, SCHEMA).equals(rows)


def test_an_empty_value_holds_no_row() -> None:
    assert unpack_rows([b""], SCHEMA).to_pylist() == []
