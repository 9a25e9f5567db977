"""The columns of an input file, from its first bytes: a reader for each format."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from charseq.errors import DataError
from pipeline.formats.parquet import is_text, may_be_label
from pipeline.options import InputOptions

_MAX_HEADER_BYTES = 1 << 20
_JSONL_ROWS = 100
_SHOWN_COLUMNS = 20
_UTF8_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Header:
    """What the first bytes of a file say; the fields are those of `Source`."""

    columns: tuple[str, ...] = ()
    sequence: int = 0
    label: int | None = None
    data_start: int = 0
    first_row: int = 1
    row_groups: int = 0


def read_header(stream: BinaryIO, form: str, options: InputOptions) -> Header:
    """Return the header of a file of the format `form`.

    Args:
        stream: the file from its beginning, decompressed.
        form: one of `pipeline.options.FORMATS`.
        options: the columns that are wanted.

    Raises:
        DataError: a wanted column is missing, or the header is not of this format; without the
            path.
        OSError, EOFError, pa.ArrowInvalid: the stream cannot be read or decompressed.
    """
    return _READERS[form](stream, options)


def _read_table_header(stream: BinaryIO, options: InputOptions, form: str) -> Header:
    head = stream.read(_MAX_HEADER_BYTES)
    bom = _bom_bytes(head)
    line, newline, _ = head[bom:].partition(b"\n")
    if not newline and len(head) == _MAX_HEADER_BYTES:
        raise DataError(f"no line end in the first {_MAX_HEADER_BYTES} bytes")
    try:
        columns = _split_table_header(line.rstrip(b"\r").decode("utf-8"), form)
    except UnicodeDecodeError as error:
        raise DataError(f"row 1: the header is not UTF-8: {error}") from error
    except csv.Error as error:
        # Such as carriage returns instead of newlines, which make all of the file one line.
        raise DataError(f"row 1: the header is not CSV: {error}") from error
    sequence, label = _find_columns(columns, options)
    data_start = bom + len(line) + len(newline)
    return Header(tuple(columns), sequence, label, data_start, first_row=2)


def _split_table_header(line: str, form: str) -> list[str]:
    if form == "tsv":
        return line.split("\t")
    return next(csv.reader(io.StringIO(line)), [])


def _read_jsonl_header(stream: BinaryIO, options: InputOptions) -> Header:
    """Take the keys of the first rows for columns, since JSON Lines have no header.

    Where even the first row is longer than what is read of it, the columns are assumed to exist.
    """
    head = stream.read(_MAX_HEADER_BYTES)
    bom = _bom_bytes(head)
    lines = head[bom:].split(b"\n")
    if len(head) < _MAX_HEADER_BYTES:
        columns = _json_keys(lines[:_JSONL_ROWS])
    elif len(lines) > 1:
        columns = _json_keys(lines[:-1][:_JSONL_ROWS])  # the last line is cut
    else:
        columns = [name for _, name in _wanted_columns(options)]
    sequence, label = _find_columns(columns, options)
    return Header(tuple(columns), sequence, label, data_start=bom)


def _json_keys(lines: Sequence[bytes]) -> list[str]:
    """Return the keys of all lines that are JSON objects, in order, each once."""
    keys: dict[str, None] = {}
    for line in lines:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            keys.update(dict.fromkeys(row))
    return list(keys)


def _read_text_header(stream: BinaryIO, _: InputOptions) -> Header:
    """Skip a byte order mark: text has neither header nor columns."""
    return Header(data_start=_bom_bytes(stream.read(len(_UTF8_BOM))))


def _read_parquet_header(stream: BinaryIO, options: InputOptions) -> Header:
    file = pq.ParquetFile(stream)
    schema = file.schema_arrow
    sequence, label = _find_columns(schema.names, options)
    _check_kinds(schema, options)
    return Header(tuple(schema.names), sequence, label, row_groups=file.num_row_groups)


def _check_kinds(schema: pa.Schema, options: InputOptions) -> None:
    """Check the types of the columns that are wanted, those of values in a dictionary included.

    Raises:
        DataError: one of them cannot be sequences or labels.
    """
    for _, name in _wanted_columns(options):
        kind = schema.field(name).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        if name == options.label_column and not may_be_label(kind):
            raise DataError(
                f"column {name!r} is {kind}, expected text, whole numbers or booleans; "
                "convert it, or say which column has the labels with --label-column"
            )
        if name == options.sequence_column and not is_text(kind):
            raise DataError(
                f"column {name!r} is {kind}, expected text; say which column has the sequences "
                "with --sequence-column"
            )


_READERS: dict[str, Callable[[BinaryIO, InputOptions], Header]] = {
    "csv": partial(_read_table_header, form="csv"),
    "tsv": partial(_read_table_header, form="tsv"),
    "jsonl": _read_jsonl_header,
    "parquet": _read_parquet_header,
    "text": _read_text_header,
}


def _bom_bytes(head: bytes) -> int:
    """Return the size of the byte order mark at the start of a file: 3 or 0."""
    return len(_UTF8_BOM) if head.startswith(_UTF8_BOM) else 0


def _wanted_columns(options: InputOptions) -> list[tuple[str, str]]:
    """Return the flag and the name of each column that must exist."""
    wanted = [("--sequence-column", options.sequence_column)]
    if options.label_column is not None:
        wanted.append(("--label-column", options.label_column))
    return wanted


def _find_columns(columns: Sequence[str], options: InputOptions) -> tuple[int, int | None]:
    """Return the positions of the sequence column and of the label column, if one is wanted.

    Raises:
        DataError: one of them is missing, or its name is that of several columns.
    """
    names = list(columns)
    for flag, name in _wanted_columns(options):
        if names.count(name) != 1:
            matches = "more than one column" if name in names else "no column"
            raise DataError(
                f"{matches} {name!r}; its columns are {_first_names(names)}; say which with {flag}"
            )
    label = None if options.label_column is None else names.index(options.label_column)
    return names.index(options.sequence_column), label


def _first_names(columns: Sequence[str]) -> str:
    names = [repr(name) for name in columns[:_SHOWN_COLUMNS]]
    if more := len(columns) - len(names):
        names.append(f"and {more:,} more")
    return ", ".join(names) or "(none)"
