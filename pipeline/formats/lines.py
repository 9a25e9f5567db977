"""Where the lines of a block are.

A row of text is a line. No format has a line break inside a field, so that a file can be read in
parts and a forgotten quote spoils one row instead of the rest of the file. Blank lines are not
rows, but have row numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.formats.parsed_rows import excerpt

_NEWLINE, _RETURN = b"\n"[0], b"\r"[0]


@dataclass(frozen=True)
class Lines:
    """The lines of a block of text.

    start, end: (lines,) int64, the offsets in `block` at which each line starts and ends, without
    its newline and a carriage return before that.
    """

    block: bytes
    start: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]

    @property
    def characters(self) -> npt.NDArray[np.uint8]:
        """The bytes of the block, (bytes,) uint8, not copied."""
        return np.frombuffer(self.block, np.uint8)

    @property
    def is_blank(self) -> npt.NDArray[np.bool_]:
        """(lines,) bool: whether a line holds nothing."""
        blank: npt.NDArray[np.bool_] = self.end == self.start
        return blank

    def text(self, line: int) -> str:
        """Return the text of a line, shortened if it is very long."""
        return excerpt(self.block, int(self.start[line]), int(self.end[line]))

    def of_positions(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the line of each offset in the block."""
        return np.searchsorted(self.start, positions, side="right") - 1

    def joined(self, keep: npt.NDArray[np.bool_]) -> bytes:
        """Return the lines of `keep`, each with a newline; the block itself if all are kept."""
        if keep.all():
            return self.block
        lines = zip(self.start[keep].tolist(), self.end[keep].tolist(), strict=True)
        return b"".join(self.block[start:end] + b"\n" for start, end in lines)

    def with_inner_return(self) -> npt.NDArray[np.int64]:
        """Return the lines that have a carriage return elsewhere than before their newline."""
        if b"\r" not in self.block:
            return np.empty(0, np.int64)
        position = np.flatnonzero(self.characters == _RETURN)
        line = self.of_positions(position)
        return np.unique(line[position < self.end[line]])


def find_lines(block: bytes) -> Lines:
    """Return the lines of a block, of which the last may lack its newline."""
    characters = np.frombuffer(block, np.uint8)
    newline = np.flatnonzero(characters == _NEWLINE)
    end = newline if block.endswith(b"\n") else np.append(newline, len(block))
    start = np.concatenate([[0], end[:-1] + 1])
    returns = (end > start) & (characters[np.maximum(end, 1) - 1] == _RETURN)
    return Lines(block, start, end - returns)


def to_column(
    characters: npt.NDArray[np.uint8], start: npt.NDArray[np.int64], end: npt.NDArray[np.int64]
) -> pa.BinaryArray:
    """Return pieces of a block as (n,) binary.

    Args:
        characters: the bytes of the block.
        start: (n,) int64, the offset of each piece, ascending.
        end: (n,) int64, the offset after each piece, at most that of the next.
    """
    offsets = np.stack([start, end], axis=1).ravel()
    width = np.diff(offsets, prepend=0, append=len(characters))
    inside = np.repeat(np.arange(len(width)) % 2 == 1, width)
    return of_lengths(characters[inside], end - start)


def of_lengths(data: npt.NDArray[np.uint8], length: npt.NDArray[np.int64]) -> pa.BinaryArray:
    """Return bytes cut into values of such lengths, (n,) int64, as (n,) binary."""
    offsets = np.concatenate([[0], np.cumsum(length)]).astype(np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.binary(), len(length), buffers)
