"""Rows on their way through Beam: Arrow record batches as bytes.

Compressed well, because runners copy what they move, and some keep all of it in memory.
"""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from pipeline.rows.spilling import Packed, load

_OPTIONS = pa.ipc.IpcWriteOptions(compression=pa.Codec("zstd", compression_level=1))


def pack_rows(rows: pa.RecordBatch) -> bytes:
    """Return a batch as one value of bytes."""
    with pa.BufferOutputStream() as sink:
        with pa.ipc.new_stream(sink, rows.schema, options=_OPTIONS) as writer:
            writer.write_batch(rows)
        return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def unpack_batch(value: Packed) -> pa.RecordBatch:
    """Return the batch that `pack_rows` packed."""
    return pa.ipc.open_stream(load(value)).read_next_batch()


def unpack_rows(values: Iterable[Packed], schema: pa.Schema) -> pa.RecordBatch:
    """Return the rows of all values in one batch; an empty value holds none."""
    batches = [batch for value in map(load, values) if value for batch in pa.ipc.open_stream(value)]
    table = pa.Table.from_batches(batches, schema).combine_chunks()
    columns = [
        column.chunk(0) if column.num_chunks else pa.array([], column.type)
        for column in table.columns
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
