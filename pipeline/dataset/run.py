"""One preparation from start to end: check the ground, run the graph, say what came out."""

from __future__ import annotations

import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import tensorflow as tf
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions

from charseq.errors import UsageError
from charseq.manifest import SPLITS
from pipeline.dataset.existing import check_existing_dataset
from pipeline.dataset.graph import build
from pipeline.dataset.manifest import Manifest, read_manifest
from pipeline.options import Options
from pipeline.rows.rejected import describe_rejected
from pipeline.rows.sources import Source, describe_inputs, find_nonempty_sources
from pipeline.runtime.beam_options import runs_here
from pipeline.runtime.filesystems import is_local, remove_tree
from pipeline.runtime.job import Job, new_job, report_job
from pipeline.runtime.staging import (
    DATASET,
    is_complete,
    output_lock,
    prepare_output,
    remove_staging,
    staging_dir,
)


def prepare(options: Options, beam_flags: Sequence[str]) -> None:
    """Prepare the dataset, and print what it holds.

    Raises:
        UsageError: a flag is neither ours nor Beam's, is not what the runner needs, or names a file
            system nobody knows.
        DataError: the input or the output directory cannot be used.
    """
    started = time.monotonic()
    job = new_job(beam_flags, (*options.input, options.output))
    sources = find_nonempty_sources(options.input_options)
    if job.is_dry_run:
        _run(job, sources, options)
        print(f"dry run: the job for {job.runner} was built, and nothing else was done")
        return
    with output_lock(options.output):
        if is_complete(DATASET, options.output) and not options.overwrite:
            print(_nothing_to_do(sources, options))
            # What a run left that was killed after its last file had its place.
            remove_staging(options.output)
            return
        prepare_output(DATASET, options.output, options.overwrite)
        _run(job, sources, options)
        if template := job.options.view_as(GoogleCloudOptions).template_location:
            print(f"{template}: the job, for Dataflow to start; it writes {options.output}")
            return
        print(describe(read_manifest(options.output), options.output, time.monotonic() - started))


def _nothing_to_do(sources: Sequence[Source], options: Options) -> str:
    """What to say where the dataset is there already.

    Raises:
        DataError: what is there is another dataset.
    """
    manifest = read_manifest(options.output)
    check_existing_dataset(manifest, options, describe_inputs(sources))
    return (
        f"{options.output} is already prepared from these inputs with these options: nothing to "
        f"do; fingerprint {manifest['fingerprint'][:16]}"
    )


def _run(job: Job, sources: Sequence[Source], options: Options) -> None:
    """Build the graph and run it; of the staging directory nothing stays.

    Raises:
        UsageError: there is no directory for TensorFlow Transform.
        DataError: the input cannot be used.
    """
    with (
        report_job(job, "preparing", [source.bytes for source in sources], options.output),
        _temp_dir(options, job.options) as temp_dir,
    ):
        build(job.pipeline, sources, options, temp_dir)
        job.pipeline.run().wait_until_finish()


@contextmanager
def _temp_dir(options: Options, beam_options: PipelineOptions) -> Iterator[str]:
    """A directory for TensorFlow Transform, for as long as the block lasts.

    All workers must reach it, and TensorFlow write to it: of stores, it can only some.

    Raises:
        UsageError: none is known.
    """
    staging = staging_dir(options.output)
    elsewhere = beam_options.view_as(GoogleCloudOptions).temp_location
    if is_local(options.output):
        yield staging
    elif runs_here(beam_options):
        with tempfile.TemporaryDirectory() as directory:
            yield directory
    elif _tensorflow_writes(staging):
        yield staging
    elif elsewhere and _tensorflow_writes(elsewhere):
        directory = FileSystems.join(elsewhere, f"charseq-{uuid.uuid4().hex}")
        try:
            yield directory
        finally:
            remove_tree(directory)
    else:
        raise UsageError(
            f"TensorFlow cannot write to {options.output}; name a directory that it can, and that "
            f"all workers reach, with --temp_location (got {elsewhere!r})"
        )


def _tensorflow_writes(path: str) -> bool:
    return (FileSystems.get_scheme(path) or "") in tf.io.gfile.get_registered_schemes()


def describe(manifest: Manifest, output: str, seconds: float) -> str:
    """What a person wants to know when a run is done."""
    counts = manifest["counts"]
    splits = ", ".join(f"{split} {counts[split]:,}" for split in SPLITS)
    lines = [
        f"{counts['read']:,} rows read in {seconds:.1f} s: {splits}, "
        f"duplicates {counts['duplicates']:,}, {describe_rejected(counts['rejected_by_reason'])}",
        f"{counts['truncated']:,} cut at {manifest['max_length']}, "
        f"{counts['ambiguous']:,} sequences with more than one label, "
        f"{counts['unknown_characters']:,} characters outside the alphabet",
        f"{len(manifest['labels'])} labels, alphabet {''.join(manifest['alphabet'])!r}",
        f"{output}: {len(manifest['shards'])} shards, fingerprint {manifest['fingerprint'][:16]}",
    ]
    return "\n".join(lines)
