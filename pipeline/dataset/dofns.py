"""Beam's side of each step: the DoFns that wrap the functions and count what they did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
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

from pipeline.dataset.encoding import to_analyze
from pipeline.dataset.partition import last_train_hash
from pipeline.dataset.plan import Plan
from pipeline.dataset.shards import SHUFFLED, ShardSummary, write_shard
from pipeline.options import Options
from pipeline.rows.blocks import Block, parse_block, read_blocks
from pipeline.rows.counts import ReadCounts, count_labels
from pipeline.rows.hashing import hash_sequences
from pipeline.rows.packing import pack_rows, unpack_rows
from pipeline.rows.parts import Part
from pipeline.rows.rejected import RejectedRow, choose_examples
from pipeline.rows.rejected_files import tag_rejected
from pipeline.rows.validation import ValidatedRows, validate_rows
from pipeline.runtime import progress
from pipeline.runtime.filesystems import copy_tree
from pipeline.runtime.threads import ThreadedDoFn

COUNTS = "counts"
ROWS = "rows"
TRAIN = "train"

# TensorFlow takes some kilobytes a row for as long as it counts.
_ANALYZED_ROWS = 1 << 14

# `step`: how far the row's number is from the one before; compresses to nothing.
USABLE = pa.schema([("sequence", pa.string()), ("label", pa.string()), ("step", pa.int32())])


class UsableRows(NamedTuple):
    """Usable rows of a block of part `part`, packed; the first has number `first` in the part."""

    part: int
    first: int
    packed: bytes


class CheckedBlock(NamedTuple):
    """What became of the rows of a block; `train` is what TFT analyzes of them."""

    rows: UsableRows
    train: pa.RecordBatch
    rejected: list[RejectedRow]
    counts: ReadCounts


def cut(sequence: pa.StringArray, options: Options) -> pa.StringArray:
    """Each sequence's first `max_length` characters."""
    return pc.utf8_slice_codeunits(sequence, 0, options.max_length)


