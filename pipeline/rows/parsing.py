"""Blocks of text lines turned into Arrow columns, a block at a time.

A row is a line: RFC 4180 quoting, but no line break inside a field, so that a file can be read
in parts and a forgotten quote spoils one row instead of the rest of the file. Blank lines are
not rows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.json as pa_json

_NEWLINE, _RETURN, _QUOTE = b"\n"[0], b"\r"[0], b'"'[0]
_QUOTES_AT_ONCE = 1 << 20
_DELIMITER = {"csv": b",", "tsv": b"\t"}


# How much of a row's text is kept where the row is rejected or an example.
KEPT_BYTES = 1 << 16


def shown(data: bytes, start: int, end: int) -> str:
    """The text in `data[start:end]`; of a very long one its first `KEPT_BYTES`, and a note."""
    cut = min(end, start + KEPT_BYTES)
    while cut < end and cut > start and data[cut] & 0xC0 == 0x80:  # inside a character
        cut -= 1
    text = data[start:cut].decode("utf-8", "backslashreplace")
    return text if cut == end else f"{text}… (cut: {end - start:,} bytes in all)"


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be used: its number from 0, the reason, and its text."""

    row: int
    reason: str
    raw: str


@dataclass(frozen=True)
class ParsedRows:
    """Columns of n rows, and the rows that could not be split into columns.

    sequence, label: (n,) binary, null where the row has no value; `label` also where none was
    asked for. row: (n,) int64, the row's number from 0. raw: the text of row i of the n. rows: how
    many row numbers were used.
    """

    sequence: pa.BinaryArray
    label: pa.BinaryArray
    row: npt.NDArray[np.int64]
    bad: tuple[BadRow, ...]
    raw: Callable[[int], str]
    rows: int

    def shifted(self, by: int) -> ParsedRows:
        """The same rows, numbered from `by`."""
        if by == 0:
            return self
        bad = tuple(replace(bad, row=bad.row + by) for bad in self.bad)
        return replace(self, row=self.row + by, bad=bad)


