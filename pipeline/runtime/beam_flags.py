"""Flags that are Beam's, and not ours."""

from __future__ import annotations

import argparse
import logging
import socket
from collections.abc import Sequence

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import (
    DirectOptions,
    PipelineOptions,
    PortableOptions,
    SetupOptions,
    StandardOptions,
    TypeOptions,
)

from charseq.errors import DataError, UsageError

_LOCAL_RUNNER = "FnApiRunner"
_JOB_SERVER_SECONDS = 30


def to_beam_options(flags: Sequence[str]) -> PipelineOptions:
    """Beam's options, with its in-process runner named outright where none is given.

    Beam's file systems follow them from now on.

    Raises:
        UsageError: Beam does not know a flag, and it is Beam's local runner that would run; or the
            mode is one that loses rows.
    """
    options = PipelineOptions(list(flags))
    standard = options.view_as(StandardOptions)
    if standard.runner is None:
        standard.runner = _LOCAL_RUNNER
    if options.view_as(DirectOptions).direct_running_mode == "multi_threading":
        raise UsageError(
            "--direct_running_mode=multi_threading loses rows now and then (Beam 2.77); leave it "
            "out: one process works in threads by itself"
        )
    # Workers import the project; nothing of the main session needs to travel.
    options.view_as(SetupOptions).save_main_session = False
    # The graph is the same in every run: checking its types tells nothing new in half a second.
    options.view_as(TypeOptions).pipeline_type_check = False
    if runs_here(options) and (unknown := unknown_to_beam(flags)):
        raise UsageError(f"unknown flag {unknown[0]}; --help lists the flags, the rest are Beam's")
    FileSystems.set_options(options)
    return options


def new_pipeline(options: PipelineOptions) -> beam.Pipeline:
    """An empty pipeline for the runner that `options` name.

    Raises:
        UsageError: what the runner needs to be told is missing or wrong.
        DataError: nothing answers at `--job_endpoint`.
    """
    _require_job_server(options)
    try:
        return beam.Pipeline(options=options)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _require_job_server(options: PipelineOptions) -> None:
    """Beam itself would wait for minutes for a server that is not there."""
    endpoint = options.view_as(PortableOptions).job_endpoint
    if endpoint is None or endpoint == "embed":
        return
    host, _, port = endpoint.rpartition(":")
    if not port.isdigit():
        raise UsageError(f"--job_endpoint: got {endpoint!r}, expected HOST:PORT")
    try:
        socket.create_connection((host, int(port)), _JOB_SERVER_SECONDS).close()
    except OSError as error:
        raise DataError(f"--job_endpoint {endpoint}: no job server answers: {error}") from error


def runs_here(options: PipelineOptions) -> bool:
    """Whether the runner is one of this machine."""
    return options.view_as(StandardOptions).runner in StandardOptions.LOCAL_RUNNERS


def keep_errors_out_of_the_log(local: bool) -> None:
    """What fails comes back as an exception; Beam would log it as well.

    What a job server says, and an object store, Beam logs at the root.
    """
    logging.getLogger().addFilter(_is_no_error)
    # That the threads have opened more connections than it keeps is nothing to act on.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    if local:
        logging.getLogger("apache_beam").setLevel(logging.CRITICAL)


def _is_no_error(record: logging.LogRecord) -> bool:
    return record.levelno < logging.ERROR


def unknown_to_beam(flags: Sequence[str]) -> list[str]:
    """Those of the flags that no options of Beam name."""
    parser = argparse.ArgumentParser(allow_abbrev=False, conflict_handler="resolve", add_help=False)
    for kind in PipelineOptions.__subclasses__():
        kind._add_argparse_args(parser)
    return parser.parse_known_args(list(flags))[1]
