"""A shard from its rows to its file: put in order, rid of duplicates, encoded and written."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from apache_beam.io.filesystems import FileSystems

from pipeline.options import Options
from pipeline.rows.packing import unpack_rows
from pipeline.rows.spilling import Packed
from pipeline.runtime.hashed_file import HashedFile
from pipeline.shards.added_rows import add_to_base
from pipeline.shards.counts import ParityRow, ShardCounts
from pipeline.shards.index import write_index
from pipeline.shards.ordering import AmbiguousSequence, order_rows, shuffled_schema
from pipeline.shards.partition import PlannedShard
from pipeline.tfrecord.framing import frame_records
from pipeline.tfrecord.template import Weights
from pipeline.transform.saved_graph import encode

_SLICE_BYTES = 4 << 20


@dataclass(frozen=True)
class ShardSummary:
    """A staged shard: its file, and what its records hold.

    staged_index: the file of its index, see `charseq.manifest.index_path`.
    unknown_records: those without a character of the alphabet. duplicates: rows that were left out.
    ambiguous, most_ambiguous: sequences under several labels. label_counts: by label id.
    label_weights: sums of weights by label id, empty without --weight-column. length_counts,
    id_counts: position i counts length or id i. With a base: known_rows: how many of the duplicates
    it has. num_relabelled, relabelled: rows of sequences that it has under another label, and some
    of these, sequence and label.
    """

    shard: PlannedShard
    staged_path: str
    staged_index: str
    records: int
    bytes: int
    sha256: str
    duplicates: int
    ambiguous: int
    most_ambiguous: tuple[AmbiguousSequence, ...]
    label_counts: tuple[int, ...]
    label_weights: tuple[float, ...]
    length_counts: tuple[int, ...]
    id_counts: tuple[int, ...]
    unknown_characters: Counter[str]
    unknown_records: int
    parity: tuple[ParityRow, ...]
    known_rows: int = 0
    num_relabelled: int = 0
    relabelled: tuple[tuple[str, str], ...] = ()


def write_shard(
    shard: PlannedShard,
    values: Iterable[Packed],
    transform_dir: str,
    staging: str,
    options: Options,
    keeps_duplicates: bool = False,
) -> ShardSummary:
    """Write a shard under a temporary name, a slice of its rows at a time.

    Args:
        shard: the shard to write.
        values: all its rows, packed, of `shuffled_schema`.
        transform_dir: the graph that encodes them.
        staging: the directory to write to.
        options: the options of the preparation.
        keeps_duplicates: write each of several equal rows.
    """
    ordered = order_rows(
        unpack_rows(values, shuffled_schema(options)), options.seed, keeps_duplicates
    )
    added = add_to_base(ordered, shard.split, options)
    ordered = added.rows
    path = FileSystems.join(staging, f"shard-{uuid.uuid4().hex}")
    counts = ShardCounts(options)
    with HashedFile(path, options.compression) as file:
        for rows in _slices(ordered.rows, options):
            encoded = encode(transform_dir, rows["sequence"], rows["label"])
            weight = _weights(rows) if options.weight_column is not None else None
            file.write(frame_records(*encoded, options.encoding, options.num_characters, weight))
            counts.add(rows, encoded, weight)
    return ShardSummary(
        shard=shard,
        staged_path=path,
        staged_index=write_index(f"{path}-index", ordered, options.seed),
        records=len(ordered.rows),
        bytes=file.bytes,
        sha256=file.sha256.hexdigest(),
        duplicates=ordered.duplicates,
        ambiguous=ordered.ambiguous,
        most_ambiguous=ordered.most_ambiguous,
        label_counts=tuple(counts.labels.tolist()),
        label_weights=tuple(counts.weights.tolist()),
        length_counts=tuple(counts.lengths.tolist()),
        id_counts=tuple(counts.ids.tolist()),
        unknown_characters=counts.unknown_characters,
        unknown_records=counts.unknown_records,
        parity=tuple(counts.parity),
        known_rows=added.known_rows,
        num_relabelled=added.num_relabelled,
        relabelled=added.relabelled,
    )


def _weights(rows: pa.RecordBatch) -> Weights:
    """Return the weights as records hold them."""
    return rows["weight"].to_numpy().astype(np.float32)  # type: ignore[no-any-return]


def _slices(rows: pa.RecordBatch, options: Options) -> Iterator[pa.RecordBatch]:
    """Yield the rows in slices whose ids and records take about `_SLICE_BYTES`."""
    position = 8 if options.encoding == "ids" else 8 + 4 * options.num_characters
    size = max(1, _SLICE_BYTES // (position * options.num_positions))
    for start in range(0, len(rows), size):
        yield rows.slice(start, size)
