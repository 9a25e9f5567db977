"""Rows in the memory of this process, written to a file that a command can read."""

from __future__ import annotations

import hashlib
import json
import math
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import contextmanager, suppress
from itertools import chain
from typing import Any

from charseq.errors import DataError, UsageError

_COLUMNS = ("sequence", "label")
_EXPECTED = "(sequence, label)"


@contextmanager
def as_input(rows: object) -> Iterator[list[str]]:
    """Yield the paths of rows: those that are given, or that of a temporary file of the rows.

    Args:
        rows: a path or several; or pairs of a sequence and its label; or a pandas DataFrame, with
            columns of these names; or None for no path.

    Raises:
        UsageError: it is something else, or empty.
        DataError: the temporary file cannot be written safely.
    """
    if rows is None:
        yield []
    elif isinstance(rows, (str, os.PathLike)):
        yield [os.fsdecode(rows)]
    elif hasattr(rows, "columns"):
        with rows_file(_lines_of_frame(rows)) as path:
            yield [path]
    elif not isinstance(rows, Iterable):
        raise UsageError(f"got {rows!r}, expected rows or paths")
    else:
        iterator = iter(rows)
        first = next(iterator, None)
        if first is None:
            raise UsageError("got no rows, expected some, or paths")
        if isinstance(first, (str, os.PathLike)):
            yield [os.fsdecode(path) for path in (first, *iterator)]
        else:
            with rows_file(_lines_of_pairs(chain([first], iterator))) as path:
                yield [path]


@contextmanager
def rows_file(lines: Iterable[str]) -> Iterator[str]:
    """Write a file of JSON Lines, and remove it after the block.

    Its path follows from its content, so that a command that is repeated finds its own dataset.

    Raises:
        DataError: the directory for it is open to others.
    """
    folder = _own_folder()
    digest = hashlib.sha256()
    descriptor, unfinished = tempfile.mkstemp(dir=folder)
    path = unfinished
    try:
        with open(descriptor, "wb") as file:
            for line in lines:
                data = f"{line}\n".encode("ascii")
                digest.update(data)
                file.write(data)
        path = os.path.join(folder, f"rows-{digest.hexdigest()[:16]}.jsonl")
        os.replace(unfinished, path)
        yield path
    finally:
        with suppress(FileNotFoundError):
            os.remove(path)


def _own_folder() -> str:
    """Return a directory for files whose names can be foreseen: nobody else may write there."""
    folder = os.path.join(tempfile.gettempdir(), f"charseq-{os.getuid()}")
    os.makedirs(folder, 0o700, exist_ok=True)
    status = os.lstat(folder)
    is_open = status.st_uid != os.getuid() or status.st_mode & 0o022
    if is_open or not stat.S_ISDIR(status.st_mode):
        raise DataError(
            f"{folder}: is not a directory that only you can write to; remove it, or set TMPDIR"
        )
    return folder


def _lines_of_pairs(rows: Iterable[object]) -> Iterator[str]:
    for number, row in enumerate(rows, 1):
        # Of a dict the names would be taken for the values, of a set any order.
        if isinstance(row, (str, bytes, Mapping, Set)) or not isinstance(row, Iterable):
            raise UsageError(f"row {number:,}: got {row!r}, expected {_EXPECTED}")
        values = tuple(row)
        if len(values) != len(_COLUMNS):
            raise UsageError(f"row {number:,}: got {len(values)} values, expected {_EXPECTED}")
        yield _to_line(dict(zip(_COLUMNS, values, strict=True)), number)


def _lines_of_frame(frame: Any) -> Iterator[str]:
    """Yield the rows of a DataFrame, with all its columns; what is missing is null.

    Raises:
        UsageError: two columns have the same name.
    """
    names = [str(name) for name in frame.columns]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"got two columns {twice[0]!r}, expected each name once")
    values = frame.astype(object).where(frame.notna(), None)
    for number, row in enumerate(values.itertuples(index=False, name=None), 1):
        yield _to_line(dict(zip(names, row, strict=True)), number)


def _to_line(row: dict[str, Any], number: int) -> str:
    missing = {name: None for name, value in row.items() if _is_nan(value)}
    try:
        return json.dumps({**row, **missing}, default=_to_plain)
    except (TypeError, ValueError):
        expected = "text, numbers, true, false, times or nothing"
        raise UsageError(f"row {number:,}: got {row!r}, expected {expected}") from None


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _to_plain(value: Any) -> object:
    """Return a scalar of numpy as Python's, and a time as ISO 8601.

    Raises:
        TypeError: it is neither.
    """
    for convert in ("isoformat", "item"):
        if hasattr(value, convert):
            plain: object = getattr(value, convert)()
            return plain
    raise TypeError
