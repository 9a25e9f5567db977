"""Lines that are nothing but a sequence, as a column."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from pipeline.formats.lines import Lines, find_lines
from pipeline.formats.parsed_rows import BadRow, ParsedRows, no_labels


def parse_text(block: bytes, label: str | None) -> ParsedRows:
    """Return the rows of whole lines, all of them with the same label, or none.

    A line with a carriage return inside is `bad`: `line_break`.
    """
    lines = find_lines(block)
    keep = ~lines.is_blank
    broken = lines.with_inner_return()
    keep[broken] = False
    row = np.flatnonzero(keep)
    return ParsedRows(
        sequence=_to_column(lines).filter(pa.array(keep)),
        label=_repeat(label, len(row)),
        row=row,
        bad=tuple(BadRow(line, "line_break", lines.text(line)) for line in broken.tolist()),
        raw=lambda index: lines.text(row[index]),
        rows=len(keep),
    )


def _repeat(label: str | None, rows: int) -> pa.BinaryArray:
    if label is None:
        return no_labels(rows)
    return pa.repeat(pa.scalar(label.encode("utf-8"), pa.binary()), rows)


def _to_column(lines: Lines) -> pa.BinaryArray:
    """Return all lines as (lines,) binary."""
    inside = np.ones(len(lines.block), np.bool_)
    inside[lines.start[1:] - 1] = False
    # The last line's own newline, and carriage returns before newlines.
    inside[lines.end[lines.end < len(inside)]] = False
    inside[lines.end[-1] :] = False
    offsets = np.concatenate([[0], np.cumsum(lines.end - lines.start)]).astype(np.int32)
    data = lines.characters[inside]
    return pa.Array.from_buffers(
        pa.binary(), len(lines.start), [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    )