class ReadAndCheck(ThreadedDoFn):
    """Part to UsableRows.

    To TRAIN the batches that TFT analyzes, to COUNTS a ReadCounts a block, to REJECTED the rows
    that are not fit.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._read = Metrics.counter("rows", "read")
        self._last_of_train = last_train_hash(options.split_fractions)
        self._labels: npt.NDArray[np.uint64] = np.zeros(0, np.uint64)

    def process(self, part: Part) -> Iterator[UsableRows | TaggedOutput]:
        """See the class."""
        for block in read_blocks(part):
            yield from self.submit(self._check, block)
        progress.advance(bytes_read=part.bytes)

    def _check(self, block: Block) -> CheckedBlock:
        part = block.part.index
        parsed = parse_block(block)
        checked = validate_rows(parsed, self._options.row_rules)
        sequence = cut(checked.sequence, self._options)
        train = hash_sequences(sequence, self._options.seed) <= self._last_of_train
        train_labels = checked.label.filter(train)
        rejected = [RejectedRow(part, bad.row, bad.reason, bad.raw) for bad in checked.bad]
        return CheckedBlock(
            _pack_usable(block, checked),
            to_analyze(sequence.filter(train), train_labels),
            rejected,
            ReadCounts(
                usable=len(checked.row),
                train=int(train.sum()),
                truncated=checked.truncated,
                rejected=Counter(row.reason for row in rejected),
                examples=choose_examples(rejected),
                rows_in_part=Counter({part: parsed.rows}),
                lengths=checked.lengths,
                train_labels=count_labels(train_labels),
            ),
        )

    def emit(self, block: CheckedBlock) -> Iterator[UsableRows | TaggedOutput]:
        """See the class."""
        self._read.inc(block.counts.read)
        progress.advance(read=block.counts.read, usable=block.counts.usable)
        yield TaggedOutput(COUNTS, block.counts)
        yield from tag_rejected(block.rejected)
        if self._few_labels(block.counts):
            for start in range(0, block.counts.train, _ANALYZED_ROWS):
                yield TaggedOutput(TRAIN, block.train.slice(start, _ANALYZED_ROWS))
        if block.counts.usable:
            yield block.rows

    def _few_labels(self, counts: ReadCounts) -> bool:
        """Whether the labels seen here so far, with those of `counts`, are not yet too many.

        Where they are, the plan will refuse the input, and TFT need not learn them first.
        """
        if len(self._labels) <= self._options.max_labels:
            self._labels = np.union1d(self._labels, counts.train_labels)
        return len(self._labels) <= self._options.max_labels


def _pack_usable(block: Block, checked: ValidatedRows) -> UsableRows:
    step = np.diff(checked.row, prepend=block.first - 1).astype(np.int32)
    rows = pa.RecordBatch.from_arrays([checked.sequence, checked.label, step], schema=USABLE)
    return UsableRows(block.part.index, block.first, pack_rows(rows))


def save_transform(
    analyzed: tuple[beam.PCollection, BeamDatasetMetadata], temp_dir: str, directory: str
) -> beam.PCollection:
    """Write what TFT learned as TFTransformOutput reads it; an element for each part written.

    tft_beam.WriteTransformFn moves its files at the end, and fails where a runner repeats that.
    TensorFlow writes to `temp_dir`; to `directory` Beam copies.
    """
    graph, metadata = analyzed
    graph_dir = FileSystems.join(directory, TFTransformOutput.TRANSFORM_FN_DIR)
    metadata_dir = FileSystems.join(directory, TFTransformOutput.TRANSFORMED_METADATA_DIR)
    return (
        graph | "SaveGraph" >> beam.Map(copy_tree, graph_dir),
        metadata
        | "WriteMetadata"
        >> tft_beam.WriteMetadata(
            FileSystems.join(temp_dir, "metadata"),
            graph.pipeline,
            write_to_unique_subdirectory=True,
        )
        | "SaveMetadata" >> beam.Map(copy_tree, metadata_dir),
    ) | "Saved" >> beam.Flatten()


class PartitionedRows(NamedTuple):
    """What became of n usable rows: (number of the shard, packed rows), and those left out.

    The packed rows have schema SHUFFLED.
    """

    n: int
    of_shards: list[tuple[int, bytes]]
    rejected: list[RejectedRow]


class PartitionRows(ThreadedDoFn):
    """UsableRows to (number of the shard, packed rows); to REJECTED those of unseen labels."""

    def __init__(self, options: Options) -> None:
        self._options = options

    def process(self, rows: UsableRows, plan: Plan) -> Iterator[tuple[int, bytes] | TaggedOutput]:
        """See the class."""
        yield from self.submit(self._partition, rows, plan)

    def _partition(self, packed: UsableRows, plan: Plan) -> PartitionedRows:
        rows = unpack_rows([packed.packed], USABLE)
        known = pc.is_in(rows["label"], value_set=pa.array(plan.vocabulary.labels))
        keep = known.to_numpy(zero_copy_only=False)
        sequence = cut(rows["sequence"], self._options)
        hashes = hash_sequences(sequence, self._options.seed)
        chosen = (hashes & np.uint64(0xFFFFFFFF)) < np.uint64(plan.parity_limit)
        raw = pc.if_else(pa.array(chosen), rows["sequence"], pa.scalar(None, pa.string()))
        place = plan.partition.of(hashes)
        order = np.argsort(place, kind="stable")
        order = order[keep[order]]
        ordered = pa.RecordBatch.from_arrays([sequence, rows["label"], raw], schema=SHUFFLED).take(
            pa.array(order)
        )
        edges = np.searchsorted(place[order], np.arange(len(plan.partition.shards) + 1))
        of_shards = [
            (shard, pack_rows(ordered.slice(edges[shard], edges[shard + 1] - edges[shard])))
            for shard in np.flatnonzero(np.diff(edges)).tolist()
        ]
        rejected = [] if keep.all() else _unseen(packed, rows, pc.invert(known))
        return PartitionedRows(len(rows), of_shards, rejected)

    def emit(self, rows: PartitionedRows) -> Iterator[tuple[int, bytes] | TaggedOutput]:
        """See the class."""
        progress.advance(shuffled=rows.n)
        yield from tag_rejected(rows.rejected)
        yield from rows.of_shards


def _unseen(packed: UsableRows, rows: pa.RecordBatch, unseen: pa.BooleanArray) -> list[RejectedRow]:
    numbers = packed.first - 1 + np.cumsum(rows["step"].to_numpy(), dtype=np.int64)
    texts = zip(
        numbers[unseen.to_numpy(zero_copy_only=False)].tolist(),
        rows["sequence"].filter(unseen).to_pylist(),
        rows["label"].filter(unseen).to_pylist(),
        strict=True,
    )
    return [
        RejectedRow(packed.part, row, "unseen_label", f"{sequence},{label}")
        for row, sequence, label in texts
    ]


class WriteShard(ThreadedDoFn):
    """(Number of a shard, its packed rows) to the summary of the file written."""

    def __init__(self, staging: str, transform_dir: str, options: Options) -> None:
        self._staging, self._transform_dir = staging, transform_dir
        self._options = options
        self._written = Metrics.counter("rows", "written")

    def process(self, group: tuple[int, Iterable[bytes]], plan: Plan) -> Iterator[ShardSummary]:
        """See the class."""
        number, values = group
        shard = plan.partition.shards[number]
        yield from self.submit(
            write_shard, shard, values, self._transform_dir, self._staging, self._options
        )

    def emit(self, summary: ShardSummary) -> Iterator[ShardSummary]:
        """See the class."""
        self._written.inc(summary.records)
        progress.advance(written=summary.records + summary.duplicates)
        yield summary
