"""Row groups of Parquet as batches whose text fits into memory, however well it is compressed.

A value that many rows share is stored once: a file of some kilobytes can hold terabytes of text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

_BATCH_ROWS = 1 << 16
_BATCH_BYTES = 64 << 20
_BUFFER_BYTES = 1 << 20


def read_row_groups(
    stream: BinaryIO, groups: Sequence[int], columns: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of row groups, in order.

    A batch has `_BATCH_ROWS` rows at most, and text of `_BATCH_BYTES` once its dictionaries are
    decoded, unless a single row has more.

    Raises:
        OSError, pa.ArrowInvalid: the file cannot be read.
    """
    columns = list(dict.fromkeys(columns))
    plain = pq.ParquetFile(stream)
    shared = pq.ParquetFile(
        stream,
        metadata=plain.metadata,
        read_dictionary=_text_columns(plain.schema_arrow, columns),
        buffer_size=_BUFFER_BYTES,  # for its first row, a row group is not read as a whole
    )
    for group in groups:
        # By default Arrow decodes the dictionaries of a whole batch before returning it. Reading
        # columns as dictionaries avoids that, but hashes every value: only for long values.
        file = shared if _has_long_values(shared, group, columns) else plain
        size = _rows_at_once(file.metadata.row_group(group), columns)
        for batch in file.iter_batches(size, row_groups=[group], columns=list(columns)):
            yield from _cut(batch)


def _text_columns(schema: pa.Schema, columns: Sequence[str]) -> list[str]:
    kinds = (pa.string(), pa.large_string(), pa.binary(), pa.large_binary())
    return [name for name in columns if schema.field(name).type in kinds]


def _has_long_values(file: pq.ParquetFile, group: int, columns: Sequence[str]) -> bool:
    """Return whether a batch might unfold to more than `_BATCH_BYTES`.

    The first row comes with all values that a dictionary of the row group has.
    """
    first = next(file.iter_batches(1, row_groups=[group], columns=list(columns)), None)
    longest = sum(_longest(column) for column in first.columns) if first else 0
    return longest * _BATCH_ROWS > _BATCH_BYTES


def _longest(column: pa.Array) -> int:
    values = column.dictionary if pa.types.is_dictionary(column.type) else column
    return int(_bytes_of_values(values).max(initial=0))


def _rows_at_once(group: pq.RowGroupMetaData, columns: Sequence[str]) -> int:
    """Return how many rows hold about `_BATCH_BYTES` by what the file says of its pages."""
    chunks = [group.column(index) for index in range(group.num_columns)]
    wanted = [chunk for chunk in chunks if chunk.path_in_schema in columns]
    size = sum(int(chunk.total_uncompressed_size) for chunk in wanted)
    return max(1, min(_BATCH_ROWS, _BATCH_BYTES * int(group.num_rows) // max(size, 1)))


def _cut(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a batch in pieces of about `_BATCH_BYTES` of text, none of them empty."""
    end = np.cumsum(sum(_bytes_of_rows(column) for column in batch.columns))
    start = 0
    while start < batch.num_rows:
        before = end[start - 1] if start else 0
        stop = int(np.searchsorted(end, before + _BATCH_BYTES, side="right"))
        stop = max(stop, start + 1)
        yield batch.slice(start, stop - start)
        start = stop


def _bytes_of_rows(column: pa.Array) -> npt.NDArray[np.int64]:
    """Return the bytes of text in each row: (n,) int64, 0 for null and for what is not text."""
    if not pa.types.is_dictionary(column.type):
        return _bytes_of_values(column)
    if len(column.dictionary) == 0:
        return np.zeros(len(column), np.int64)
    of_values = pa.array(_bytes_of_values(column.dictionary))
    return of_values.take(column.indices).fill_null(0).to_numpy()  # type: ignore[no-any-return]


def _bytes_of_values(values: pa.Array) -> npt.NDArray[np.int64]:
    if values.type in (pa.string_view(), pa.binary_view()):
        values = values.cast(pa.large_binary())
    if values.type not in (pa.string(), pa.large_string(), pa.binary(), pa.large_binary()):
        return np.zeros(len(values), np.int64)
    sizes = pc.binary_length(values).fill_null(0)
    return sizes.to_numpy(zero_copy_only=False).astype(np.int64)  # type: ignore[no-any-return]
