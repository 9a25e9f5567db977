"""Rows of any format turned into Arrow columns, a block at a time.

A new input format has a parser here, a header in `headers`, a suffix in `sources` and its name in
`pipeline.input_options.FORMATS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import pyarrow as pa

from pipeline.formats.fasta import parse_fasta
from pipeline.formats.head import Header
from pipeline.formats.jsonl import parse_jsonl
from pipeline.formats.parquet import parse_columns
from pipeline.formats.parsed_rows import ParsedRows, repeat_label
from pipeline.formats.tables import parse_table
from pipeline.formats.text import parse_text
from pipeline.rows.sources import Source

T = TypeVar("T")


def parse_rows(data: bytes | pa.RecordBatch, source: Source) -> ParsedRows:
    """Return the rows in `data`, numbered from 0.

    Args:
        data: whole lines or FASTA records of the file, or a batch of its columns if it is Parquet.
        source: the file.

    Raises:
        pa.ArrowInvalid: the rows cannot be parsed.
    """
    parsed = _PARSERS[source.format](data, source)
    if source.label_of_all is None:
        return parsed
    return replace(parsed, label=repeat_label(source.label_of_all, len(parsed.row)))


def _parse_table(data: bytes, source: Source) -> ParsedRows:
    header = source.header
    names = header.column_names if header.has_header and header.label is not None else None
    return parse_table(
        data,
        len(header.columns),
        header.sequence,
        header.label,
        source.format,
        source.delimiter,
        names,
        header.others,
    )


def _parse_jsonl(data: bytes, source: Source) -> ParsedRows:
    sequence, label, others = _by_role(source.header, source.header.column_names)
    return parse_jsonl(data, sequence, label, others)


def _parse_parquet(data: pa.RecordBatch, source: Source) -> ParsedRows:
    columns = [data.column(name) for name in source.header.column_names]
    return parse_columns(*_by_role(source.header, columns))


def _by_role(header: Header, columns: Sequence[T]) -> tuple[T, T | None, Sequence[T]]:
    """Return what stands for the sequences, the labels if they are wanted, and the others."""
    sequence, *rest = columns
    return (sequence, None, rest) if header.label is None else (sequence, rest[0], rest[1:])


_PARSERS: dict[str, Callable[[Any, Source], ParsedRows]] = {
    "csv": _parse_table,
    "tsv": _parse_table,
    "jsonl": _parse_jsonl,
    "parquet": _parse_parquet,
    "fasta": lambda data, source: parse_fasta(data, source.label_pattern, source.label_of_all),
    "text": lambda data, source: parse_text(data, source.label_of_all),
}
