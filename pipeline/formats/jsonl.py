"""Lines of JSON objects as columns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pa_json

from pipeline.formats.lines import Lines, find_lines
from pipeline.formats.parquet import number_texts
from pipeline.formats.parsed_rows import BadRow, ParsedRows, no_labels

# All labels of a block are of one of these types, or its lines are read one by one.
_LABEL_KINDS = (pa.string(), pa.int64(), pa.bool_(), pa.float64())
_KINDS_OF_OTHERS = {bool: pa.bool_(), int: pa.float64(), float: pa.float64()}
_FIRST_INEXACT = 2.0**53


class _Keys(NamedTuple):
    """The keys to read: of the sequence, of the label if it is wanted, and others."""

    sequence: str
    label: str | None
    others: tuple[str, ...]

    @property
    def all(self) -> list[str]:
        """The names of all keys, each once."""
        names = (self.sequence, self.label, *self.others)
        return list(dict.fromkeys(name for name in names if name is not None))


class _LabelError(Exception):
    """A label is neither text, a whole number nor a boolean."""


def parse_jsonl(
    block: bytes, sequence: str, label: str | None = None, others: Sequence[str] = ()
) -> ParsedRows:
    """Return the rows of whole lines of JSON objects.

    Arrow parses the block; where it refuses it, each line is parsed alone, so that a bad line
    (`invalid_json`, `invalid_utf8`, `label_not_text`) costs only itself. The outcome of a line
    never depends on the lines around it. Of equal keys the last one counts.

    Args:
        block: the lines.
        sequence: the key of the sequence.
        label: the key of the label; None for no labels. A label that is a whole number, true or
            false is its JSON text, a whole number without point and exponent: 1.0 is `1`.
        others: the keys of other columns. Their values are text likewise, other values than text
            as JSON.
    """
    lines = find_lines(block)
    keep = ~lines.is_blank
    row = np.flatnonzero(keep)
    bad: tuple[BadRow, ...] = ()
    keys = _Keys(sequence, label, tuple(others))
    values = _read_with_arrow(lines, keep, keys)
    if values is None:
        values, row, bad = _read_line_by_line(lines, row, keys)
    return ParsedRows(
        sequence=values[sequence],
        label=no_labels(len(row)) if label is None else values[label],
        row=row,
        bad=bad,
        raw=lambda index: lines.text(row[index]),
        rows=len(keep),
        others=tuple(values[name] for name in others),
    )


def json_objects(lines: Iterable[bytes]) -> Iterator[dict[str, object]]:
    """Yield the lines that are JSON objects; others are passed over."""
    for line in lines:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            yield row


def has_key(block: bytes, name: str) -> bool:
    """Return whether a line of `block` is a JSON object with the key `name`, whatever its value."""
    lines = (line for line in block.split(b"\n") if line.strip())
    return any(name in row for row in json_objects(lines))


def _read_with_arrow(
    lines: Lines, keep: npt.NDArray[np.bool_], keys: _Keys
) -> dict[str, pa.BinaryArray] | None:
    """Return the columns of the lines of `keep`, or None where Arrow refuses one of the lines."""
    if not keep.any():
        return dict.fromkeys(keys.all, pa.array([], pa.binary()))
    if not _have_braces(lines, keep):
        return None
    block = lines.joined(keep)
    for schema in _possible_schemas(block, keys):
        table = _read_table(block, schema)
        if table is not None and len(table) == np.count_nonzero(keep):
            columns = {
                name: _to_texts(table[name].combine_chunks(), whole=name == keys.label)
                for name in schema.names
            }
            return None if any(column is None for column in columns.values()) else columns
    return None


def _possible_schemas(block: bytes, keys: _Keys) -> Iterator[pa.Schema]:
    """Yield types to try: each that labels may have, and for others those of the first line."""
    others = {}
    if keys.others:
        first = next(json_objects([block.split(b"\n", 1)[0]]), {})
        others = {name: _KINDS_OF_OTHERS.get(type(first.get(name))) for name in keys.others}
    for kind in _LABEL_KINDS if keys.label is not None else _LABEL_KINDS[:1]:
        kinds = {name: other or pa.string() for name, other in others.items()}
        yield pa.schema({**kinds, keys.label or keys.sequence: kind, keys.sequence: pa.string()})


def _read_table(block: bytes, schema: pa.Schema) -> pa.Table | None:
    """Return the columns of a schema, or None where a value is not of its type."""
    try:
        return pa_json.read_json(
            pa.BufferReader(block),
            read_options=pa_json.ReadOptions(use_threads=False, block_size=len(block) + 1),
            parse_options=pa_json.ParseOptions(
                explicit_schema=schema, unexpected_field_behavior="ignore"
            ),
        )
    except pa.ArrowInvalid:
        return None


def _to_texts(column: pa.Array, *, whole: bool) -> pa.BinaryArray | None:
    """Return a column as text, or None if a number in it is too large to be exact.

    whole: also if a number is not whole.
    """
    if pa.types.is_floating(column.type):
        exact = pc.less(pc.abs(column), _FIRST_INEXACT)  # false for NaN, which is not JSON
        column, wrong = number_texts(column)
        is_wrong = (whole and wrong.any()) or not pc.all(exact, min_count=0).as_py()
        return None if is_wrong else column
    return column.cast(pa.string()).cast(pa.binary())


def _have_braces(lines: Lines, keep: npt.NDArray[np.bool_]) -> bool:
    """Return whether each of the lines begins with `{` and ends with `}`.

    Then, if Arrow reads as many values as there are lines, each line is an object: none spans two
    lines. It also keeps out a first value that is null, at which Arrow 25 crashes.
    """
    first = lines.characters[lines.start[keep]]
    last = lines.characters[lines.end[keep] - 1]
    return bool((first == b"{"[0]).all() and (last == b"}"[0]).all())


def _read_line_by_line(
    lines: Lines, row: npt.NDArray[np.int64], keys: _Keys
) -> tuple[dict[str, pa.BinaryArray], npt.NDArray[np.int64], tuple[BadRow, ...]]:
    """Return the columns of the lines `row` that can be read, their numbers, and the bad rows."""
    good: list[tuple[int, dict[str, bytes | None]]] = []
    bad: list[BadRow] = []
    for line in row.tolist():
        try:
            good.append((line, _read_line(lines, line, keys)))
        except UnicodeError:
            bad.append(BadRow(line, "invalid_utf8", lines.text(line)))
        except _LabelError:
            bad.append(BadRow(line, "label_not_text", lines.text(line)))
        except (ValueError, TypeError, RecursionError):
            bad.append(BadRow(line, "invalid_json", lines.text(line)))
    columns = {
        name: pa.array([values[name] for _, values in good], pa.binary()) for name in keys.all
    }
    return columns, np.array([line for line, _ in good], np.int64), tuple(bad)


def _read_line(lines: Lines, line: int, keys: _Keys) -> dict[str, bytes | None]:
    """Return the values of a line by their keys.

    Raises:
        UnicodeError: a value is not UTF-8.
        ValueError, TypeError, RecursionError: the line is not JSON, or not such an object.
        _LabelError: the label is a value of another kind.
    """
    try:
        text = lines.block[lines.start[line] : lines.end[line]].decode("utf-8")
        parsed = json.loads(text, parse_constant=_refuse_constant)
    except (UnicodeError, RecursionError):
        # In other fields Arrow accepts both what is not UTF-8 and any depth.
        only = np.zeros(len(lines.start), np.bool_)
        only[line] = True
        columns = _read_with_arrow(lines, only, keys)
        if columns is None:
            raise
        return {name: column[0].as_py() for name, column in columns.items()}
    if not isinstance(parsed, dict):
        raise TypeError(f"expected an object, got {type(parsed).__name__}")
    sequence = parsed.get(keys.sequence)
    if sequence is not None and not isinstance(sequence, str):
        raise TypeError(f"expected text, got {type(sequence).__name__}")
    texts = {name: _text(parsed.get(name)) for name in keys.others}
    if keys.label is not None:
        texts[keys.label] = _label_text(parsed.get(keys.label))
    texts[keys.sequence] = sequence
    return {name: None if text is None else text.encode("utf-8") for name, text in texts.items()}


def _refuse_constant(name: str) -> object:
    """Refuse NaN and Infinity, which Python reads, though they are not JSON."""
    raise ValueError(f"{name} is not JSON")


def _label_text(value: object) -> str | None:
    """Return the text of a label; raise `_LabelError` if it cannot be one."""
    text = _text(value)
    if isinstance(value, (list, dict)) or (isinstance(value, float) and not value.is_integer()):
        raise _LabelError
    return text


def _text(value: object) -> str | None:
    """Return a value that is text, and the JSON of any other; a whole number has no point."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return json.dumps(value, ensure_ascii=False)
