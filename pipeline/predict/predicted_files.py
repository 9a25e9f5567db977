"""The predictions of a part of the input, and the file of JSON lines that they become."""

from __future__ import annotations

import hashlib
import json
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
from pipeline.rows.packing import unpack_rows
from pipeline.rows.parts import Part
from pipeline.runtime.filesystems import create

# `step`: the difference to the number of the row before; compresses to nothing.
PREDICTED = pa.schema([("label", pa.string()), ("probability", pa.float32()), ("step", pa.int32())])

Ints = npt.NDArray[np.int64]


class PredictedRows(NamedTuple):
    """Some rows of a part with their predictions, packed, of schema PREDICTED.

    before: a number in the part, less than that of the first row, from which the first step counts.
    """

    before: int
    packed: bytes


@dataclass(frozen=True)
class PredictedFile:
    """The staged file of the predictions of a part; index: of the part."""

    index: int
    staged_path: str
    rows: int
    bytes: int
    sha256: str

    def file_name(self, num_files: int) -> str:
        """Return its path in the output directory, as one of `num_files`."""
        return f"predictions/part-{self.index:05d}-of-{num_files:05d}.jsonl"


def write_predictions(
    part: Part, values: Iterable[PredictedRows], first_row: int, staging: str
) -> PredictedFile:
    """Write the predictions of a part, in the order of its rows, under a temporary name.

    Args:
        part: the part of the input.
        values: all its predictions, in any order.
        first_row: the number in its file of the part's first row.
        staging: the directory to write to.

    Raises:
        DataError: a row has more than one prediction.
    """
    path = FileSystems.join(staging, f"predicted-{uuid.uuid4().hex}")
    sha256, num_rows, size = hashlib.sha256(), 0, 0
    with create(path) as file:
        for numbers, predicted in _ordered_rows(part, values):
            data = to_lines(redact(part.source.path), first_row + numbers, predicted)
            file.write(data)
            sha256.update(data)
            num_rows, size = num_rows + len(numbers), size + len(data)
    return PredictedFile(part.index, path, num_rows, size, sha256.hexdigest())


def _ordered_rows(
    part: Part, values: Iterable[PredictedRows]
) -> Iterator[tuple[Ints, pa.RecordBatch]]:
    """Yield rows of schema PREDICTED, and their numbers in the part: (n,) int64, ascending.

    Raises:
        DataError: a number comes twice.
    """
    last = -1
    for value in sorted(values):
        predicted = unpack_rows([value.packed], PREDICTED)
        numbers = value.before + np.cumsum(predicted["step"].to_numpy(), dtype=np.int64)
        if numbers[0] <= last or (np.diff(numbers) <= 0).any():
            raise DataError(
                f"{part.source.path}: a row was predicted twice; nothing was published. This "
                "is a defect of the pipeline or its runner, please report it"
            )
        last = int(numbers[-1])
        yield numbers, predicted


def to_lines(source: str, row: Ints, predicted: pa.RecordBatch) -> bytes:
    """Return a line of JSON for each of n rows.

    Args:
        source: the path of their file.
        row: (n,) int64, their numbers in the file.
        predicted: n rows of schema PREDICTED.
    """
    labels = predicted["label"].dictionary_encode()
    quoted = pa.array([_quote(label) for label in labels.dictionary.to_pylist()], pa.string())
    lines = pc.binary_join_element_wise(
        f'{{"source": {_quote(source)}, "row": ',
        pa.array(row).cast(pa.string()),
        ', "label": ',
        quoted.take(labels.indices),
        ', "probability": ',
        predicted["probability"].cast(pa.string()),
        "}\n",
        "",
    )
    # Arrow holds the lines one after the other.
    offsets, data = lines.buffers()[1:]
    ends = np.frombuffer(offsets, np.int32)[[lines.offset, lines.offset + len(lines)]]
    return data.slice(ends[0], ends[1] - ends[0]).to_pybytes()  # type: ignore[no-any-return]


def _quote(text: str) -> str:
    return encode_text(json.dumps(text, ensure_ascii=False)).decode("utf-8")
