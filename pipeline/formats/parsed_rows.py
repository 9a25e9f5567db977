"""Parsed rows: columns, and the rows that could not be split into columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

# How much of a row's text is kept where the row is rejected or an example.
KEPT_BYTES = 1 << 16


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be used: its number from 0, the reason (see `REASONS`), and its text."""

    row: int
    reason: str
    raw: str


@dataclass(frozen=True)
class ParsedRows:
    """Columns of n rows, and the rows that could not be split into columns.

    sequence, label: (n,) binary, null where the row has no value; all labels are null where none
    are wanted. row: (n,) int64, the row's number from 0. raw: returns the text of row i of the n.
    rows: how many row numbers were used, also by bad rows and blank lines. others: the other
    columns that are wanted, each as `label`, in the order of `InputOptions.others`.
    """

    sequence: pa.BinaryArray
    label: pa.BinaryArray
    row: npt.NDArray[np.int64]
    bad: tuple[BadRow, ...]
    raw: Callable[[int], str]
    rows: int
    others: tuple[pa.BinaryArray, ...] = ()

    def shifted(self, by: int) -> ParsedRows:
        """Return the same rows, numbered from `by`."""
        if by == 0:
            return self
        bad = tuple(replace(bad, row=bad.row + by) for bad in self.bad)
        return replace(self, row=self.row + by, bad=bad)


def no_labels(rows: int) -> pa.BinaryArray:
    """Return a column of so many nulls."""
    return pa.nulls(rows, pa.binary())


def repeat_label(label: str | None, rows: int) -> pa.BinaryArray:
    """Return a column of so many equal labels, or of nulls."""
    if label is None:
        return no_labels(rows)
    return pa.repeat(pa.scalar(label.encode("utf-8"), pa.binary()), rows)


def excerpt(data: bytes, start: int, end: int) -> str:
    r"""Return the text of `data[start:end]`; of a long one the first `KEPT_BYTES`, and a note.

    In text that is not UTF-8, a byte that belongs to no character becomes `\xff`, and a backslash
    is doubled, so that the characters `\xff` become `\\xff`.
    """
    cut = min(end, start + KEPT_BYTES)
    while cut < end and cut > start and data[cut] & 0xC0 == 0x80:  # inside a character
        cut -= 1
    kept = data[start:cut]
    if not is_utf8(data[start:end]):
        kept = kept.replace(b"\\", b"\\\\")
    text = kept.decode("utf-8", "backslashreplace")
    return text if cut == end else f"{text}… (cut: {end - start:,} bytes in all)"


def invalid_utf8(column: pa.BinaryArray) -> npt.NDArray[np.bool_]:
    """Return which values are not UTF-8; Arrow checks the column, Python only a bad column."""
    try:
        column.cast(pa.string())
    except pa.ArrowInvalid:
        return np.array([not is_utf8(value or b"") for value in column.to_pylist()], np.bool_)
    return np.zeros(len(column), np.bool_)


def is_utf8(data: bytes) -> bool:
    """Return whether all of `data` is UTF-8."""
    try:
        data.isascii() or data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
