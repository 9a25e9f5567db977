"""A shard's rows, arrived whole: put in order, rid of duplicates, encoded and written."""

from __future__ import annotations

import gzip
import hashlib
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.io.filesystems import FileSystems

from pipeline.dataset.ambiguity import AmbiguousSequence, most_ambiguous_sequences
from pipeline.dataset.encoding import Encoded, encode
from pipeline.dataset.partition import Shard
from pipeline.dataset.tfrecord import frame_records
from pipeline.options import Options
from pipeline.rows.hashing import hash_sequences
from pipeline.rows.packing import unpack_rows
from pipeline.runtime.filesystems import create

# What is shuffled: `sequence` cut at max-length; `raw` whole, only in rows for parity.jsonl.
SHUFFLED = pa.schema([("sequence", pa.string()), ("label", pa.string()), ("raw", pa.string())])
_SLICE_BYTES = 4 << 20


class ParityRow(NamedTuple):
    """A row as it was read, and what was written for it."""

    sequence: str
    ids: list[int]
    length: int
    label: str
    label_id: int


@dataclass(frozen=True)
class ShardSummary:
    """What one shard holds, and where its file waits to be published.

    label_counts: by label id. length_counts, id_counts: position i counts length or id i.
    """

    shard: Shard
    staged_path: str
    records: int
    bytes: int
    sha256: str
    duplicates: int
    ambiguous: int
    most_ambiguous: tuple[AmbiguousSequence, ...]
    label_counts: tuple[int, ...]
    length_counts: tuple[int, ...]
    id_counts: tuple[int, ...]
    unknown_characters: Counter[str]
    parity: tuple[ParityRow, ...]


class OrderedRows(NamedTuple):
    """Rows in hash order, without duplicates; how many of those, and of ambiguous sequences."""

    rows: pa.RecordBatch
    duplicates: int
    ambiguous: int
    most_ambiguous: tuple[AmbiguousSequence, ...]


def order_rows(rows: pa.RecordBatch, seed: int) -> OrderedRows:
    """Sort by (hash, sequence, label, raw) and keep the first of equal (sequence, label).

    Only rows that share their hash with another need more than the hash, and few do.
    """
    hashes = hash_sequences(rows["sequence"], seed)
    order = np.argsort(hashes)
    ordered = hashes[order]
    same = ordered[1:] == ordered[:-1]
    tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
    if not len(tied):
        return OrderedRows(rows.take(pa.array(order)), 0, 0, ())
    ties = pa.table(
        [pa.array(ordered[tied]), *rows.take(pa.array(order[tied])).columns],
        names=["hash", *SHUFFLED.names],
    )
    settled = pc.sort_indices(
        ties, sort_keys=[(name, "ascending") for name in ties.column_names]
    ).to_numpy()
    order[tied] = order[tied][settled]
    ties = ties.take(pa.array(settled))
    sequence, label = (ties[name].combine_chunks() for name in ("sequence", "label"))
    same_sequence, same_label = _equals_previous(sequence), _equals_previous(label)
    duplicate = same_sequence & same_label
    sequence_number = np.cumsum(~same_sequence)
    labels_of_sequence = np.bincount(sequence_number[~duplicate])
    order = np.delete(order, tied[duplicate])
    return OrderedRows(
        rows.take(pa.array(order)),
        int(duplicate.sum()),
        int((labels_of_sequence > 1).sum()),
        most_ambiguous_sequences(sequence, label, ~same_sequence, ~duplicate),
    )


def _equals_previous(column: pa.StringArray) -> npt.NDArray[np.bool_]:
    equal = pc.equal(column[1:], column[:-1]).to_numpy(zero_copy_only=False)
    return np.concatenate([[False], equal])


