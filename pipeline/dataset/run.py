"""A preparation from start to end: checks, the Beam job, and a summary of the dataset."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from apache_beam.options.pipeline_options import GoogleCloudOptions

from charseq.console.messages import shorten_message, shorten_value
from charseq.flags import flag_names
from charseq.folds import records_of_parts
from charseq.manifest import Manifest
from pipeline.dataset.graph import build
from pipeline.manifests.base import read_base
from pipeline.manifests.existing import check_existing_dataset, check_same_base
from pipeline.manifests.read import read_manifest
from pipeline.options import AUTO, Options
from pipeline.output.directory import (
    check_inputs_outside,
    check_is_none_of,
    open_output,
    stage,
    stage_dry_run,
)
from pipeline.output.layout import DATASET
from pipeline.output.staging import Staging
from pipeline.required_memory import check_memory, check_record_size
from pipeline.rows.normalizing import describe_normalized
from pipeline.rows.parts import Part, cut_into_parts
from pipeline.rows.rejected import describe_rejected
from pipeline.rows.sources import Source, describe_inputs, find_nonempty_sources
from pipeline.rows.spilling import open_spill
from pipeline.runtime.job import Job, new_job, report_job
from pipeline.sizes.length_pass import check_no_template, choose_length
from pipeline.transform.temp_dir import transform_temp_dir


def prepare(options: Options, beam_flags: Sequence[str]) -> None:
    """Prepare the dataset, and print a summary of it.

    Raises:
        UsageError: a flag is neither ours nor Beam's, or is not what the runner needs; or Beam has
            no file system for a path.
        DataError: the input or the output directory cannot be used.
    """
    started = time.monotonic()
    job = new_job(beam_flags, options.paths, flag_names(Options))
    if options.alphabet_of is not None:
        options = options.with_alphabet_of(read_manifest(options.alphabet_of))
    if options.base:
        check_is_none_of(options.output, "--base", options.base)
        options = options.with_base(read_base(options.base))
    check_record_size(options)
    check_no_template(job, options)
    if job.is_local and options.max_length != AUTO:
        check_memory(options)
    sources = find_nonempty_sources(options.input_options)
    check_inputs_outside(options.output, [source.path for source in sources])
    if job.is_dry_run:
        with stage_dry_run(DATASET, options.output) as staging:
            _run(job, sources, options, staging)
        print(f"dry run: the job for {job.runner} was built, and nothing else was done")
        return
    with open_output(DATASET, options.output):
        if DATASET.is_complete(options.output) and not options.overwrite:
            print(_confirm_existing(sources, options))
            return
        with stage(DATASET, options.output, options.overwrite) as staging:
            _run(job, sources, _with_length(job, sources, options, staging), staging)
        if template := job.options.view_as(GoogleCloudOptions).template_location:
            print(f"{template}: the job, for Dataflow to start; it writes {options.output}")
            return
        print(describe(read_manifest(options.output), options.output, time.monotonic() - started))


def _confirm_existing(sources: Sequence[Source], options: Options) -> str:
    """Return the message for a dataset that is prepared already.

    Raises:
        DataError: the output directory holds another dataset.
    """
    manifest = read_manifest(options.output)
    check_same_base(manifest, options)
    check_existing_dataset(manifest, options, describe_inputs(sources))
    return (
        f"{options.output} is already prepared from these inputs with these options: nothing to "
        f"do; fingerprint {manifest.fingerprint[:16]}"
    )


def _with_length(
    job: Job, sources: Sequence[Source], options: Options, staging: Staging
) -> Options:
    """Return the options with the length that fits the input, if that was asked for.

    Raises:
        UsageError: records of that length take more memory than there is.
        DataError: the input cannot be used.
    """
    if options.max_length != AUTO:
        return options
    chosen = replace(options, chosen_length=choose_length(job, sources, options, staging))
    if job.is_local:
        check_memory(chosen)
    return chosen


def _run(job: Job, sources: Sequence[Source], options: Options, staging: Staging) -> None:
    run_on_parts(job, "preparing", sources, cut_into_parts(sources), options, staging)


def run_on_parts(
    job: Job,
    activity: str,
    sources: Sequence[Source],
    parts: Sequence[Part],
    options: Options,
    staging: Staging,
) -> None:
    """Build the graph and run it on parts of the input.

    activity: what it does with the input, as users read it.

    Raises:
        UsageError: there is no directory for TensorFlow Transform.
        DataError: the input cannot be used.
    """
    with (
        report_job(job, activity, [source.bytes for source in sources]),
        transform_temp_dir(staging.directory, job.options) as temp_dir,
        open_spill(staging.directory, job.is_local) as spill,
    ):
        build(job.pipeline, sources, parts, options, staging, temp_dir, spill)
        job.pipeline.run().wait_until_finish()


def describe(manifest: Manifest, output: str, seconds: float) -> str:
    """Return a user-facing summary of a dataset that took `seconds` to prepare."""
    counts = manifest.counts
    records = records_of_parts(manifest)
    splits = ", ".join(f"{name} {rows:,}" for name, rows in records.items())
    lines = [
        f"{counts.read:,} rows read in {seconds:.1f} s: {splits}, "
        f"duplicates {counts.duplicates:,}, {describe_rejected(counts.rejected_by_reason)}",
        f"{counts.truncated:,} cut at {manifest.max_length}, "
        f"{counts.ambiguous:,} sequences with more than one label, "
        f"{counts.unknown_characters:,} characters outside the alphabet",
        describe_normalized(counts.normalized or {}),
        f"{len(manifest.labels)} labels, alphabet {shorten_value(''.join(manifest.alphabet))!r}",
        f"{output}: {len(manifest.shards)} shards, fingerprint {manifest.fingerprint[:16]}",
    ]
    return "\n".join(
        [*filter(None, lines), *(shorten_message(f"note: {note}") for note in manifest.notes)]
    )
