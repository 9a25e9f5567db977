"""Columns of Parquet as the columns that other formats give."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa

from pipeline.formats.parsed_rows import ParsedRows, excerpt, no_labels


def parse_columns(sequence: pa.Array, label: pa.Array | None = None) -> ParsedRows:
    """Return the rows of columns (n,) of text; an integer label becomes its decimal text.

    The raw text of a row is a JSON list of its values.
    """
    columns = [_to_binary(column) for column in (sequence, label) if column is not None]

    def raw(index: int) -> str:
        values = [column[index].as_py() for column in columns]
        texts = [None if value is None else excerpt(value, 0, len(value)) for value in values]
        return json.dumps(texts, ensure_ascii=False)

    rows = len(sequence)
    labels = no_labels(rows) if label is None else columns[1]
    return ParsedRows(columns[0], labels, np.arange(rows), (), raw, rows)


def _to_binary(column: pa.Array) -> pa.BinaryArray:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_integer(column.type):
        column = column.cast(pa.string())
    return column.cast(pa.binary())
