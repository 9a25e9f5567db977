"""The directory of predictions: rows as JSON lines, `predictions.json`, all moved into place."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.io.filesystems import FileSystems

from charseq.errors import DataError
from charseq.files import FileDigest
from pipeline.predict.classifier import Model
from pipeline.predict.options import PredictOptions
from pipeline.rows.counts import ReadCounts
from pipeline.rows.packing import unpack_rows
from pipeline.rows.parts import Part
from pipeline.rows.rejected_files import RejectedFile
from pipeline.rows.sources import Source, describe_inputs
from pipeline.runtime.filesystems import create, digest_file, write_text
from pipeline.runtime.staging import PREDICTIONS, StagedFile, publish_staged, staging_dir

FORMAT_VERSION = 1
_LIBRARIES = ("apache-beam", "tensorflow", "pyarrow", "numpy")

# `step`: how far the row's number is from the one before; compresses to nothing.
PREDICTED = pa.schema([("label", pa.string()), ("probability", pa.float32()), ("step", pa.int32())])


class PredictedRows(NamedTuple):
    """Some rows of a part, packed as PREDICTED; the first step is from `before`.

    before: a number in the part, less than that of the first row.
    """

    before: int
    packed: bytes


@dataclass(frozen=True)
class PredictedFile:
    """The file of a part's predictions that waits to be published. index: of the part."""

    index: int
    staged_path: str
    rows: int
    bytes: int
    sha256: str

    def file_name(self, of: int) -> str:
        """Its path in the output directory; `of`: how many there are."""
        return f"predictions/part-{self.index:05d}-of-{of:05d}.jsonl"


def write_predictions(
    part: Part, values: Iterable[PredictedRows], first: int, staging: str
) -> PredictedFile:
    """Write the predictions of a part, in the order of its rows, under a temporary name.

    first: the number in its file of the part's first row.

    Raises:
        DataError: a row has more than one prediction.
    """
    path = FileSystems.join(staging, f"predicted-{uuid.uuid4().hex}")
    sha256, rows, size, last = hashlib.sha256(), 0, 0, -1
    with create(path) as file:
        for value in sorted(values):
            predicted = unpack_rows([value.packed], PREDICTED)
            numbers = value.before + np.cumsum(predicted["step"].to_numpy(), dtype=np.int64)
            if numbers[0] <= last or (np.diff(numbers) <= 0).any():
                raise DataError(
                    f"{part.source.path}: a row was predicted twice; nothing was published. This "
                    "is a defect of the pipeline or its runner, please report it"
                )
            last = int(numbers[-1])
            data = to_lines(part.source.path, first + numbers, predicted)
            file.write(data)
            sha256.update(data)
            rows, size = rows + len(numbers), size + len(data)
    return PredictedFile(part.index, path, rows, size, sha256.hexdigest())


def to_lines(source: str, row: Any, predicted: pa.RecordBatch) -> bytes:
    """A line of JSON for each of n rows, whose numbers in their file are `row` (n,) int64."""
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
    # Arrow holds them one after the other.
    offsets, data = lines.buffers()[1:]
    ends = np.frombuffer(offsets, np.int32)[[lines.offset, lines.offset + len(lines)]]
    return data.slice(ends[0], ends[1] - ends[0]).to_pybytes()  # type: ignore[no-any-return]


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def publish_predictions(
    options: PredictOptions,
    model: Model,
    sources: Sequence[Source],
    counts: ReadCounts,
    files: Sequence[PredictedFile],
    rejected_files: Sequence[RejectedFile],
) -> None:
    """Move everything into place, `predictions.json` last.

    A runner may call this again after it was cut short anywhere.

    Raises:
        DataError: the counts do not add up.
    """
    files = sorted(files, key=lambda file: file.index)
    rejected_files = sorted(rejected_files, key=lambda file: file.index)

    def stage() -> list[StagedFile]:
        rejected = [digest_file(file.staged_path, file.file_name) for file in rejected_files]
        summary = summarize(options, model, sources, counts, files, rejected_files, rejected)
        path = FileSystems.join(staging_dir(options.output), PREDICTIONS.manifest)
        text = json.dumps(summary, indent=1, ensure_ascii=False) + "\n"
        return [
            *(StagedFile(file.staged_path, file.file_name(len(files))) for file in files),
            *(StagedFile(file.staged_path, file.file_name) for file in rejected_files),
            StagedFile(write_text(path, text), PREDICTIONS.manifest),
        ]

    publish_staged(PREDICTIONS, options.output, stage)


def summarize(
    options: PredictOptions,
    model: Model,
    sources: Sequence[Source],
    counts: ReadCounts,
    files: Sequence[PredictedFile],
    rejected_files: Sequence[RejectedFile],
    rejected: Sequence[FileDigest],
) -> dict[str, Any]:
    """The content of `predictions.json`.

    Raises:
        DataError: the rows predicted and rejected are not the rows read.
    """
    by_reason: Counter[str] = sum((file.by_reason for file in rejected_files), Counter())
    predicted = sum(file.rows for file in files)
    if predicted + by_reason.total() != counts.read:
        raise DataError(
            f"{counts.read} rows were read, but {predicted} predicted + {by_reason.total()} "
            f"rejected make {predicted + by_reason.total()}; nothing was published. This is a "
            "defect of the pipeline or its runner, please report it"
        )
    return {
        "format_version": FORMAT_VERSION,
        "counts": {
            "read": counts.read,
            "predicted": predicted,
            "rejected": by_reason.total(),
            "rejected_by_reason": dict(sorted(by_reason.items())),
            "truncated": counts.truncated,
        },
        "model": {
            "path": model.directory,
            "dataset_fingerprint": model.fingerprint,
            "max_length": model.max_length,
            "files": [asdict(file) for file in model.files],
        },
        "inputs": describe_inputs(sources),
        "options": {**asdict(options), "input": list(options.input)},
        "versions": {name: version(name) for name in _LIBRARIES},
        "files": [
            *(
                {"path": file.file_name(len(files)), "rows": file.rows, "bytes": file.bytes,
                 "sha256": file.sha256}
                for file in files
            ),
            *(
                {"path": file.path, "rows": of.by_reason.total(), "bytes": file.bytes,
                 "sha256": file.sha256}
                for file, of in zip(rejected, rejected_files, strict=True)
            ),
        ],
    }  # fmt: skip


def read_summary(output: str) -> dict[str, Any]:
    """The content of `predictions.json`."""
    with FileSystems.open(FileSystems.join(output, PREDICTIONS.manifest)) as file:
        return json.load(file)  # type: ignore[no-any-return]
