"""A part of a file, read as blocks of whole lines or as Parquet batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from charseq.errors import DataError
from pipeline.rows.parsing import (
    ParsedRows,
    parse_jsonl,
    parse_table,
    parse_text,
    parse_values,
)
from pipeline.rows.sources import Part, open_bytes

_BATCH_ROWS = 1 << 16
_REST_BYTES = 1 << 18
# More than that takes no less than the memory of a small machine; Arrow itself ends at 2**31.
MAX_LINE_BYTES = 1 << 30


class Block(NamedTuple):
    """Some rows of a part, the first of them number `first` in it.

    data: whole lines as bytes, or a RecordBatch of Parquet.
    """

    part: Part
    first: int
    data: Any


def read_blocks(part: Part) -> Iterator[Block]:
    """The blocks of `part`, in order.

    Raises:
        DataError: the file cannot be read or decompressed.
    """
    rows = 0
    with _errors_named(part):
        if part.source.format == "parquet":
            for batch in _read_row_groups(part):
                yield Block(part, rows, batch)
                rows += batch.num_rows
        else:
            for lines in _read_lines(part):
                yield Block(part, rows, lines)
                rows += lines.count(b"\n")


def parse_block(block: Block) -> ParsedRows:
    """The rows of `block`; `row` counts from 0 at the start of the part.

    Raises:
        DataError: the rows cannot be parsed.
    """
    source = block.part.source
    with _errors_named(block.part):
        if source.format == "parquet":
            parsed = parse_values(*map(block.data.column, source.column_names))
        elif source.format == "text":
            parsed = parse_text(block.data, source.label_of_all)
        elif source.format == "jsonl":
            parsed = parse_jsonl(block.data, *source.column_names)
        else:
            parsed = parse_table(
                block.data, len(source.columns), source.sequence, source.label, source.format
            )
    return parsed.shifted(block.first)


@contextmanager
def _errors_named(part: Part) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, pa.ArrowInvalid) as error:
        raise DataError(f"{part.source.path}: cannot be read: {error}") from error


def _read_lines(part: Part) -> Iterator[bytes]:
    """Blocks of whole lines; the last line may lack its line end."""
    block = part.block_bytes
    with open_bytes(part.source) as stream:
        if part.end is None:
            stream.read(part.start)
            yield from iter_line_blocks(stream, block, None)
        elif part.start == part.source.data_start:
            stream.seek(part.start)
            yield from iter_line_blocks(stream, block, part.end - part.start)
        else:
            # The byte before tells whether a line begins at `start`; what is cut there, or
            # begins earlier, belongs to the part before.
            stream.seek(part.start - 1)
            yield from iter_line_blocks(stream, block, part.end - part.start + 1, skip_first=True)


def iter_line_blocks(
    stream: BinaryIO, block: int, size: int | None, skip_first: bool = False
) -> Iterator[bytes]:
    """The lines that begin in the next `size` bytes (None: in all that is left).

    They come in pieces of about `block` bytes, larger where a line is.
    """
    carry: list[bytes] = []
    while size is None or size > 0:
        chunk = stream.read(block if size is None else min(block, size))
        if not chunk:
            break
        size = None if size is None else size - len(chunk)
        if skip_first:
            _, newline, chunk = chunk.partition(b"\n")
            skip_first = not newline
        cut = chunk.rfind(b"\n") + 1
        if cut:
            yield b"".join([*carry, chunk[:cut]])
            carry = [chunk[cut:]] if cut < len(chunk) else []
        elif chunk:
            carry.append(chunk)
        _require_sane_line(carry)
    if carry:
        while chunk := stream.read(_REST_BYTES):
            line, newline, _ = chunk.partition(b"\n")
            carry += [line, newline]
            if newline:
                break
            _require_sane_line(carry)
        yield b"".join(carry)


def _require_sane_line(pieces: Sequence[bytes]) -> None:
    if sum(map(len, pieces)) > MAX_LINE_BYTES:
        raise OSError(f"a line of more than {MAX_LINE_BYTES:,} bytes; is this a text file?")


def _read_row_groups(part: Part) -> Iterator[pa.RecordBatch]:
    with open_bytes(part.source) as stream:
        yield from pq.ParquetFile(stream).iter_batches(
            batch_size=_BATCH_ROWS,
            row_groups=list(range(part.start, part.end or 0)),
            columns=list(part.source.column_names),
        )
