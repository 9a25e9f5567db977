"""The columns of an input file, from its first bytes: a reader for each format."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from charseq.errors import DataError
from pipeline.formats.columns import find_columns
from pipeline.formats.fasta import read_fasta_header
from pipeline.formats.head import Head, Header, read_head
from pipeline.formats.jsonl import json_objects
from pipeline.formats.parquet import has_text, is_text, may_be_label
from pipeline.formats.table_headers import read_table_header
from pipeline.input_options import InputOptions

_JSONL_ROWS = 100
_TEXT_ROWS = 100
_LEAST_TABLE_ROWS = 2
_DELIMITERS_IN_TEXT = {b"\t": "--format tsv", b",": "--format csv", b";": "--format csv"}


def read_header(stream: BinaryIO, form: str, options: InputOptions) -> Header:
    """Return the header of a file of the format `form`.

    Args:
        stream: the file from its beginning, decompressed.
        form: one of `pipeline.options.FORMATS`.
        options: the columns that are wanted.

    Raises:
        DataError: a wanted column is missing, or the file is not of this format; without the
            path.
        OSError, EOFError, pa.ArrowInvalid: the stream cannot be read or decompressed.
    """
    if form == "parquet":
        return _read_parquet_header(stream, options)
    return _TEXT_READERS[form](read_head(stream), options)


def _read_jsonl_header(head: Head, options: InputOptions) -> Header:
    """Take the keys of the first rows for columns, since JSON Lines have no header.

    More rows are read where a column is missing: rows may leave out what has no value. Where the
    file goes on behind what is read of it, the column is assumed: see `Header.assumed`.
    """
    if head.is_whole and not head.text.strip():
        return Header(data_start=head.start, is_empty=True)
    lines = head.text.split(b"\n")
    whole = [line for line in (lines if head.is_whole else lines[:-1]) if line.strip()]
    _check_is_jsonl(head.text, whole[:_JSONL_ROWS])
    wanted = [name for _, name in options.wanted_columns]
    columns = _json_keys(whole[:_JSONL_ROWS])
    if not set(wanted) <= set(columns):
        columns = _json_keys(whole)
    assumed = () if head.is_whole else tuple(name for name in wanted if name not in columns)
    columns = (*columns, *assumed)
    found = find_columns(columns, options)
    return Header(
        columns,
        found.sequence,
        found.label,
        head.start,
        encoding=head.encoding,
        assumed=assumed,
        others=found.others,
    )


def _check_is_jsonl(text: bytes, lines: Sequence[bytes]) -> None:
    """Check that most of the first lines are objects where the text seems to be JSON at all.

    Raises:
        DataError: it is one array, or objects over several lines.
    """
    if 2 * len(list(json_objects(lines))) >= max(len(lines), 1):
        return
    if text.lstrip().startswith(b"["):
        raise DataError(
            "it is a JSON array, expected JSON Lines, one object per line; convert it: "
            "jq -c '.[]' FILE > NEW.jsonl"
        )
    if text.lstrip().startswith(b"{") and lines and not _is_json(lines[0]):
        raise DataError(
            "its JSON objects are spread over several lines, expected JSON Lines, one object per "
            "line; convert it: jq -c . FILE > NEW.jsonl"
        )


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _json_keys(lines: Sequence[bytes]) -> tuple[str, ...]:
    """Return the keys of all lines that are JSON objects, in order, each once."""
    return tuple(dict.fromkeys(key for row in json_objects(lines) for key in row))


def _read_text_header(head: Head, options: InputOptions) -> Header:
    """Skip a byte order mark: text has neither header nor columns.

    Raises:
        DataError: the lines are those of FASTA or of a table.
    """
    lines = [line for line in head.text[: 1 << 16].split(b"\n") if line.strip()][:_TEXT_ROWS]
    if lines and lines[0].startswith(b">"):
        raise DataError("row 1 begins with '>', as FASTA does; say --format fasta")
    if options.format == "auto":
        _check_is_no_table(lines)
    is_empty = head.is_whole and not head.text.strip(b"\r\n")
    return Header(data_start=head.start, encoding=head.encoding, is_empty=is_empty)


def _check_is_no_table(lines: Sequence[bytes]) -> None:
    for delimiter, flags in _DELIMITERS_IN_TEXT.items():
        counts = {line.count(delimiter) for line in lines}
        if len(lines) > _LEAST_TABLE_ROWS and len(counts) == 1 and counts != {0}:
            name = "a tab" if delimiter == b"\t" else repr(delimiter.decode())
            raise DataError(
                f"every line has {name} in it; if it separates columns, say {flags}; if each line "
                "is one sequence, say --format text"
            )


def _read_parquet_header(stream: BinaryIO, options: InputOptions) -> Header:
    file = pq.ParquetFile(stream)
    schema = file.schema_arrow
    found = find_columns(schema.names, options)
    _check_kinds(schema, options)
    return Header(
        tuple(schema.names),
        found.sequence,
        found.label,
        row_groups=file.num_row_groups,
        others=found.others,
    )


def _check_kinds(schema: pa.Schema, options: InputOptions) -> None:
    """Check the types of the columns that are wanted, those of values in a dictionary included.

    Raises:
        DataError: one of them cannot be sequences or labels, or has no text.
    """
    for flag, name in options.wanted_columns:
        kind = schema.field(name).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        if (flag, name) in options.others and not has_text(kind):
            raise DataError(
                f"column {name!r} is {kind}, expected text, numbers, booleans or times; say which "
                f"column with {flag}"
            )
        if flag == "--label-column" and not may_be_label(kind):
            raise DataError(
                f"column {name!r} is {kind}, expected text, whole numbers or booleans; "
                "convert it, or say which column has the labels with --label-column"
            )
        if flag == "--sequence-column" and not is_text(kind):
            raise DataError(
                f"column {name!r} is {kind}, expected text; say which column has the sequences "
                "with --sequence-column"
            )


_TEXT_READERS: dict[str, Callable[[Head, InputOptions], Header]] = {
    "csv": lambda head, options: read_table_header(head, "csv", options),
    "tsv": lambda head, options: read_table_header(head, "tsv", options),
    "jsonl": _read_jsonl_header,
    "text": _read_text_header,
    "fasta": lambda head, _: read_fasta_header(head),
}
