"""A part of a file, read as blocks of whole lines or as Parquet batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO, NamedTuple

import pyarrow as pa

from charseq.errors import DataError
from pipeline.formats.archives import DAMAGED_STREAM
from pipeline.formats.fasta import RECORD_MARK
from pipeline.formats.parsed_rows import ParsedRows
from pipeline.formats.row_groups import read_row_groups
from pipeline.rows.parsing import parse_rows
from pipeline.rows.parts import Part
from pipeline.rows.sources import open_bytes

_LINE_MARK = b"\n"
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
    except (OSError, EOFError, pa.ArrowInvalid, UnicodeError, *DAMAGED_STREAM) as error:
        raise DataError(f"{part.source.path}: cannot be read: {error}") from error


def _read_lines(part: Part) -> Iterator[bytes]:
    """Yield blocks of whole lines, of FASTA whole records; the last may lack its newline."""
    block, source = part.block_bytes, part.source
    mark = RECORD_MARK if source.format == "fasta" else _LINE_MARK
    with open_bytes(source.path, source.compression, source.header.encoding) as stream:
        if part.start == source.header.data_start:
            stream.read(part.start)  # what is compressed has no `seek`
            size = None if part.end is None else part.end - part.start
            yield from iter_line_blocks(stream, block, size, mark)
        else:
            assert part.end is not None
            # If the byte before `start` is a newline, a line begins at `start`. Else the line that
            # `start` cuts began earlier, and belongs to the part before.
            stream.seek(part.start - 1)
            size = part.end - part.start + 1
            yield from iter_line_blocks(stream, block, size, mark, skip_first=True)


def iter_line_blocks(
    stream: BinaryIO,
    block: int,
    size: int | None,
    mark: bytes = _LINE_MARK,
    skip_first: bool = False,
) -> Iterator[bytes]:
    """Yield the lines that begin in the next `size` bytes, as blocks of whole lines.

    Args:
        stream: where to read; the last line is read to its end, beyond `size` bytes.
        block: the size of a block in bytes, about; a longer line makes a larger block.
        size: None for all that is left.
        mark: a newline, or also what follows it where a record of several lines ends.
        skip_first: leave out what precedes the end of the first line.

    Raises:
        OSError: a line is longer than `MAX_LINE_BYTES`.
    """
    # The start of a line whose end has not been read yet.
    carry: list[bytes] = []
    while size is None or size > 0:
        chunk = _read_chunk(stream, block, size, mark)
        if not chunk:
            break
        size = None if size is None else size - len(chunk)
        if skip_first:
            skip_first = mark not in chunk
            chunk = b"" if skip_first else chunk[chunk.index(mark) + 1 :]
        end = chunk.rfind(mark) + 1
        if end:
            yield b"".join([*carry, chunk[:end]])
            carry = [chunk[end:]] if end < len(chunk) else []
        elif chunk:
            carry.append(chunk)
        _check_line_bytes(carry, mark)
    if carry:
        yield b"".join(_read_last_line(stream, carry, mark))


def _read_chunk(stream: BinaryIO, block: int, size: int | None, mark: bytes) -> bytes:
    """Return the next bytes, `size` at most; they do not end within a mark, unless at `size`."""
    chunk = stream.read(block if size is None else min(block, size))
    while mark != _LINE_MARK and chunk.endswith(b"\n") and (size is None or len(chunk) < size):
        following = stream.read(1)
        if not following:
            break
        chunk += following
    return chunk


def _read_last_line(stream: BinaryIO, carry: list[bytes], mark: bytes) -> list[bytes]:
    """Return the pieces of the line that begins with `carry`, read to its end."""
    while chunk := stream.read(_LAST_LINE_CHUNK_BYTES):
        # The mark may begin with the last byte of the piece before.
        end = (carry[-1][-1:] + chunk).find(mark)
        if end >= 0:
            return [*carry, chunk[:end]]
        carry.append(chunk)
        _check_line_bytes(carry, mark)
    return carry


def _check_line_bytes(pieces: Sequence[bytes], mark: bytes) -> None:
    if sum(map(len, pieces)) > MAX_LINE_BYTES:
        what = "line" if mark == _LINE_MARK else "record"
        raise OSError(f"a {what} of more than {MAX_LINE_BYTES:,} bytes; is this a text file?")


def _read_row_groups(part: Part) -> Iterator[pa.RecordBatch]:
    with open_bytes(part.source.path, part.source.compression) as stream:
        groups = range(part.start, part.end or 0)
        yield from read_row_groups(stream, groups, part.source.header.column_names)
