"""Beam's side of each step: the DoFns that wrap the functions and count what they did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow_transform.beam as tft_beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.metrics import Metrics
from apache_beam.pvalue import TaggedOutput
from tensorflow_transform import TFTransformOutput
from tensorflow_transform.beam.tft_beam_io.beam_metadata_io import BeamDatasetMetadata

from pipeline import progress
from pipeline.checks import CheckedRows, check_rows
from pipeline.counts import ReadCounts
from pipeline.encoding import to_analyze
from pipeline.options import Options
from pipeline.partition import hash_sequences, last_train_hash
from pipeline.plan import Plan
from pipeline.publish import copy_tree
from pipeline.reading import read_part
from pipeline.rejects import PARTS_PER_FILE, Rejected, choose_examples
from pipeline.shards import SHUFFLED, ShardSummary, pack_rows, write_shard
from pipeline.sources import Part

REJECTED = "rejected"
COUNTS = "counts"
ROWS = "rows"


class HashedRows(NamedTuple):
    """Usable rows of one part, (n,): whole text, number in the part, hash of the cut sequence."""

    part: int
    sequence: pa.StringArray
    label: pa.StringArray
    row: npt.NDArray[np.int64]
    hash: npt.NDArray[np.uint64]


def cut(sequence: pa.StringArray, options: Options) -> pa.StringArray:
    """Each sequence's first `max_length` characters."""
    return pc.utf8_slice_codeunits(sequence, 0, options.max_length)


class ReadAndCheck(beam.DoFn):
    """Part to HashedRows; to COUNTS a ReadCounts a batch; to REJECTED the rows that are not fit."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._read = Metrics.counter("rows", "read")
        self._last_of_train = last_train_hash(options.split_fractions)

    def process(self, part: Part) -> Iterator[HashedRows | TaggedOutput]:
        """See the class."""
        for parsed in read_part(part):
            checked = check_rows(parsed, self._options)
            rows = HashedRows(
                part.index,
                checked.sequence,
                checked.label,
                checked.row,
                hash_sequences(cut(checked.sequence, self._options), self._options.seed),
            )
            rejected = [Rejected(part.index, bad.row, bad.reason, bad.raw) for bad in checked.bad]
            counts = self._count(parsed.rows, rows, checked, rejected)
            self._read.inc(counts.read)
            progress.advance("read", counts.read)
            yield TaggedOutput(COUNTS, counts)
            yield from _tag_rejected(rejected)
            if len(rows.row):
                yield rows

    def _count(
        self, row_numbers: int, rows: HashedRows, checked: CheckedRows, rejected: list[Rejected]
    ) -> ReadCounts:
        return ReadCounts(
            usable=len(rows.row),
            train=int((rows.hash <= self._last_of_train).sum()),
            truncated=checked.truncated,
            rejected=Counter(row.reason for row in rejected),
            examples=choose_examples(rejected),
            rows_in_part=Counter({rows.part: row_numbers}),
        )


def _tag_rejected(rejected: Sequence[Rejected]) -> Iterator[TaggedOutput]:
    """Rejected rows, keyed by the file they will be written to."""
    for row in rejected:
        Metrics.counter("rejected", row.reason).inc()
        yield TaggedOutput(REJECTED, (row.part // PARTS_PER_FILE, row))


class ToAnalyze(beam.DoFn):
    """HashedRows to the batch of its train rows that TFT analyzes."""

    def __init__(self, options: Options) -> None:
        self._last_of_train = last_train_hash(options.split_fractions)

    def process(self, rows: HashedRows) -> Iterator[pa.RecordBatch]:
        """See the class."""
        train = pa.array(rows.hash <= self._last_of_train)
        batch = to_analyze(rows.sequence.filter(train), rows.label.filter(train))
        if len(batch):
            yield batch


def save_transform(
    analyzed: tuple[beam.PCollection, BeamDatasetMetadata], directory: str
) -> beam.PCollection:
    """Write what TFT learned as TFTransformOutput reads it; an element for each part written.

    tft_beam.WriteTransformFn moves its files at the end, and fails where a runner repeats that.
    """
    graph, metadata = analyzed
    graph_dir = FileSystems.join(directory, TFTransformOutput.TRANSFORM_FN_DIR)
    metadata_dir = FileSystems.join(directory, TFTransformOutput.TRANSFORMED_METADATA_DIR)
    return (
        graph | "SaveGraph" >> beam.Map(copy_tree, graph_dir),
        metadata | "SaveMetadata" >> tft_beam.WriteMetadata(metadata_dir, graph.pipeline),
    ) | "Saved" >> beam.Flatten()


class PartitionRows(beam.DoFn):
    """HashedRows to (number of the shard, packed rows); to REJECTED those of unseen labels."""

    def __init__(self, options: Options) -> None:
        self._options = options

    def process(self, rows: HashedRows, plan: Plan) -> Iterator[tuple[int, bytes] | TaggedOutput]:
        """See the class."""
        known = pc.is_in(rows.label, value_set=pa.array(plan.vocabulary.labels))
        keep = known.to_numpy(zero_copy_only=False)
        if not keep.all():
            yield from _tag_rejected(_unseen(rows, pc.invert(known)))
        place = plan.partition.of(rows.hash)
        order = np.argsort(place, kind="stable")
        order = order[keep[order]]
        batch = self._to_shuffle(rows, plan).take(pa.array(order))
        edges = np.searchsorted(place[order], np.arange(len(plan.partition.shards) + 1))
        for shard in np.flatnonzero(np.diff(edges)).tolist():
            start, end = edges[shard], edges[shard + 1]
            yield shard, pack_rows(batch.slice(start, end - start))

    def _to_shuffle(self, rows: HashedRows, plan: Plan) -> pa.RecordBatch:
        chosen = (rows.hash & np.uint64(0xFFFFFFFF)) < np.uint64(plan.parity_limit)
        raw = pc.if_else(pa.array(chosen), rows.sequence, pa.scalar(None, pa.string()))
        columns = [cut(rows.sequence, self._options), rows.label, raw]
        return pa.RecordBatch.from_arrays(columns, schema=SHUFFLED)


def _unseen(rows: HashedRows, unseen: pa.BooleanArray) -> list[Rejected]:
    texts = zip(
        rows.row[unseen.to_numpy(zero_copy_only=False)].tolist(),
        rows.sequence.filter(unseen).to_pylist(),
        rows.label.filter(unseen).to_pylist(),
        strict=True,
    )
    return [
        Rejected(rows.part, row, "unseen_label", f"{sequence},{label}")
        for row, sequence, label in texts
    ]


class WriteShard(beam.DoFn):
    """(Number of a shard, its packed rows) to the summary of the file written."""

    def __init__(self, staging: str, transform_dir: str, options: Options) -> None:
        self._staging, self._transform_dir = staging, transform_dir
        self._options = options
        self._written = Metrics.counter("rows", "written")

    def process(self, group: tuple[int, Iterable[bytes]], plan: Plan) -> Iterator[ShardSummary]:
        """See the class."""
        number, values = group
        shard = plan.partition.shards[number]
        summary = write_shard(shard, values, self._transform_dir, self._staging, self._options)
        self._written.inc(summary.records)
        progress.advance("written", summary.records)
        yield summary
