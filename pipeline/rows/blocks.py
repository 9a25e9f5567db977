"""A part of a file, read as blocks of whole lines or as Parquet batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO, NamedTuple

import pyarrow as pa

from charseq.errors import DataError
from pipeline.formats.parsed_rows import ParsedRows
from pipeline.formats.row_groups import read_row_groups
from pipeline.rows.parsing import parse_rows
from pipeline.rows.parts import Part
from pipeline.rows.sources import open_bytes

_LAST_LINE_CHUNK_BYTES = 1 << 18
# Longer lines take more than the memory of a small machine; Arrow itself ends at 2**31.
MAX_LINE_BYTES = 1 << 30


class Block(NamedTuple):
    """Some rows of a part.

    first: the number in the part of the first of them. data: whole lines, or a batch of Parquet.
    """

    part: Part
    first: int
    data: bytes | pa.RecordBatch


def read_blocks(part: Part) -> Iterator[Block]:
    """Yield the blocks of a part, in order.

    Raises:
        DataError: the file cannot be read or decompressed.
    """
    rows = 0
    with _errors_with_path(part):
        if part.source.format == "parquet":
            for batch in _read_row_groups(part):
                yield Block(part, rows, batch)
                rows += batch.num_rows
        else:
            for lines in _read_lines(part):
                yield Block(part, rows, lines)
                rows += lines.count(b"\n")


def parse_block(block: Block) -> ParsedRows:
    """Return the rows of a block, numbered from 0 at the start of its part.

    Raises:
        DataError: the rows cannot be parsed.
    """
    with _errors_with_path(block.part):
        return parse_rows(block.data, block.part.source).shifted(block.first)


@contextmanager
def _errors_with_path(part: Part) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, pa.ArrowInvalid, UnicodeError) as error:
        raise DataError(f"{part.source.path}: cannot be read: {error}") from error


def _read_lines(part: Part) -> Iterator[bytes]:
    """Yield blocks of whole lines; the last line may lack its newline."""
    block = part.block_bytes
    source = part.source
    with open_bytes(source.path, source.compression, source.encoding) as stream:
        if part.end is None:
            stream.read(part.start)
            yield from iter_line_blocks(stream, block, None)
        elif part.start == part.source.data_start:
            stream.seek(part.start)
            yield from iter_line_blocks(stream, block, part.end - part.start)
        else:
            # If the byte before `start` is a newline, a line begins at `start`. Else the line that
            # `start` cuts began earlier, and belongs to the part before.
            stream.seek(part.start - 1)
            yield from iter_line_blocks(stream, block, part.end - part.start + 1, skip_first=True)


def iter_line_blocks(
    stream: BinaryIO, block: int, size: int | None, skip_first: bool = False
) -> Iterator[bytes]:
    """Yield the lines that begin in the next `size` bytes, as blocks of whole lines.

    Args:
        stream: where to read; the last line is read to its end, beyond `size` bytes.
        block: the size of a block in bytes, about; a longer line makes a larger block.
        size: None for all that is left.
        skip_first: leave out what precedes the first newline.

    Raises:
        OSError: a line is longer than `MAX_LINE_BYTES`.
    """
    # The start of a line whose newline has not been read yet.
    carry: list[bytes] = []
    while size is None or size > 0:
        chunk = stream.read(block if size is None else min(block, size))
        if not chunk:
            break
        size = None if size is None else size - len(chunk)
        if skip_first:
            _, newline, chunk = chunk.partition(b"\n")
            skip_first = not newline
        end = chunk.rfind(b"\n") + 1
        if end:
            yield b"".join([*carry, chunk[:end]])
            carry = [chunk[end:]] if end < len(chunk) else []
        elif chunk:
            carry.append(chunk)
        _check_line_bytes(carry)
    if carry:
        yield b"".join(_read_last_line(stream, carry))


def _read_last_line(stream: BinaryIO, carry: list[bytes]) -> list[bytes]:
    """Return the pieces of the line that begins with `carry`, read to its newline or the end."""
    while chunk := stream.read(_LAST_LINE_CHUNK_BYTES):
        line, newline, _ = chunk.partition(b"\n")
        carry += [line, newline]
        if newline:
            break
        _check_line_bytes(carry)
    return carry


def _check_line_bytes(pieces: Sequence[bytes]) -> None:
    if sum(map(len, pieces)) > MAX_LINE_BYTES:
        raise OSError(f"a line of more than {MAX_LINE_BYTES:,} bytes; is this a text file?")


def _read_row_groups(part: Part) -> Iterator[pa.RecordBatch]:
    with open_bytes(part.source.path, part.source.compression) as stream:
        groups = range(part.start, part.end or 0)
        yield from read_row_groups(stream, groups, part.source.column_names)
