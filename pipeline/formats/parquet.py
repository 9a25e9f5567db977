"""Columns of Parquet as the columns that other formats give."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.formats.parsed_rows import BadRow, ParsedRows, excerpt, no_labels

_MAX_INT64 = 2.0**63


def parse_columns(
    sequence: pa.Array, label: pa.Array | None = None, others: Sequence[pa.Array] = ()
) -> ParsedRows:
    """Return the rows of columns (n,), the sequences text.

    A label that is a number or a boolean becomes its JSON text, a whole number without a point;
    NaN is no label. A row with any other number is `bad`: `label_not_text`. Values of other columns
    become text likewise, whatever numbers they are. The raw text of a row is a JSON list of its
    values.
    """
    rows = len(sequence)
    labels, wrong = no_labels(rows), np.zeros(rows, np.bool_)
    columns = [_to_binary(_decode(sequence))]
    if label is not None:
        labels, wrong = _label_texts(_decode(label))
        columns.append(labels)
    texts_of_others = [_texts(_decode(column)) for column in others]
    columns += texts_of_others

    def raw(row: int) -> str:
        values = [column[row].as_py() for column in columns]
        texts = [None if value is None else excerpt(value, 0, len(value)) for value in values]
        return json.dumps(texts, ensure_ascii=False)

    bad = tuple(BadRow(row, "label_not_text", raw(row)) for row in np.flatnonzero(wrong).tolist())
    row = np.flatnonzero(~wrong)
    right = pa.array(~wrong)
    return ParsedRows(
        columns[0].filter(right) if bad else columns[0],
        labels.filter(right) if bad else labels,
        row,
        bad,
        lambda index: raw(int(row[index])),
        rows,
        tuple(column.filter(right) if bad else column for column in texts_of_others),
    )


def is_text(kind: pa.DataType) -> bool:
    """Return whether values of this type are text, or bytes that may be, or nothing but nulls."""
    kinds = (pa.string(), pa.large_string(), pa.binary(), pa.large_binary())
    return kind in (*kinds, pa.string_view(), pa.binary_view(), pa.null())


def may_be_label(kind: pa.DataType) -> bool:
    """Return whether values of this type can be labels; a fraction cannot, see `parse_columns`."""
    tests = (is_text, pa.types.is_integer, pa.types.is_boolean, pa.types.is_floating)
    return any(test(kind) for test in tests)


def has_text(kind: pa.DataType) -> bool:
    """Return whether values of this type have a text: all but lists and other nested values."""
    return not pa.types.is_nested(kind)


def _texts(column: pa.Array) -> pa.BinaryArray:
    """Return values of any type with a text as text, whole numbers without a point."""
    if pa.types.is_floating(column.type):
        return number_texts(column)[0]
    if pa.types.is_fixed_size_binary(column.type):
        return column.cast(pa.binary())
    if isinstance(column.type, pa.UuidType):
        column = pa.array([value and str(value) for value in column.to_pylist()], pa.string())
    return _to_binary(column if is_text(column.type) else column.cast(pa.string()))


def _decode(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _to_binary(column: pa.Array) -> pa.BinaryArray:
    return column.cast(pa.binary())


def _label_texts(column: pa.Array) -> tuple[pa.BinaryArray, npt.NDArray[np.bool_]]:
    """Return labels (n,) binary, and (n,) bool: which are numbers that are not whole."""
    if pa.types.is_floating(column.type):
        return number_texts(column)
    wrong = np.zeros(len(column), np.bool_)
    if not is_text(column.type):
        column = column.cast(pa.string())
    return _to_binary(column), wrong


def number_texts(column: pa.FloatingPointArray) -> tuple[pa.BinaryArray, npt.NDArray[np.bool_]]:
    """Return floats as text, whole ones without a point: 1.0 is `1`; NaN is null.

    Returns:
        The texts, (n,) binary, and (n,) bool: which of the numbers are not whole.
    """
    value = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    whole = np.isfinite(value) & (np.floor(value) == value)
    wrong = ~whole & ~np.isnan(value)
    short = whole & (np.abs(value) < _MAX_INT64)
    text = pa.array(np.where(short, value, 0).astype(np.int64), mask=~short).cast(pa.string())
    rest = np.flatnonzero(~short & ~np.isnan(value))
    if len(rest):
        texts = text.to_pylist()
        for row in rest.tolist():
            texts[row] = str(int(value[row])) if whole[row] else repr(float(value[row]))
        text = pa.array(texts, pa.string())
    return _to_binary(text), wrong
