"""Lines of JSON objects as columns."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.json as pa_json

from pipeline.formats.lines import Lines, find_lines
from pipeline.formats.parsed_rows import BadRow, ParsedRows, no_labels


def parse_jsonl(block: bytes, sequence: str, label: str | None = None) -> ParsedRows:
    """Return the rows of whole lines of JSON objects.

    Arrow parses the block; where it refuses it, each line is parsed alone, so that a bad line
    (`invalid_json`, `invalid_utf8`) costs only itself. The outcome of a line never depends on the
    lines around it. Of equal keys the last one counts.

    Args:
        block: the lines.
        sequence: the key of the sequence.
        label: the key of the label, whose value may be text or an integer; None for no labels.
    """
    lines = find_lines(block)
    keep = ~lines.is_blank
    row = np.flatnonzero(keep)
    bad: tuple[BadRow, ...] = ()
    names = [sequence] if label is None else [sequence, label]
    values = _read_with_arrow(lines, keep, names)
    if values is None:
        values, row, bad = _read_line_by_line(lines, row, names)
    return ParsedRows(
        sequence=values[0],
        label=no_labels(len(row)) if label is None else values[1],
        row=row,
        bad=bad,
        raw=lambda index: lines.text(row[index]),
        rows=len(keep),
    )


def _read_with_arrow(
    lines: Lines, keep: npt.NDArray[np.bool_], names: Sequence[str]
) -> list[pa.BinaryArray] | None:
    """Return the columns of the lines of `keep`, or None where Arrow refuses one of the lines."""
    if not keep.any():
        return [pa.array([], pa.binary())] * len(names)
    if not _have_braces(lines, keep):
        return None
    schema = pa.schema([(name, pa.string()) for name in names])
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


def _have_braces(lines: Lines, keep: npt.NDArray[np.bool_]) -> bool:
    """Return whether each of the lines begins with `{` and ends with `}`.

    Then, if Arrow reads as many values as there are lines, each line is an object: none spans two
    lines. It also keeps out a first value that is null, at which Arrow 25 crashes.
    """
    first = lines.characters[lines.start[keep]]
    last = lines.characters[lines.end[keep] - 1]
    return bool((first == b"{"[0]).all() and (last == b"}"[0]).all())


def _read_line_by_line(
    lines: Lines, row: npt.NDArray[np.int64], names: Sequence[str]
) -> tuple[list[pa.BinaryArray], npt.NDArray[np.int64], tuple[BadRow, ...]]:
    """Return the columns of the lines `row` that can be read, their numbers, and the bad rows."""
    good: list[tuple[int, list[bytes | None]]] = []
    bad: list[BadRow] = []
    for line in row.tolist():
        try:
            good.append((line, _read_line(lines, line, names)))
        except UnicodeError:
            bad.append(BadRow(line, "invalid_utf8", lines.text(line)))
        except (ValueError, TypeError, RecursionError):
            bad.append(BadRow(line, "invalid_json", lines.text(line)))
    columns = [pa.array([values[i] for _, values in good], pa.binary()) for i in range(len(names))]
    return columns, np.array([line for line, _ in good], np.int64), tuple(bad)


def _read_line(lines: Lines, line: int, names: Sequence[str]) -> list[bytes | None]:
    """Return the values of a line; of the names, only the first must be text.

    Raises:
        UnicodeError: a value is not UTF-8.
        ValueError, TypeError, RecursionError: the line is not JSON, or not such an object.
    """
    try:
        parsed = json.loads(lines.block[lines.start[line] : lines.end[line]].decode("utf-8"))
    except (UnicodeError, RecursionError):
        # In other fields Arrow accepts both what is not UTF-8 and any depth.
        only = np.zeros(len(lines.start), np.bool_)
        only[line] = True
        columns = _read_with_arrow(lines, only, names)
        if columns is None:
            raise
        return [column[0].as_py() for column in columns]
    if not isinstance(parsed, dict):
        raise TypeError(f"expected an object, got {type(parsed).__name__}")
    # The sequence comes first; a label may be a number.
    return [_to_utf8(parsed.get(name), integer=place > 0) for place, name in enumerate(names)]


def _to_utf8(value: object, integer: bool) -> bytes | None:
    """Return the UTF-8 of a JSON value; raise TypeError if it is not text, null or an integer."""
    if value is None or isinstance(value, str):
        return None if value is None else value.encode("utf-8")
    if integer and isinstance(value, int) and not isinstance(value, bool):
        return str(value).encode("ascii")
    raise TypeError(f"expected text, got {type(value).__name__}")
