"""Lines that are nothing but a sequence, as a column."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from pipeline.formats.lines import find_lines, to_column
from pipeline.formats.parsed_rows import BadRow, ParsedRows, repeat_label


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
        sequence=to_column(lines.characters, lines.start, lines.end).filter(pa.array(keep)),
        label=repeat_label(label, len(row)),
        row=row,
        bad=tuple(BadRow(line, "line_break", lines.text(line)) for line in broken.tolist()),
        raw=lambda index: lines.text(row[index]),
        rows=len(keep),
    )
