"""Sequences from standard input, a line each: what is waiting is read as one batch."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator

from charseq.errors import DataError

_CHUNK_BYTES = 1 << 16
_MAX_LINES = 8192
_MAX_LINE_BYTES = 1 << 24
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_batches(descriptor: int, max_lines: int = _MAX_LINES) -> Iterator[list[bytes]]:
    """Yield the lines of a pipe, a terminal or a file, without their ends.

    It waits for a line, and takes those that are there by then along; at most `max_lines` at once.

    Raises:
        DataError: a line is longer than 16 MiB.
    """
    rest, number, is_open = b"", 0, True
    while is_open:
        read, is_open = _read_waiting(descriptor, max_lines)
        *lines, rest = (rest + read).split(b"\n")
        if rest and not is_open:
            lines.append(rest)
        if len(rest) > _MAX_LINE_BYTES:
            raise DataError(f"line {number + len(lines) + 1} is longer than 16 MiB")
        if lines and not number:
            lines[0] = lines[0].removeprefix(_BYTE_ORDER_MARK)
        number += len(lines)
        for start in range(0, len(lines), max_lines):
            yield [line.removesuffix(b"\r") for line in lines[start : start + max_lines]]


def _read_waiting(descriptor: int, max_lines: int) -> tuple[bytes, bool]:
    """Return what can be read without waiting, after a wait for the first of it.

    Returns:
        Some bytes, with little more than `max_lines` lines, and whether others may follow.
    """
    chunks, lines = [os.read(descriptor, _CHUNK_BYTES)], 0
    while chunks[-1]:
        lines += chunks[-1].count(b"\n")
        size = len(chunks) * _CHUNK_BYTES
        if lines >= max_lines or size > _MAX_LINE_BYTES or not _is_waiting(descriptor):
            return b"".join(chunks), True
        chunks.append(os.read(descriptor, _CHUNK_BYTES))
    return b"".join(chunks), False


def _is_waiting(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], 0)[0])