@dataclass(frozen=True)
class _Lines:
    """Where the lines of `block` are: start and end offset of each, its line end left out."""

    block: bytes
    start: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]

    def text(self, line: int) -> str:
        return shown(self.block, int(self.start[line]), int(self.end[line]))

    def of_positions(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return np.searchsorted(self.start, positions, side="right") - 1

    def joined(self, keep: npt.NDArray[np.bool_]) -> bytes:
        """The lines of `keep`, each with a newline; the block itself if that is all of them."""
        if keep.all():
            return self.block
        lines = zip(self.start[keep].tolist(), self.end[keep].tolist(), strict=True)
        return b"".join(self.block[start:end] + b"\n" for start, end in lines)


def _find_lines(block: bytes) -> _Lines:
    characters = np.frombuffer(block, np.uint8)
    newline = np.flatnonzero(characters == _NEWLINE)
    end = newline if block.endswith(b"\n") else np.append(newline, len(block))
    start = np.concatenate([[0], end[:-1] + 1])
    returns = (end > start) & (characters[np.maximum(end, 1) - 1] == _RETURN)
    return _Lines(block, start, end - returns)


def parse_table(
    block: bytes, columns: int, sequence: int, label: int | None, form: str = "csv"
) -> ParsedRows:
    """Parse whole lines of csv or tsv; `sequence` and `label` are positions among `columns`.

    Rows that are not well formed come back as `bad`: `line_break` (a carriage return inside),
    `broken_quoting`, `wrong_number_of_fields`.
    """
    lines = _find_lines(block)
    keep = lines.end > lines.start
    bad: list[BadRow] = []
    suspects = [("line_break", _lines_with_inner_return(lines))]
    if form == "csv":
        suspects.append(("broken_quoting", _lines_with_broken_quoting(lines)))
    for reason, found in suspects:
        fresh = found[keep[found]]
        keep[fresh] = False
        bad += [BadRow(int(line), reason, lines.text(line)) for line in fresh]
    row = np.flatnonzero(keep)
    wrong: list[int] = []
    wanted = [sequence] if label is None else [sequence, label]
    table = _read_table(lines.joined(keep), columns, wanted, form, wrong)
    bad += [BadRow(n, "wrong_number_of_fields", lines.text(n)) for n in row[wrong].tolist()]
    row = np.delete(row, wrong)
    return ParsedRows(
        sequence=table[f"f{sequence}"].combine_chunks(),
        label=_no_labels(row) if label is None else table[f"f{label}"].combine_chunks(),
        row=row,
        bad=tuple(bad),
        raw=lambda index: lines.text(row[index]),
        rows=len(keep),
    )


def _read_table(
    block: bytes, columns: int, wanted: Sequence[int], form: str, wrong: list[int]
) -> pa.Table:
    """Arrow's csv reader; the positions of rows with other than `columns` fields go to `wrong`."""

    def skip(invalid: pa_csv.InvalidRow) -> str:
        wrong.append(invalid.number - 1)
        return "skip"

    types = {f"f{column}": pa.binary() for column in wanted}
    if not block.strip(b"\r\n"):
        return pa.table({name: pa.array([], kind) for name, kind in types.items()})
    return pa_csv.read_csv(
        pa.BufferReader(block),
        read_options=pa_csv.ReadOptions(
            use_threads=False,
            block_size=len(block) + 1,
            column_names=[f"f{column}" for column in range(columns)],
        ),
        parse_options=pa_csv.ParseOptions(
            delimiter=_DELIMITER[form].decode(),
            quote_char='"' if form == "csv" else False,
            invalid_row_handler=skip,
        ),
        convert_options=pa_csv.ConvertOptions(
            column_types=types,
            include_columns=list(types),
            strings_can_be_null=False,
            quoted_strings_can_be_null=False,
        ),
    )


def _lines_with_inner_return(lines: _Lines) -> npt.NDArray[np.int64]:
    if b"\r" not in lines.block:
        return np.empty(0, np.int64)
    position = np.flatnonzero(np.frombuffer(lines.block, np.uint8) == _RETURN)
    line = lines.of_positions(position)
    return np.unique(line[position < lines.end[line]])


def _lines_with_broken_quoting(lines: _Lines) -> npt.NDArray[np.int64]:
    """Lines whose quotes do not pair up, or stand anywhere but around a whole field.

    Within a line the quotes open and close in turn. An opening one must follow a delimiter, the
    line's start or a quote; a closing one must precede a delimiter, the line's end or a quote.
    """
    if b'"' not in lines.block:
        return np.empty(0, np.int64)
    position = np.flatnonzero(np.frombuffer(lines.block, np.uint8) == _QUOTE)
    # In slices, because a hostile line may be nothing but quotes.
    wrong = [
        _broken_quoting_at(lines, position, start, min(start + _QUOTES_AT_ONCE, len(position)))
        for start in range(0, len(position), _QUOTES_AT_ONCE)
    ]
    return np.unique(np.concatenate(wrong))


def _broken_quoting_at(
    lines: _Lines, quotes: npt.NDArray[np.int64], first: int, last: int
) -> npt.NDArray[np.int64]:
    """The lines that number `first` to `last` of the quotes break."""
    characters = np.frombuffer(lines.block, np.uint8)
    position = quotes[first:last]
    line = lines.of_positions(position)
    touched = lines.start[line[0] : line[-1] + 1]
    first_of_line = np.searchsorted(quotes, touched, side="left")[line - line[0]]
    opening = (np.arange(first, last) - first_of_line) % 2 == 0
    before = characters[np.maximum(position, 1) - 1]
    after = characters[np.minimum(position + 1, len(characters) - 1)]
    fine_open = (position == lines.start[line]) | _is_delimiter_or_quote(before)
    fine_close = (position + 1 == lines.end[line]) | _is_delimiter_or_quote(after)
    fine = np.where(opening, fine_open, fine_close)
    following = np.append(quotes[first + 1 : last + 1], len(characters))[: last - first]
    last_of_line = following >= lines.end[line]
    wrong: npt.NDArray[np.int64] = line[~fine | (last_of_line & opening)]
    return wrong


def _is_delimiter_or_quote(characters: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    return np.isin(characters, (_DELIMITER["csv"][0], _QUOTE))


def parse_text(block: bytes, label: str | None) -> ParsedRows:
    """Parse lines that are nothing but a sequence, all of them with the same label, or none.

    A carriage return inside a line comes back as `bad`: `line_break`.
    """
    lines = _find_lines(block)
    keep = lines.end > lines.start
    broken = _lines_with_inner_return(lines)
    keep[broken] = False
    row = np.flatnonzero(keep)
    return ParsedRows(
        sequence=_without_line_ends(lines).filter(pa.array(keep)),
        label=_no_labels(row)
        if label is None
        else pa.repeat(pa.scalar(label.encode("utf-8"), pa.binary()), len(row)),
        row=row,
        bad=tuple(BadRow(line, "line_break", lines.text(line)) for line in broken.tolist()),
        raw=lambda index: lines.text(row[index]),
        rows=len(keep),
    )


def _without_line_ends(lines: _Lines) -> pa.BinaryArray:
    """All lines as (n,) binary."""
    inside = np.ones(len(lines.block), np.bool_)
    inside[lines.start[1:] - 1] = False
    # The last line's own line end, and carriage returns before newlines.
    inside[lines.end[lines.end < len(inside)]] = False
    inside[lines.end[-1] :] = False
    offsets = np.concatenate([[0], np.cumsum(lines.end - lines.start)]).astype(np.int32)
    data = np.frombuffer(lines.block, np.uint8)[inside]
    return pa.Array.from_buffers(
        pa.binary(), len(lines.start), [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    )


def _no_labels(row: npt.NDArray[np.int64]) -> pa.BinaryArray:
    return pa.nulls(len(row), pa.binary())


def parse_jsonl(block: bytes, sequence: str, label: str | None = None) -> ParsedRows:
    """Parse whole lines of JSON objects; a label may be text or an integer.

    Arrow parses the block; where it refuses it, each line is parsed alone, so that one bad line
    (`invalid_json`, `invalid_utf8`) costs only itself. What becomes of a line never depends on
    the lines around it. Of equal keys the last one counts.
    """
    lines = _find_lines(block)
    keep = lines.end > lines.start
    row = np.flatnonzero(keep)
    bad: tuple[BadRow, ...] = ()
    names = [sequence] if label is None else [sequence, label]
    values = _read_json(lines, keep, names)
    if values is None:
        values, row, bad = _read_json_lines(lines, row, names)
    return ParsedRows(
        sequence=values[0],
        label=_no_labels(row) if label is None else values[1],
        row=row,
        bad=bad,
        raw=lambda index: lines.text(row[index]),
        rows=len(keep),
    )


def _read_json(
    lines: _Lines, keep: npt.NDArray[np.bool_], names: Sequence[str]
) -> list[pa.BinaryArray] | None:
    """The columns of the lines of `keep`, or None where Arrow refuses one of them."""
    schema = pa.schema([(name, pa.string()) for name in names])
    if not keep.any():
        return [pa.array([], pa.binary())] * len(names)
    # With braces around every line, as many values as lines are an object a line: none spans two
    # of them. And Arrow 25 crashes where the first value is a null.
    characters = np.frombuffer(lines.block, np.uint8)
    if (characters[lines.start[keep]] != b"{"[0]).any() or (
        characters[lines.end[keep] - 1] != b"}"[0]
    ).any():
        return None
    block = lines.joined(keep)
    try:
        table = pa_json.read_json(
            pa.BufferReader(block),
            read_options=pa_json.ReadOptions(use_threads=False, block_size=len(block) + 1),
            parse_options=pa_json.ParseOptions(
                explicit_schema=schema, unexpected_field_behavior="ignore"
            ),
        )
    except pa.ArrowInvalid:
        return None
    if len(table) != np.count_nonzero(keep):
        return None
    return [table[name].combine_chunks().cast(pa.binary()) for name in schema.names]


def _read_json_lines(
    lines: _Lines, row: npt.NDArray[np.int64], names: Sequence[str]
) -> tuple[list[pa.BinaryArray], npt.NDArray[np.int64], tuple[BadRow, ...]]:
    good: list[tuple[int, list[bytes | None]]] = []
    bad: list[BadRow] = []
    for line in row.tolist():
        try:
            good.append((line, _read_json_line(lines, line, names)))
        except UnicodeError:
            bad.append(BadRow(line, "invalid_utf8", lines.text(line)))
        except (ValueError, TypeError, RecursionError):
            bad.append(BadRow(line, "invalid_json", lines.text(line)))
    columns = [pa.array([values[i] for _, values in good], pa.binary()) for i in range(len(names))]
    return columns, np.array([line for line, _ in good], np.int64), tuple(bad)


def _read_json_line(lines: _Lines, line: int, names: Sequence[str]) -> list[bytes | None]:
    try:
        found = json.loads(lines.block[lines.start[line] : lines.end[line]].decode("utf-8"))
    except (UnicodeError, RecursionError):
        # In other fields Arrow minds neither what is not UTF-8 nor how deep they are.
        only = np.zeros(len(lines.start), np.bool_)
        only[line] = True
        values = _read_json(lines, only, names)
        if values is None:
            raise
        return [column[0].as_py() for column in values]
    if not isinstance(found, dict):
        raise TypeError(f"expected an object, got {type(found).__name__}")
    # The sequence comes first; a label may be a number.
    return [_as_text(found.get(name), integer=place > 0) for place, name in enumerate(names)]


def _as_text(value: object, integer: bool = False) -> bytes | None:
    """UTF-8 of a JSON value; raises TypeError if it is not text (or, if allowed, an integer)."""
    if value is None or isinstance(value, str):
        return None if value is None else value.encode("utf-8")
    if integer and isinstance(value, int) and not isinstance(value, bool):
        return str(value).encode("ascii")
    raise TypeError(f"expected text, got {type(value).__name__}")


def parse_values(sequence: pa.Array, label: pa.Array | None = None) -> ParsedRows:
    """Columns that are columns already (Parquet); an integer label becomes its decimal text."""
    columns = [_as_binary(column) for column in (sequence, label) if column is not None]

    def raw(index: int) -> str:
        texts = [None if v is None else shown(v, 0, len(v))
                 for v in (column[index].as_py() for column in columns)]  # fmt: skip
        return json.dumps(texts, ensure_ascii=False)

    row = np.arange(len(sequence))
    labels = _no_labels(row) if label is None else columns[1]
    return ParsedRows(columns[0], labels, row, (), raw, len(sequence))


def _as_binary(column: pa.Array) -> pa.BinaryArray:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_integer(column.type):
        column = column.cast(pa.string())
    return column.cast(pa.binary())
