"""One preparation from start to end: check the ground, run the graph, say what came out."""

from __future__ import annotations

import argparse
import logging
import re
import socket
import sys
import time
from collections.abc import Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import (
    DirectOptions,
    PipelineOptions,
    PortableOptions,
    SetupOptions,
    StandardOptions,
    TestOptions,
    TypeOptions,
)

from pipeline import progress
from pipeline.build import build
from pipeline.errors import DataError, UsageError
from pipeline.manifest import Manifest, read_manifest
from pipeline.options import SPLITS, Options
from pipeline.publish import prepare_output, remove_staging
from pipeline.sources import cut_into_parts, find_sources

LOCAL_RUNNER = "FnApiRunner"
_JOB_SERVER_SECONDS = 30


def prepare(options: Options, beam_flags: Sequence[str]) -> None:
    """Prepare the dataset, and print what it holds.

    Raises:
        UsageError: a flag is neither ours nor Beam's.
        DataError: the input or the output directory cannot be used.
    """
    started = time.monotonic()
    beam_options = to_beam_options(beam_flags)
    pipeline = _new_pipeline(beam_options)
    _require_job_server(beam_options)
    sources = find_sources(options)
    if not cut_into_parts(sources):
        raise DataError(f"no rows in {', '.join(options.input)}: nothing but headers")
    dry_run = beam_options.view_as(TestOptions).dry_run
    if not dry_run:
        prepare_output(options)
    runner = beam_options.view_as(StandardOptions).runner
    size = sum(source.bytes for source in sources)
    print(f"preparing {len(sources)} file(s), {size / 1e6:.1f} MB, on {runner}", file=sys.stderr)
    local = runner in StandardOptions.LOCAL_RUNNERS
    _keep_errors_out_of_the_log(local)
    try:
        with progress.shown("starting" if local else "running", size):
            build(pipeline, sources, options)
            pipeline.run().wait_until_finish()
    except Exception as error:
        raise _as_data_error(error) from error
    finally:
        remove_staging(options.output)
    if dry_run:
        print(f"dry run: the job for {runner} was built, and nothing else was done")
        return
    print(describe(read_manifest(options.output), options.output, time.monotonic() - started))


def _new_pipeline(beam_options: PipelineOptions) -> beam.Pipeline:
    try:
        return beam.Pipeline(options=beam_options)
    except ValueError as error:
        # What the runner needs to be told is missing or wrong.
        raise UsageError(str(error)) from error


def _require_job_server(beam_options: PipelineOptions) -> None:
    """Beam itself would wait for minutes for a server that is not there."""
    endpoint = beam_options.view_as(PortableOptions).job_endpoint
    if endpoint is None or endpoint == "embed":
        return
    host, _, port = endpoint.rpartition(":")
    if not port.isdigit():
        raise UsageError(f"--job_endpoint: got {endpoint!r}, expected HOST:PORT")
    try:
        socket.create_connection((host, int(port)), _JOB_SERVER_SECONDS).close()
    except OSError as error:
        raise DataError(f"--job_endpoint {endpoint}: no job server answers: {error}") from error


def _keep_errors_out_of_the_log(local: bool) -> None:
    """What fails comes back as an exception; Beam would log it as well.

    What a job server says, Beam logs at the root.
    """
    if local:
        logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    else:
        logging.getLogger().addFilter(lambda record: record.levelno < logging.ERROR)


def to_beam_options(flags: Sequence[str]) -> PipelineOptions:
    """Beam's options, with its in-process runner named outright where none is given.

    Raises:
        UsageError: Beam does not know a flag, and it is Beam's local runner that would run; or the
            mode is one that loses rows.
    """
    options = PipelineOptions(list(flags))
    standard = options.view_as(StandardOptions)
    if standard.runner is None:
        standard.runner = LOCAL_RUNNER
    if options.view_as(DirectOptions).direct_running_mode == "multi_threading":
        raise UsageError(
            "--direct_running_mode=multi_threading loses rows now and then (Beam 2.77); leave it "
            "out: one process works in threads by itself"
        )
    # Workers import the project; nothing of the main session needs to travel.
    options.view_as(SetupOptions).save_main_session = False
    # The graph is the same in every run: checking its types tells nothing new in half a second.
    options.view_as(TypeOptions).pipeline_type_check = False
    if standard.runner in StandardOptions.LOCAL_RUNNERS and (unknown := _unknown_to_beam(flags)):
        raise UsageError(f"unknown flag {unknown[0]}; --help lists the flags, the rest are Beam's")
    return options


def _unknown_to_beam(flags: Sequence[str]) -> list[str]:
    parser = argparse.ArgumentParser(allow_abbrev=False, conflict_handler="resolve", add_help=False)
    for kind in PipelineOptions.__subclasses__():
        kind._add_argparse_args(parser)
    return parser.parse_known_args(list(flags))[1]


def _as_data_error(error: Exception) -> Exception:
    """The error of ours that a runner passed on or wrapped into its own, or the error as it is.

    Runners turn what a worker raises into text: the traceback, then where it happened.
    """
    name = f"{DataError.__module__}.{DataError.__qualname__}: "
    text = name + str(error) if isinstance(error, DataError) else str(error)
    found = re.search(re.escape(name) + r"(.*?)(?: \[while running |\n\n|\Z)", text, re.DOTALL)
    if found:
        return DataError(found.group(1).strip())
    # The cluster's word on its own trouble says it all; where this process waited adds nothing.
    return DataError(text) if " failed in state " in text else error


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
