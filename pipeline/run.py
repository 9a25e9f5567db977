"""One preparation from start to end: check the ground, run the graph, say what came out."""

from __future__ import annotations

import re
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import apache_beam as beam
import tensorflow as tf
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import (
    GoogleCloudOptions,
    PipelineOptions,
    StandardOptions,
    TestOptions,
)

from pipeline import progress
from pipeline.beam_flags import (
    keep_errors_out_of_the_log,
    new_pipeline,
    runs_here,
    to_beam_options,
)
from pipeline.build import build
from pipeline.errors import DataError, UsageError
from pipeline.manifest import Manifest, describe_inputs, read_manifest
from pipeline.options import SPLITS, Options
from pipeline.publish import (
    is_complete,
    prepare_output,
    remove_staging,
    sole_writer,
    staging_dir,
)
from pipeline.sources import Source, cut_into_parts, find_sources
from pipeline.stores import is_local, remove_tree, require_store
from pipeline.unchanged import require_unchanged

# Names of errors whose message says it all: ours, and those of file systems and stores.
_FOR_PEOPLE = (
    r"(?:pipeline\.errors\.DataError|apache_beam\.io\.[\w.]+\.(?:S3ClientError|BeamIOError)"
    r"|google\.(?:api_core|auth)\.exceptions\.\w+|\b(?:OSError|PermissionError))"
)


def prepare(options: Options, beam_flags: Sequence[str]) -> None:
    """Prepare the dataset, and print what it holds.

    Raises:
        UsageError: a flag is neither ours nor Beam's, is not what the runner needs, or names a file
            system nobody knows.
        DataError: the input or the output directory cannot be used.
    """
    started = time.monotonic()
    beam_options = to_beam_options(beam_flags)
    pipeline = new_pipeline(beam_options)
    keep_errors_out_of_the_log(runs_here(beam_options))
    for path in (*options.input, options.output):
        require_store(path)
    sources = find_sources(options)
    if not cut_into_parts(sources):
        raise DataError(f"no rows in {', '.join(options.input)}: nothing but headers")
    if beam_options.view_as(TestOptions).dry_run:
        _run(pipeline, beam_options, sources, options)
        runner = beam_options.view_as(StandardOptions).runner
        print(f"dry run: the job for {runner} was built, and nothing else was done")
        return
    with sole_writer(options.output):
        if is_complete(options.output) and not options.overwrite:
            print(_nothing_to_do(sources, options))
            # What a run left that was killed after its last file had its place.
            remove_staging(options.output)
            return
        prepare_output(options.output)
        _run(pipeline, beam_options, sources, options)
        if template := beam_options.view_as(GoogleCloudOptions).template_location:
            print(f"{template}: the job, for Dataflow to start; it writes {options.output}")
            return
        print(describe(read_manifest(options.output), options.output, time.monotonic() - started))


def _nothing_to_do(sources: Sequence[Source], options: Options) -> str:
    """What to say where the dataset is there already.

    Raises:
        DataError: what is there is another dataset.
    """
    manifest = read_manifest(options.output)
    require_unchanged(manifest, options, describe_inputs(sources))
    return (
        f"{options.output} is already prepared from these inputs with these options: nothing to "
        f"do; fingerprint {manifest['fingerprint'][:16]}"
    )


def _run(
    pipeline: beam.Pipeline,
    beam_options: PipelineOptions,
    sources: Sequence[Source],
    options: Options,
) -> None:
    """Build the graph and run it; of the staging directory nothing stays.

    Raises:
        UsageError: there is no directory for TensorFlow Transform.
        DataError: the input cannot be used.
    """
    runner = beam_options.view_as(StandardOptions).runner
    size = sum(source.bytes for source in sources)
    print(f"preparing {len(sources)} file(s), {size / 1e6:.1f} MB, on {runner}", file=sys.stderr)
    try:
        with (
            _temp_dir(options, beam_options) as temp_dir,
            progress.shown("starting" if runs_here(beam_options) else "running", size),
        ):
            build(pipeline, sources, options, temp_dir)
            pipeline.run().wait_until_finish()
    except Exception as error:
        raise _as_data_error(error) from error
    finally:
        remove_staging(options.output)


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


def _as_data_error(error: Exception) -> Exception:
    """The error for people that a runner passed on or wrapped into its own, or the error as it is.

    Runners turn what a worker raises into text: the traceback, then where it happened.
    """
    text = f"{type(error).__module__}.{type(error).__qualname__}: {error}"
    # An S3ClientError shows its arguments as a tuple, the message first.
    found = re.search(
        _FOR_PEOPLE + r": (?:\(['\"])?(.*?)(?: \[while running |\n\n|\Z)", text, re.DOTALL
    )
    if found:
        return DataError(found.group(1).strip())
    # The cluster's word on its own trouble says it all; where this process waited adds nothing.
    return DataError(str(error)) if " failed in state " in text else error


def describe(manifest: Manifest, output: str, seconds: float) -> str:
    """What a person wants to know when a run is done."""
    counts = manifest["counts"]
    splits = ", ".join(f"{split} {counts[split]:,}" for split in SPLITS)
    by_reason = ", ".join(f"{n:,} {reason}" for reason, n in counts["rejected_by_reason"].items())
    reasons = f" ({by_reason})" if by_reason else ""
    lines = [
        f"{counts['read']:,} rows read in {seconds:.1f} s: {splits}, "
        f"duplicates {counts['duplicates']:,}, rejected {counts['rejected']:,}{reasons}",
        f"{counts['truncated']:,} cut at {manifest['max_length']}, "
        f"{counts['ambiguous']:,} sequences with more than one label, "
        f"{counts['unknown_characters']:,} characters outside the alphabet",
        f"{len(manifest['labels'])} labels, alphabet {''.join(manifest['alphabet'])!r}",
        f"{output}: {len(manifest['shards'])} shards, fingerprint {manifest['fingerprint'][:16]}",
    ]
    return "\n".join(lines)
