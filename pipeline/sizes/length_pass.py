"""The job that chooses the length for `--max-length auto`, before the one that prepares.

Split, shard and duplicates follow from a hash of sequences as they are cut, and the transform graph
has the length in its shapes: it must be known before either is made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import GoogleCloudOptions

from charseq.errors import UsageError
from pipeline.options import AUTO, Options, RowRules
from pipeline.output.staging import Staging
from pipeline.rows.blocks import Block, parse_block, read_blocks
from pipeline.rows.lengths import add_lengths, choose_max_length
from pipeline.rows.parts import Part, cut_into_parts
from pipeline.rows.sources import Source
from pipeline.rows.validation import validate_rows
from pipeline.runtime import progress
from pipeline.runtime.filesystems import open_file, write_text
from pipeline.runtime.job import Job, report_job
from pipeline.runtime.threads import ThreadedDoFn

_RESULT = "max-length"


def check_no_template(job: Job, options: Options) -> None:
    """Check that a job can run before the one that prepares, if the options need it.

    Raises:
        UsageError: what is asked for is a template, which is one job.
    """
    template = job.options.view_as(GoogleCloudOptions).template_location
    if options.max_length == AUTO and template:
        raise UsageError(
            f"--max-length: got auto with --template_location {template}, expected a number: auto "
            "takes a job of its own before, and a template is one job"
        )


def choose_length(job: Job, sources: Sequence[Source], options: Options, staging: Staging) -> int:
    """Run the job, and return the length that it chose.

    Args:
        job: that of the preparation, whose runner is used.
        sources: the input files.
        options: the options of the preparation.
        staging: where the length is written.

    Raises:
        DataError: the input cannot be used.
    """
    path = staging.path(_RESULT)
    with report_job(job, "measuring", [source.bytes for source in sources], "measuring"):
        pipeline = beam.Pipeline(options=job.options)
        build(pipeline, sources, options, path)
        pipeline.run().wait_until_finish()
    with open_file(path) as file:
        return int(file.read())


def build(
    pipeline: beam.Pipeline, sources: Sequence[Source], options: Options, path: str
) -> beam.PCollection:
    """Add to `pipeline` the steps that write the length for `sources` to the file `path`."""
    return (
        pipeline
        | "Parts" >> beam.Create(cut_into_parts(sources))
        | "Spread" >> beam.Reshuffle()
        | "MeasureLengths" >> beam.ParDo(MeasureLengths(options.row_rules))
        | "AddLengths" >> beam.CombineGlobally(add_lengths)
        | "WriteLength"
        >> beam.Map(lambda lengths: write_text(path, str(choose_max_length(lengths))))
    )


class MeasureLengths(ThreadedDoFn):
    """Part to the lengths of its usable rows, see `count_lengths`, for each block."""

    def __init__(self, rules: RowRules) -> None:
        self._rules = rules

    def process(self, part: Part) -> Iterator[Counter[int]]:
        """See the class."""
        for block in read_blocks(part):
            yield from self.submit(measure_block, block, self._rules)
        progress.advance(bytes_read=part.bytes)

    def emit(self, lengths: Counter[int]) -> Iterator[Counter[int]]:
        """See the class."""
        progress.advance(read=lengths.total())
        yield lengths


def measure_block(block: Block, rules: RowRules) -> Counter[int]:
    """Return the lengths of the usable rows of a block, however long they are.

    Raises:
        DataError: the block cannot be parsed.
    """
    return validate_rows(parse_block(block), rules).lengths
