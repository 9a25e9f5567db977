"""One batch prediction from start to end, and its whole Beam graph.

read ─▶ check ─▶ classify ─▶ GroupByKey(part) ─▶ write the part's predictions ─▶ publish
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.metrics import Metrics
from apache_beam.pvalue import AsList, AsSingleton, TaggedOutput

from pipeline.options import RowRules
from pipeline.predict.classifier import Model, load_classifier, read_model
from pipeline.predict.options import PredictOptions
from pipeline.predict.output import (
    PREDICTED,
    PredictedFile,
    PredictedRows,
    publish_predictions,
    read_summary,
    write_predictions,
)
from pipeline.rows.blocks import Block, parse_block, read_blocks
from pipeline.rows.counts import ReadCounts, add_counts
from pipeline.rows.packing import pack_rows
from pipeline.rows.parts import Part, cut_into_parts
from pipeline.rows.rejected import RejectedRow, describe_rejected, first_rows
from pipeline.rows.rejected_files import REJECTED, tag_rejected, write_all_rejected
from pipeline.rows.sources import Source, find_nonempty_sources
from pipeline.rows.validation import ValidatedRows, validate_rows
from pipeline.runtime import progress
from pipeline.runtime.job import Job, new_job, report_job
from pipeline.runtime.staging import PREDICTIONS, output_lock, prepare_output, staging_dir
from pipeline.runtime.threads import ThreadedDoFn

_COUNTS = "counts"
_PREDICTED = "predicted"
# Enough that batches of one length can be cut from them, few enough for several threads at once.
_SLICE_ROWS = 1 << 13


def predict(options: PredictOptions, beam_flags: Sequence[str]) -> None:
    """Predict, and print what came out.

    Raises:
        UsageError: a flag is neither ours nor Beam's, is not what the runner needs, or names a file
            system nobody knows.
        DataError: the model, the input or the output directory cannot be used.
    """
    started = time.monotonic()
    job = new_job(beam_flags, (options.model, *options.input, options.output))
    model = read_model(options.model)
    # A model that cannot be used is told before any row is read.
    load_classifier(model)
    sources = find_nonempty_sources(options.input_options)
    if job.is_dry_run:
        _run(job, sources, model, options)
        print(f"dry run: the job for {job.runner} was built, and nothing else was done")
        return
    with output_lock(options.output):
        prepare_output(PREDICTIONS, options.output, options.overwrite)
        _run(job, sources, model, options)
        counts = read_summary(options.output)["counts"]
    print(
        f"{counts['read']:,} rows read in {time.monotonic() - started:.1f} s: predicted "
        f"{counts['predicted']:,}, {describe_rejected(counts['rejected_by_reason'])}, "
        f"{counts['truncated']:,} cut at {model.max_length}\n"
        f"{options.output}: labelled by the model of dataset {model.fingerprint[:16]}"
    )


def _run(job: Job, sources: Sequence[Source], model: Model, options: PredictOptions) -> None:
    with report_job(
        job,
        "predicting",
        [source.bytes for source in sources],
        options.output,
        first_stage="predicting",
    ):
        build(job.pipeline, sources, model, options)
        job.pipeline.run().wait_until_finish()


def build(
    pipeline: beam.Pipeline, sources: Sequence[Source], model: Model, options: PredictOptions
) -> beam.PCollection:
    """Add the prediction of `sources` to `pipeline`.

    The directory `staging_dir(options.output)` must exist.
    """
    parts = cut_into_parts(sources)
    staging = staging_dir(options.output)
    read = (
        pipeline
        | "Parts" >> beam.Create(parts)
        | "Spread" >> beam.Reshuffle()
        | "Predict" >> beam.ParDo(Predict(model)).with_outputs(_COUNTS, REJECTED, main=_PREDICTED)
    )
    counts = read[_COUNTS] | "AddCounts" >> beam.CombineGlobally(add_counts)
    first = counts | "FirstRows" >> beam.Map(lambda added: first_rows(parts, added.rows_in_part))
    every_part = pipeline | "EveryPart" >> beam.Create([(part.index, None) for part in parts])
    files = (
        (read[_PREDICTED], every_part)
        | "Rows" >> beam.Flatten()
        | "GroupByPart" >> beam.GroupByKey()
        | "WritePart" >> beam.ParDo(WritePart(parts, staging), AsSingleton(first))
    )
    rejected_files = write_all_rejected(read[REJECTED], counts, parts, staging)
    return (
        pipeline
        | "Once" >> beam.Create([None])
        | "Publish"
        >> beam.Map(
            lambda _, *found: publish_predictions(options, model, sources, *found),
            AsSingleton(counts),
            AsList(files),
            AsList(rejected_files),
        )
    )


class Slice(NamedTuple):
    """Usable rows of a part with their predictions."""

    part: int
    n: int
    rows: PredictedRows


class Predict(ThreadedDoFn):
    """Part to (its index, PredictedRows).

    To _COUNTS a ReadCounts a block, to REJECTED the rows that are not fit.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._rules = RowRules(model.max_length, "truncate", label_column=None)
        self._read = Metrics.counter("rows", "read")
        self._predicted = Metrics.counter("rows", "predicted")

    def setup(self) -> None:
        """See the class."""
        super().setup()
        self._classifier = load_classifier(self._model)

    def process(self, part: Part) -> Iterator[tuple[int, PredictedRows] | TaggedOutput]:
        """See the class."""
        for block in read_blocks(part):
            parsed = parse_block(block)
            checked = validate_rows(parsed, self._rules)
            rejected = [
                RejectedRow(part.index, bad.row, bad.reason, bad.raw) for bad in checked.bad
            ]
            counts = ReadCounts(
                usable=len(checked.row),
                truncated=checked.truncated,
                rejected=Counter(row.reason for row in rejected),
                rows_in_part=Counter({part.index: parsed.rows}),
            )
            self._read.inc(counts.read)
            yield TaggedOutput(_COUNTS, counts)
            yield from tag_rejected(rejected)
            for start in range(0, len(checked.row), _SLICE_ROWS):
                yield from self.submit(self._predict, block, checked, start)
        progress.advance(bytes_read=part.bytes)

    def _predict(self, block: Block, checked: ValidatedRows, start: int) -> Slice:
        sequence = checked.sequence.slice(start, _SLICE_ROWS)
        answers = self._classifier.classify(sequence)
        before = int(checked.row[start - 1]) if start else block.first - 1
        row = checked.row[start : start + _SLICE_ROWS]
        step = np.diff(row, prepend=before).astype(np.int32)
        rows = pa.RecordBatch.from_arrays(
            [answers.label, pa.array(answers.probability), pa.array(step)], schema=PREDICTED
        )
        return Slice(block.part.index, len(row), PredictedRows(before, pack_rows(rows)))

    def emit(self, done: Slice) -> Iterator[tuple[int, PredictedRows]]:
        """See the class."""
        self._predicted.inc(done.n)
        progress.advance(read=done.n, usable=done.n)
        yield done.part, done.rows


class WritePart(ThreadedDoFn):
    """(Index of a part, its PredictedRows, and None) to the PredictedFile written."""

    def __init__(self, parts: Sequence[Part], staging: str) -> None:
        self._parts, self._staging = parts, staging
        self._written = Metrics.counter("rows", "written")

    def process(
        self, group: tuple[int, Iterable[PredictedRows | None]], first: Sequence[int]
    ) -> Iterator[PredictedFile]:
        """See the class."""
        index, values = group
        yield from self.submit(
            partial(write_predictions, staging=self._staging),
            self._parts[index],
            [value for value in values if value is not None],
            first[index],
        )

    def emit(self, file: PredictedFile) -> Iterator[PredictedFile]:
        """See the class."""
        self._written.inc(file.rows)
        progress.advance(written=file.rows)
        yield file
