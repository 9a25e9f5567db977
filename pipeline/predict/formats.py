"""Rows of predictions as lines of JSON or CSV, or as Parquet."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from charseq.files import encode_text
from pipeline.runtime.hashed_file import HashedFile

Write = Callable[[pa.RecordBatch], None]

_CONTROL = r"[\x00-\x1f]"
_PARQUET_ROWS = 1 << 17


def open_writer(
    file: HashedFile, form: str, schema: pa.Schema, source: str
) -> AbstractContextManager[Write]:
    """Return, for a `with` block, the function that appends rows of a schema to a file.

    Args:
        file: to write to.
        form: jsonl, csv or parquet.
        schema: of the rows: text, numbers and lists of text. A file of csv begins with its names.
        source: what all rows have in the column `source`. JSON holds any name of a file.
    """
    if form == "parquet":
        return _ParquetRows(file, schema)
    if form == "csv":
        empty = pa.RecordBatch.from_pylist([], schema)
        file.write(_to_csv(_lists_as_text(empty), header=True))
        return nullcontext(lambda rows: file.write(_to_csv(_lists_as_text(rows), header=False)))
    quoted = {"source": _quote(source)}
    return nullcontext(lambda rows: file.write(to_json_lines(rows, quoted)))


class _ParquetRows:
    """Rows on their way into a file of Parquet, in row groups of `_PARQUET_ROWS`, about."""

    def __init__(self, file: HashedFile, schema: pa.Schema) -> None:
        self._sink = pa.PythonFile(_Sink(file), mode="w")
        self._writer = pq.ParquetWriter(self._sink, schema, compression="zstd")
        self._rows: list[pa.RecordBatch] = []

    def __enter__(self) -> Write:
        return self._add

    def _add(self, rows: pa.RecordBatch) -> None:
        self._rows.append(rows)
        if sum(map(len, self._rows)) >= _PARQUET_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_batches(self._rows))
        self._rows = []

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            self._flush()
        self._writer.close()


class _Sink:
    """What Arrow needs of a file that it writes to."""

    closed = False

    def __init__(self, file: HashedFile) -> None:
        self._file = file

    def write(self, data: Any) -> int:
        self._file.write(memoryview(data))
        return len(data)

    def flush(self) -> None: ...

    def close(self) -> None: ...


def _to_csv(rows: pa.RecordBatch, *, header: bool) -> memoryview:
    sink = pa.BufferOutputStream()
    options = pa_csv.WriteOptions(include_header=header, quoting_style="needed")
    pa_csv.write_csv(rows, sink, options)
    return memoryview(sink.getvalue())


def _lists_as_text(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Return rows whose lists are JSON, which CSV has no form of its own for."""
    arrays = [
        _lists_to_json(column) if pa.types.is_list(column.type) else column
        for column in rows.columns
    ]
    return pa.RecordBatch.from_arrays(arrays, names=rows.schema.names)


def to_json_lines(rows: pa.RecordBatch, same: Mapping[str, str]) -> memoryview:
    """Return an object for each of n rows, with the names of its columns as keys.

    same: the JSON of columns that have the same value in all rows.
    """
    pieces: list[pa.Array | str] = []
    for number, name in enumerate(rows.schema.names):
        value = same[name] if name in same else _to_json(rows[name])
        pieces += [f"{', ' if number else '{'}{_quote(name)}: ", value]
    lines = pc.binary_join_element_wise(*pieces, "}\n", "")
    # Arrow holds the lines one after the other.
    offsets, data = lines.buffers()[1:]
    ends = np.frombuffer(offsets, np.int32)[[lines.offset, lines.offset + len(lines)]]
    return memoryview(data.slice(ends[0], ends[1] - ends[0]))


def _to_json(column: pa.Array) -> pa.StringArray:
    """Return numbers, text or lists of text (n,) as JSON, (n,) string; null is `null`."""
    if pa.types.is_list(column.type):
        return _lists_to_json(column)
    if pa.types.is_string(column.type):
        column = _quote_all(column)
    return column.cast(pa.string()).fill_null("null")


def _lists_to_json(column: pa.ListArray) -> pa.StringArray:
    """Return lists of text, none of them null, as JSON arrays, (n,) string."""
    offsets = pc.subtract(column.offsets, column.offsets[0])
    quoted = pa.ListArray.from_arrays(offsets, _quote_all(column.flatten()))
    return pc.binary_join_element_wise("[", pc.binary_join(quoted, ", "), "]", "")


def _quote_all(column: pa.StringArray) -> pa.StringArray:
    encoded = column.dictionary_encode()
    distinct = encoded.dictionary
    if pc.any(pc.match_substring_regex(distinct, _CONTROL), min_count=0).as_py():
        quoted = pa.array(list(map(_quote, distinct.to_pylist())), pa.string())
    else:
        escaped = pc.replace_substring(pc.replace_substring(distinct, "\\", r"\\"), '"', r"\"")
        quoted = pc.binary_join_element_wise('"', escaped, '"', "")
    return quoted.take(encoded.indices)


def _quote(text: str) -> str:
    return encode_text(json.dumps(text, ensure_ascii=False)).decode("utf-8")
