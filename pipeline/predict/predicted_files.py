"""The predictions of a part of the input, and the file that they become."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.io.filesystems import FileSystems

from charseq.console.redaction import redact
from charseq.errors import DataError
from charseq.files import encode_text
from pipeline.predict.columns import SET, STRANGENESS, OutputColumns
from pipeline.predict.formats import open_writer
from pipeline.rows.packing import unpack_rows
from pipeline.rows.parts import Part
from pipeline.rows.spilling import Packed
from pipeline.runtime.hashed_file import HashedFile

# The `reason` of a row without a label.
LOW_CONFIDENCE = "low_confidence"
# `step`: the difference to the number of the row before; compresses to nothing.
PREDICTED = pa.schema([("label", pa.string()), ("probability", pa.float32()), ("step", pa.int32())])


def predicted_schema(columns: OutputColumns) -> pa.Schema:
    """Return PREDICTED with labels, sets, the sequence and columns of the input, as wanted."""
    schema = PREDICTED
    for label, probability in columns.labels()[1:]:
        schema = schema.append(pa.field(label, pa.string()))
        schema = schema.append(pa.field(probability, pa.float32()))
    if columns.with_set:
        schema = schema.append(pa.field(SET, pa.list_(pa.string())))
    if columns.with_strangeness:
        schema = schema.append(pa.field(STRANGENESS, pa.float32()))
    if columns.with_sequence:
        schema = schema.append(pa.field("sequence", pa.string()))
    for number in range(len(columns.wanted)):
        schema = schema.append(pa.field(f"input {number}", pa.string()))
    return schema


Ints = npt.NDArray[np.int64]

_DEFAULT_COLUMNS = OutputColumns()


class PredictedRows(NamedTuple):
    """Some rows of a part with their predictions, packed, see `predicted_schema`.

    before: a number in the part, less than that of the first row, from which the first step counts.
    """

    before: int
    packed: Packed


@dataclass(frozen=True)
class PredictedFile:
    """The staged file of the predictions of a part.

    index: of the part. suffix: of its name. low_confidence: rows that are left without a label.
    """

    index: int
    staged_path: str
    rows: int
    bytes: int
    sha256: str
    suffix: str = "jsonl"
    low_confidence: int = 0

    def file_name(self, num_files: int) -> str:
        """Return its path in the output directory, as one of `num_files`."""
        return f"predictions/part-{self.index:05d}-of-{num_files:05d}.{self.suffix}"


def write_predictions(
    part: Part,
    values: Iterable[PredictedRows],
    first_row: int,
    staging: str,
    columns: OutputColumns = _DEFAULT_COLUMNS,
) -> PredictedFile:
    """Write the predictions of a part, in the order of its rows, under a temporary name.

    Args:
        part: the part of the input.
        values: all its predictions, in any order.
        first_row: the number in its file of the part's first row.
        staging: the directory to write to.
        columns: of the output, and its format.

    Raises:
        DataError: a row has more than one prediction.
    """
    path = FileSystems.join(staging, f"predicted-{uuid.uuid4().hex}")
    num_rows = low_confidence = 0
    source = redact(part.source.path)
    schema = predicted_schema(columns)
    empty = to_output(
        source, np.zeros(0, np.int64), pa.RecordBatch.from_pylist([], schema), columns
    )
    with HashedFile(path) as file, open_writer(file, columns.format, empty.schema, source) as write:
        for numbers, predicted in _ordered_rows(part, values, schema):
            write(to_output(source, first_row + numbers, predicted, columns))
            num_rows += len(numbers)
            low_confidence += predicted["label"].null_count
    return PredictedFile(
        part.index,
        path,
        num_rows,
        file.bytes,
        file.sha256.hexdigest(),
        columns.format,
        low_confidence,
    )


def to_output(
    source: str, row: Ints, predicted: pa.RecordBatch, columns: OutputColumns
) -> pa.RecordBatch:
    """Return the columns of the output of n rows, in order.

    Args:
        source: the path of their file.
        row: (n,) int64, their numbers in the file.
        predicted: n rows, see `predicted_schema`.
        columns: of the output.
    """
    own = [predicted[name] for pair in columns.labels() for name in pair]
    if columns.with_set:
        own.append(predicted[SET])
    if columns.with_strangeness:
        own.append(predicted[STRANGENESS])
    if columns.min_confidence is not None:
        own.append(
            pc.if_else(predicted["label"].is_null(), LOW_CONFIDENCE, pa.scalar(None, pa.string()))
        )
    sequence = [predicted["sequence"]] if columns.with_sequence else []
    carried = [predicted[f"input {number}"] for number in range(len(columns.wanted))]
    num_ids = int(columns.id_column is not None)
    arrays = [
        pa.repeat(pa.scalar(encode_text(source).decode("utf-8")), len(row)),
        pa.array(row),
        *carried[:num_ids],
        *own,
        *sequence,
        *carried[num_ids:],
    ]
    return pa.RecordBatch.from_arrays(arrays, names=columns.names())


def _ordered_rows(
    part: Part, values: Iterable[PredictedRows], schema: pa.Schema
) -> Iterator[tuple[Ints, pa.RecordBatch]]:
    """Yield rows of `schema`, and their numbers in the part: (n,) int64, ascending.

    Raises:
        DataError: a number comes twice.
    """
    last = -1
    for value in sorted(values):
        predicted = unpack_rows([value.packed], schema)
        numbers = value.before + np.cumsum(predicted["step"].to_numpy(), dtype=np.int64)
        if numbers[0] <= last or (np.diff(numbers) <= 0).any():
            raise DataError(
                f"{part.source.path}: a row was predicted twice; nothing was published. This "
                "is a defect of the pipeline or its runner, please report it"
            )
        last = int(numbers[-1])
        yield numbers, predicted
