"""FASTA records, each a header line and the lines of its sequence, as columns."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from charseq.errors import DataError
from pipeline.formats.head import Head, Header
from pipeline.formats.lines import find_lines, of_lengths, to_column
from pipeline.formats.parsed_rows import ParsedRows, excerpt, is_utf8, no_labels, repeat_label
from pipeline.label_pattern import LABEL_GROUP

# Where a record begins: at the second of these bytes.
RECORD_MARK = b"\n>"
_HEADER = b">"[0]
_IS_SPACE = np.isin(np.arange(256), list(b" \t\r\n"))


def read_fasta_header(head: Head) -> Header:
    """Return where the first record is; blank lines before it are skipped.

    Raises:
        DataError: the file does not begin with a record.
    """
    text = head.text.lstrip(b"\r\n")
    blank = head.text[: len(head.text) - len(text)]
    is_empty = head.is_whole and not text
    if not is_empty and not text.startswith(b">"):
        raise DataError("it does not begin with '>', as FASTA does; say which format with --format")
    return Header(
        data_start=head.start + len(blank),
        first_row=1 + blank.count(b"\n"),
        encoding=head.encoding,
        is_empty=is_empty,
    )


def parse_fasta(block: bytes, label_pattern: str | None, label: str | None = None) -> ParsedRows:
    """Return the rows of whole records, each numbered by the line of its header.

    White space in a sequence is left out.

    Args:
        block: the records.
        label_pattern: see `to_named_pattern`; finds the label in a header, without its `>`. None
            for no labels.
        label: of all records; None if it is in their headers.
    """
    lines = find_lines(block)
    characters = lines.characters
    is_header = characters[lines.start] == _HEADER
    row = np.flatnonzero(is_header)
    start = lines.start[row]
    in_header = np.repeat(is_header, np.diff(lines.start, append=len(block)))
    inside = ~(in_header | _IS_SPACE[characters])
    length = np.add.reduceat(inside, start, dtype=np.int64)
    end = np.append(start[1:], len(block))
    if label is not None:
        labels = repeat_label(label, len(row))
    elif label_pattern is not None:
        labels = _find_labels(to_column(characters, start + 1, lines.end[row]), label_pattern)
    else:
        labels = no_labels(len(row))
    return ParsedRows(
        sequence=of_lengths(characters[inside], length),
        label=labels,
        row=row,
        bad=(),
        raw=lambda index: excerpt(block, int(start[index]), int(end[index])).rstrip("\r\n"),
        rows=len(lines.start),
    )


def _find_labels(header: pa.BinaryArray, pattern: str) -> pa.BinaryArray:
    """Return the label in each header (n,) binary; a header that is not UTF-8 stays as it is."""
    try:
        text, is_text = header.cast(pa.string()), None
    except pa.ArrowInvalid:
        is_text = pa.array([is_utf8(value) for value in header.to_pylist()])
        text = pc.if_else(is_text, header, pa.scalar(b"", pa.binary())).cast(pa.string())
    found = pc.struct_field(pc.extract_regex(text, pattern), [LABEL_GROUP]).cast(pa.binary())
    return found if is_text is None else pc.if_else(is_text, found, header)