def write_shard(
    shard: Shard, values: Iterable[bytes], transform_dir: str, staging: str, options: Options
) -> ShardSummary:
    """Write one shard under a temporary name in `staging`, a slice of its rows at a time."""
    ordered = order_rows(unpack_rows(values, SHUFFLED), options.seed)
    path = FileSystems.join(staging, f"shard-{uuid.uuid4().hex}")
    tally = _ShardCounts(options)
    with _ShardFile(path, options.compression) as file:
        for part in _slices(ordered.rows, options):
            encoded = encode(transform_dir, part["sequence"], part["label"])
            file.write(frame_records(*encoded, options.encoding, options.num_characters))
            tally.add(part, encoded)
    return ShardSummary(
        shard=shard,
        staged_path=path,
        records=len(ordered.rows),
        bytes=file.bytes,
        sha256=file.sha256.hexdigest(),
        duplicates=ordered.duplicates,
        ambiguous=ordered.ambiguous,
        most_ambiguous=ordered.most_ambiguous,
        label_counts=tuple(tally.labels.tolist()),
        length_counts=tuple(tally.lengths.tolist()),
        id_counts=tuple(tally.ids.tolist()),
        unknown_characters=tally.unknown_characters,
        parity=tuple(tally.parity),
    )


def _slices(rows: pa.RecordBatch, options: Options) -> Iterator[pa.RecordBatch]:
    position = 8 if options.encoding == "ids" else 8 + 4 * options.num_characters
    size = max(1, _SLICE_BYTES // (position * options.max_length))
    for start in range(0, len(rows), size):
        yield rows.slice(start, size)


class _ShardFile:
    """A file being written, with the SHA-256 and the size of the bytes that are in it."""

    def __init__(self, path: str, compression: str) -> None:
        self.sha256 = hashlib.sha256()
        self.bytes = 0
        self._file: BinaryIO = create(path)
        # No name and no time in the header: the same rows make the same bytes.
        self._gzip = (
            gzip.GzipFile("", "wb", fileobj=_Through(self._write), mtime=0)
            if compression == "gzip"
            else None
        )

    def __enter__(self) -> _ShardFile:
        return self

    def __exit__(self, *_: object) -> None:
        if self._gzip:
            self._gzip.close()
        self._file.close()

    def write(self, data: memoryview) -> None:
        if self._gzip:
            self._gzip.write(data)
        else:
            self._write(data)

    def _write(self, data: Any) -> int:
        self.sha256.update(data)
        self.bytes += len(data)
        return self._file.write(data)


class _Through:
    """The least of a file that GzipFile writes to."""

    def __init__(self, write: Any) -> None:
        self.write = write

    def flush(self) -> None: ...


class _ShardCounts:
    """Counts over the slices of a shard."""

    def __init__(self, options: Options) -> None:
        self._unknown = options.unknown_id
        self.labels: npt.NDArray[np.intp] = np.zeros(0, np.intp)
        self.lengths = np.zeros(options.max_length + 1, np.int64)
        self.ids = np.zeros(options.unknown_id + 1, np.int64)
        self.unknown_characters: Counter[str] = Counter()
        self.parity: list[ParityRow] = []

    def add(self, rows: pa.RecordBatch, encoded: Encoded) -> None:
        labels = np.bincount(encoded.label, minlength=len(self.labels))
        labels[: len(self.labels)] += self.labels
        self.labels = labels
        self.lengths += np.bincount(encoded.length, minlength=len(self.lengths))
        self.ids += np.bincount(encoded.ids.ravel(), minlength=len(self.ids))
        self._add_unknown(rows, encoded)
        chosen = np.flatnonzero(rows["raw"].is_valid().to_numpy(zero_copy_only=False))
        self.parity += [
            ParityRow(
                sequence=rows["raw"][i].as_py(),
                ids=encoded.ids[i].tolist(),
                length=int(encoded.length[i]),
                label=rows["label"][i].as_py(),
                label_id=int(encoded.label[i]),
            )
            for i in chosen.tolist()
        ]

    def _add_unknown(self, rows: pa.RecordBatch, encoded: Encoded) -> None:
        unknown = encoded.ids == self._unknown
        with_unknown = np.flatnonzero(unknown.any(axis=1))
        if not len(with_unknown):
            return
        text = "".join(rows["sequence"].take(pa.array(with_unknown)).to_pylist())
        inside = np.arange(unknown.shape[1]) < encoded.length[with_unknown][:, None]
        code_points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
        found, counts = np.unique(code_points[unknown[with_unknown][inside]], return_counts=True)
        for code_point, count in zip(found.tolist(), counts.tolist(), strict=True):
            self.unknown_characters[chr(code_point)] += count
