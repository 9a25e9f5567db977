"""A plan of a preparation: the sample prepared and measured, and the forecast printed."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace

from charseq.errors import DataError, UsageError
from charseq.flags import flag_names
from charseq.manifest import TRANSFORM_DIR
from charseq.process.machine import cpu_count
from pipeline.dataset.run import run_on_parts
from pipeline.estimate.costs import measure_costs
from pipeline.estimate.forecast import RUN_PER_COST, Forecast
from pipeline.estimate.sample import Sample, take_sample
from pipeline.manifests.read import read_manifest
from pipeline.options import AUTO, Options
from pipeline.output.directory import open_output, stage
from pipeline.output.layout import DATASET
from pipeline.required_memory import check_memory, check_record_size
from pipeline.rows.blocks import Block
from pipeline.rows.lengths import add_lengths, choose_max_length
from pipeline.rows.sources import Source, find_nonempty_sources
from pipeline.runtime.job import Job, new_job
from pipeline.sizes.length_pass import measure_block

SAMPLE_ROWS = 100_000
# Beam's in-process runner, whatever the flags before say.
_HERE = ("--runner=FnApiRunner", "--job_endpoint=embed")


def plan(options: Options, beam_flags: Sequence[str]) -> None:
    """Print what a preparation with these options will make and take; write nothing.

    Raises:
        UsageError, DataError: as `forecast`.
    """
    print(*forecast(options, beam_flags).lines(options.planning.core_hour_price), sep="\n")


def forecast(options: Options, beam_flags: Sequence[str]) -> Forecast:
    """Return what a preparation with these options will make and take.

    Raises:
        UsageError: an option is one whose effect a sample does not show, or no record can be
            written, or a flag is neither ours nor Beam's.
        DataError: the input cannot be used.
    """
    check_can_plan(options)
    job = new_job([*beam_flags, *_HERE], options.paths, flag_names(Options))
    if options.alphabet_of is not None:
        options = options.with_alphabet_of(read_manifest(options.alphabet_of))
    check_record_size(options)
    sources = find_nonempty_sources(options.input_options)
    sample = take_sample(sources, SAMPLE_ROWS)
    # Of the labels of the whole input, some have no train row in the sample.
    options = replace(options, max_rejected_fraction=1.0)
    try:
        with tempfile.TemporaryDirectory() as output:
            return _measure(job, sources, sample, replace(options, output=output))
    except DataError as error:
        if sample.file_bytes == sum(source.bytes for source in sources):
            raise
        raise type(error)(f"--plan: the sample, which is not all rows: {error}") from error


def check_can_plan(options: Options) -> None:
    """Check that a sample shows what an option does.

    Raises:
        UsageError: it does not.
    """
    if options.base:
        raise UsageError("--plan: not with --base, whose rows are known once all rows are read")
    if options.splits.similar is not None:
        raise UsageError("--plan: not with --similar: how many rows are similar, no sample shows")


def _measure(job: Job, sources: Sequence[Source], sample: Sample, options: Options) -> Forecast:
    """Prepare the sample, and measure the steps."""
    output = options.output
    started = time.monotonic()
    blocks = sample.blocks()
    if options.max_length == AUTO:
        options = replace(options, chosen_length=_choose_length(blocks, options))
    check_memory(options)
    with open_output(DATASET, output), stage(DATASET, output, overwrite=False) as staging:
        run_on_parts(job, "measuring a sample of", sources, sample.parts, options, staging)
    seconds = time.monotonic() - started
    manifest = read_manifest(output)
    counts = manifest.counts
    total = sum(source.bytes for source in sources)
    rows = round(counts.read * total / sample.file_bytes)
    transform_dir = os.path.join(output, TRANSFORM_DIR)
    costs = measure_costs(blocks, rows, transform_dir, options)
    of_sample = counts.read * costs.seconds * RUN_PER_COST / cpu_count()
    return Forecast(
        files=len(sources),
        bytes=total,
        rows=rows,
        sampled=counts.read,
        rejected=sum(counts.rejected_by_reason.values()) / counts.read,
        duplicates=counts.duplicates / counts.read,
        characters=len(manifest.alphabet),
        labels=len(manifest.labels),
        start_seconds=max(0.0, seconds - of_sample),
        costs=costs,
        cores=cpu_count(),
    )


def _choose_length(blocks: Sequence[Block], options: Options) -> int:
    lengths = add_lengths(measure_block(block, options.row_rules) for block in blocks)
    return choose_max_length(lengths)
