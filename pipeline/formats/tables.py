"""Lines of csv (RFC 4180, but no line break inside a field) and tsv (no quoting) as columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from pipeline.formats.lines import Lines, find_lines
from pipeline.formats.parsed_rows import BadRow, ParsedRows, is_utf8, no_labels

_QUOTE = b'"'[0]
_QUOTES_AT_ONCE = 1 << 20
DELIMITERS = {"csv": ",", "tsv": "\t"}
_NOT_ASCII_TO_X = bytes(range(128)) + b"x" * 128


def parse_table(
    block: bytes,
    columns: int,
    sequence: int,
    label: int | None,
    form: str = "csv",
    delimiter: str | None = None,
    header: Sequence[str] | None = None,
    others: Sequence[int] = (),
) -> ParsedRows:
    """Return the rows of whole lines of csv or tsv.

    Rows that are not well formed are `bad`: `line_break` (a carriage return inside),
    `broken_quoting`, `wrong_number_of_fields`, `repeated_header`.

    Args:
        block: the lines.
        columns: how many there are.
        sequence: the position of the sequence column.
        label: the position of the label column, or None.
        form: csv or tsv.
        delimiter: what separates columns; None for the delimiter of the form.
        header: names of all these columns; a row that has them as values is a `repeated_header`.
        others: the positions of other columns to return.
    """
    delimiter = delimiter or DELIMITERS[form]
    lines = find_lines(block)
    keep = ~lines.is_blank
    bad: list[BadRow] = []
    suspects = [("line_break", lines.with_inner_return())]
    if form == "csv":
        suspects.append(("broken_quoting", _lines_with_broken_quoting(lines, delimiter)))
    for reason, matches in suspects:
        fresh = matches[keep[matches]]
        keep[fresh] = False
        bad += [BadRow(int(line), reason, lines.text(line)) for line in fresh]
    row = np.flatnonzero(keep)
    wanted = [sequence, *([] if label is None else [label]), *others]
    parse_options = pa_csv.ParseOptions(
        delimiter=delimiter, quote_char='"' if form == "csv" else False
    )
    table, wrong = _read_well_formed(lines, keep, columns, wanted, parse_options)
    bad += [BadRow(n, "wrong_number_of_fields", lines.text(n)) for n in row[wrong].tolist()]
    row = np.delete(row, wrong)
    if header is not None and len(again := _find_row(table, wanted, header)):
        bad += [BadRow(n, "repeated_header", lines.text(n)) for n in row[again].tolist()]
        rest = np.delete(np.arange(len(row)), again)
        table, row = table.take(pa.array(rest)), row[rest]
    return ParsedRows(
        sequence=table[f"f{sequence}"].combine_chunks(),
        label=no_labels(len(row)) if label is None else table[f"f{label}"].combine_chunks(),
        row=row,
        bad=tuple(bad),
        raw=lambda index: lines.text(row[index]),
        rows=len(keep),
        others=tuple(table[f"f{column}"].combine_chunks() for column in others),
    )


def _find_row(
    table: pa.Table, columns: Sequence[int], values: Sequence[str]
) -> npt.NDArray[np.int64]:
    """Return the positions of the rows that have these values in these columns."""
    found = np.arange(len(table))
    # The last column first: there are few rows with the name of the label column as label.
    for column, value in reversed(list(zip(columns, values, strict=True))):
        cells = table[f"f{column}"].take(pa.array(found))
        equal = pc.equal(cells, pa.scalar(value.encode("utf-8"), pa.binary()))
        found = found[equal.to_numpy()]
        if not len(found):
            break
    return found


def _read_well_formed(
    lines: Lines,
    keep: npt.NDArray[np.bool_],
    columns: int,
    wanted: Sequence[int],
    parse_options: pa_csv.ParseOptions,
) -> tuple[pa.Table, list[int]]:
    """Return as `_read_table` the lines of `keep`, whatever their bytes are.

    Arrow cannot report a row that has the wrong number of fields and is not UTF-8. In a block with
    such bytes these rows are found with other bytes in their place, and left out.
    """
    block = lines.joined(keep)
    if is_utf8(block):
        return _read_table(block, columns, wanted, parse_options)
    _, wrong = _read_table(block.translate(_NOT_ASCII_TO_X), columns, wanted, parse_options)
    right = keep.copy()
    right[np.flatnonzero(keep)[wrong]] = False
    return _read_table(lines.joined(right), columns, wanted, parse_options)[0], wrong


def _read_table(
    block: bytes, columns: int, wanted: Sequence[int], parse_options: pa_csv.ParseOptions
) -> tuple[pa.Table, list[int]]:
    """Return the wanted columns as binary columns `f0`, `f1`, …, read by Arrow.

    The list holds the positions of rows with other than `columns` fields, which are left out.
    """
    wrong: list[int] = []

    def skip(invalid: pa_csv.InvalidRow) -> str:
        wrong.append(invalid.number - 1)
        return "skip"

    types = {f"f{column}": pa.binary() for column in wanted}
    if not block.strip(b"\r\n"):
        return pa.table({name: pa.array([], kind) for name, kind in types.items()}), wrong
    parse_options.invalid_row_handler = skip
    table = pa_csv.read_csv(
        pa.BufferReader(block),
        read_options=pa_csv.ReadOptions(
            use_threads=False,
            block_size=len(block) + 1,
            column_names=[f"f{column}" for column in range(columns)],
        ),
        parse_options=parse_options,
        convert_options=pa_csv.ConvertOptions(
            column_types=types,
            include_columns=list(types),
            strings_can_be_null=False,
            quoted_strings_can_be_null=False,
        ),
    )
    return table, wrong


def _lines_with_broken_quoting(lines: Lines, delimiter: str) -> npt.NDArray[np.int64]:
    """Return the lines whose quotes do not pair up, or stand anywhere but around a whole field.

    Arrow's reader would take such a quote for text, or join lines. Within a line the quotes open
    and close in turn. An opening quote must follow a delimiter, the line's start or a quote; a
    closing quote must precede a delimiter, the line's end or a quote.
    """
    if b'"' not in lines.block:
        return np.empty(0, np.int64)
    quotes = np.flatnonzero(lines.characters == _QUOTE)
    # In slices, because a hostile line may be nothing but quotes.
    broken = [
        _lines_broken_by(lines, quotes, first, min(first + _QUOTES_AT_ONCE, len(quotes)), delimiter)
        for first in range(0, len(quotes), _QUOTES_AT_ONCE)
    ]
    return np.unique(np.concatenate(broken))


def _lines_broken_by(
    lines: Lines, quotes: npt.NDArray[np.int64], first: int, last: int, delimiter: str
) -> npt.NDArray[np.int64]:
    """Return the line of each misplaced quote among `quotes[first:last]`.

    Args:
        lines: the lines.
        quotes: (quotes,) int64, the offsets of all quotes in the block, ascending.
        first: the first quote to check.
        last: the first quote not to check.
        delimiter: what separates columns.
    """
    characters, neighbours = lines.characters, (ord(delimiter), _QUOTE)
    position = quotes[first:last]
    line = lines.of_positions(position)
    # A quote opens if an even number of quotes precede it in its line: its place among all quotes,
    # minus the place of the line's first quote.
    touched = lines.start[line[0] : line[-1] + 1]
    first_of_line = np.searchsorted(quotes, touched, side="left")[line - line[0]]
    opening = (np.arange(first, last) - first_of_line) % 2 == 0
    before = characters[np.maximum(position, 1) - 1]
    after = characters[np.minimum(position + 1, len(characters) - 1)]
    may_open = (position == lines.start[line]) | np.isin(before, neighbours)
    may_close = (position + 1 == lines.end[line]) | np.isin(after, neighbours)
    in_place = np.where(opening, may_open, may_close)
    # The last quote of a line must not open a field, which nothing would close.
    following = np.append(quotes[first + 1 : last + 1], len(characters))[: last - first]
    unclosed = (following >= lines.end[line]) & opening
    broken: npt.NDArray[np.int64] = line[~in_place | unclosed]
    return broken
