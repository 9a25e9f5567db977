"""The DoFns of a preparation: they run its steps in threads, emit the results and count them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from apache_beam.metrics import Metrics
from apache_beam.pvalue import TaggedOutput

from pipeline.dataset.assigning import AssignedRows, assign_rows
from pipeline.dataset.checking import CheckedBlock, UsableRows, check_block
from pipeline.dataset.plan import Plan
from pipeline.dataset.shuffling import PartitionedRows, partition_rows
from pipeline.options import Options
from pipeline.rows.blocks import read_blocks
from pipeline.rows.counts import ReadCounts
from pipeline.rows.parts import Part
from pipeline.rows.rejected_files import tag_rejected
from pipeline.rows.spilling import Packed, Spill
from pipeline.runtime import progress
from pipeline.runtime.threads import ThreadedDoFn
from pipeline.shards.write import ShardSummary, write_shard
from pipeline.split.plan import SplitPlan

# Tags of outputs.
COUNTS = "counts"
FACTS = "facts"
ROWS = "rows"
TRAIN = "train"

# TensorFlow takes some kilobytes a row for as long as it counts, and more for long sequences.
_ANALYZED_ROWS = 1 << 14
_ANALYZED_POSITIONS = 1 << 24


class ReadAndCheck(ThreadedDoFn):
    """Part to UsableRows.

    To TRAIN batches for TFT to analyze, or to FACTS what their splits depend on; to COUNTS a
    ReadCounts per block, to REJECTED the rows that are not usable. spill: where UsableRows and
    facts are kept.
    """

    def __init__(self, options: Options, spill: Spill) -> None:
        self._options, self._spill = options, spill
        self._read = Metrics.counter("rows", "read")
        self._train = TrainBatches(options)

    def process(self, part: Part) -> Iterator[UsableRows | TaggedOutput]:
        """See the class."""
        for block in read_blocks(part):
            yield from self.submit(check_block, block, self._options)
        progress.advance(bytes_read=part.bytes)

    def emit(self, block: CheckedBlock) -> Iterator[UsableRows | TaggedOutput]:
        """See the class."""
        self._read.inc(block.counts.read)
        progress.advance(read=block.counts.read, usable=block.counts.usable)
        yield TaggedOutput(COUNTS, block.counts)
        yield from tag_rejected(block.rejected)
        if block.train is not None:
            for batch in self._train.cut(block.train, block.counts):
                yield TaggedOutput(TRAIN, batch)
        for facts in self._spill.put_all(block.facts):
            yield TaggedOutput(FACTS, facts)
        if block.counts.usable:
            yield UsableRows(block.part, block.first, self._spill.put(block.packed))


class AssignRows(ThreadedDoFn):
    """UsableRows whose split depends on others to batches for TFT; to COUNTS their ReadCounts."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._train = TrainBatches(options)

    def process(
        self, rows: UsableRows, splits: SplitPlan
    ) -> Iterator[pa.RecordBatch | TaggedOutput]:
        """See the class."""
        yield from self.submit(assign_rows, rows, splits, self._options)

    def emit(self, rows: AssignedRows) -> Iterator[pa.RecordBatch | TaggedOutput]:
        """See the class."""
        yield TaggedOutput(COUNTS, rows.counts)
        yield from self._train.cut(rows.train, rows.counts)


class TrainBatches:
    """Train rows cut into batches for TFT, as long as their labels are not too many."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._labels: npt.NDArray[np.uint64] = np.zeros(0, np.uint64)

    def cut(self, train: pa.RecordBatch, counts: ReadCounts) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a block in batches; counts: of the block."""
        if self._is_within_max_labels(counts):
            rows = max(1, min(_ANALYZED_ROWS, _ANALYZED_POSITIONS // self._options.num_positions))
            for start in range(0, train.num_rows, rows):
                yield train.slice(start, rows)

    def _is_within_max_labels(self, counts: ReadCounts) -> bool:
        """Return whether the labels up to here, those of `counts` included, are not too many.

        If they are, the plan will refuse the input, and TFT need not learn them first. Which labels
        are rare is not known here: `without_rare` looks again.
        """
        if self._options.min_label_rows > 1:
            return True
        if len(self._labels) <= self._options.max_labels:
            labels = counts.labels.hash[counts.labels.is_in_train]
            self._labels = np.union1d(self._labels, labels)
        return len(self._labels) <= self._options.max_labels


class PartitionRows(ThreadedDoFn):
    """UsableRows to (number of the shard, packed rows); to REJECTED those of other labels.

    spill: where the packed rows are kept.
    """

    def __init__(self, options: Options, spill: Spill) -> None:
        self._options, self._spill = options, spill

    def process(self, rows: UsableRows, plan: Plan) -> Iterator[tuple[int, Packed] | TaggedOutput]:
        """See the class."""
        yield from self.submit(partition_rows, rows, plan, self._options)

    def emit(self, rows: PartitionedRows) -> Iterator[tuple[int, Packed] | TaggedOutput]:
        """See the class."""
        progress.advance(shuffled=rows.num_rows)
        yield from tag_rejected(rows.rejected)
        yield from self._spill.put_all(rows.by_shard)


class WriteShard(ThreadedDoFn):
    """(Number of a shard, its packed rows) to the ShardSummary of the file written."""

    def __init__(self, staging: str, transform_dir: str) -> None:
        self._staging, self._transform_dir = staging, transform_dir
        self._written = Metrics.counter("rows", "written")

    def process(self, group: tuple[int, Iterable[Packed]], plan: Plan) -> Iterator[ShardSummary]:
        """See the class."""
        number, values = group
        shard = plan.partition.shards[number]
        yield from self.submit(
            write_shard,
            shard,
            values,
            self._transform_dir,
            self._staging,
            plan.options,
            plan.keeps_duplicates(shard.split),
        )

    def emit(self, summary: ShardSummary) -> Iterator[ShardSummary]:
        """See the class."""
        self._written.inc(summary.records)
        progress.advance(written=summary.records + summary.duplicates)
        yield summary
