"""A Beam job from its flags to its end, its failures turned into the errors that users read."""

from __future__ import annotations

import re
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import apache_beam as beam
import grpc
from apache_beam.options.pipeline_options import (
    PipelineOptions,
    PortableOptions,
    StandardOptions,
    TestOptions,
)

from charseq.errors import DataError, MismatchError, UsageError
from charseq.process.signals import raise_in_main_thread
from pipeline.runtime.beam_options import runs_here, to_beam_options
from pipeline.runtime.filesystems import check_store
from pipeline.runtime.loopback import LOOPBACK, bind_servers_to
from pipeline.runtime.process import silence_error_logs
from pipeline.runtime.progress import show_progress

_JOB_SERVER_SECONDS = 30
# Beam's name of a thread that waits for the end of a worker process of this machine.
_BEAM_WORKER_THREAD = "run_worker"
# Errors whose message is enough for a user: ours, and those of file systems and stores.
_USER_ERROR = (
    r"(?:charseq\.errors\.(?:DataError|MismatchError)|apache_beam\.io\.[\w.]+\.(?:S3ClientError|BeamIOError)"
    r"|google\.(?:api_core|auth)\.exceptions\.\w+|\b(?:OSError|PermissionError))"
)
_MISMATCH = f"{MismatchError.__module__}.{MismatchError.__qualname__}:"
# An S3ClientError shows its arguments as a tuple, the message first.
_USER_MESSAGE = re.compile(
    _USER_ERROR + r": (?:\(['\"])?(.*?)(?: \[while running |\n\n|\Z)", re.DOTALL
)


@dataclass(frozen=True)
class Job:
    """A Beam job before it runs: an empty pipeline, and Beam's options."""

    pipeline: beam.Pipeline
    options: PipelineOptions

    @property
    def is_local(self) -> bool:
        """Whether it runs on this machine."""
        return runs_here(self.options)

    @property
    def is_dry_run(self) -> bool:
        """Whether it is built but not run."""
        return bool(self.options.view_as(TestOptions).dry_run)

    @property
    def runner(self) -> str:
        """The name of the runner."""
        return str(self.options.view_as(StandardOptions).runner)


def new_job(beam_flags: Sequence[str], paths: Sequence[str], own_flags: Sequence[str] = ()) -> Job:
    """Return a job for the runner that Beam's flags name; check that it can reach its files.

    Args:
        beam_flags: all flags that are not the command's own.
        paths: files, directories and globs that the job reads or writes.
        own_flags: those that the command has, by which a misspelt one is explained.

    Raises:
        UsageError: a flag is neither ours nor Beam's, or is not what the runner needs; or Beam has
            no file system for a path.
        DataError: a store or a job server cannot be reached, or refuses.
    """
    options = to_beam_options(beam_flags, own_flags)
    if runs_here(options):
        bind_servers_to(LOOPBACK)
    job = Job(_new_pipeline(options), options)
    silence_error_logs(job.is_local)
    for path in paths:
        check_store(path)
    return job


def _new_pipeline(options: PipelineOptions) -> beam.Pipeline:
    _check_job_server(options)
    try:
        return beam.Pipeline(options=options)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _check_job_server(options: PipelineOptions) -> None:
    """Check that the job server answers, for which Beam itself would wait for minutes."""
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


@contextmanager
def report_job(
    job: Job, activity: str, input_bytes: Sequence[int], first_stage: str = "reading"
) -> Iterator[None]:
    """Report the progress of a job while the block runs it.

    Args:
        job: the job that the block runs.
        activity: what it does with the input, as `preparing`.
        input_bytes: the size of each input file.
        first_stage: the name of the stage that reads the input.

    Raises:
        DataError: the job failed, for a reason that a user can act on.
    """
    total = sum(input_bytes)
    print(
        f"{activity} {len(input_bytes)} file(s), {total / 1e6:.1f} MB, on {job.runner}",
        file=sys.stderr,
    )
    try:
        with (
            _lost_worker_as_error(),
            show_progress("starting" if job.is_local else "running", total, first_stage),
        ):
            yield
    except Exception as error:
        raise to_user_error(error) from error


@contextmanager
def _lost_worker_as_error() -> Iterator[None]:
    """End the command if a worker process of Beam ends in the block; Beam would wait for it.

    Threads of Beam that lost the runner say nothing: the main thread loses it, too.

    Raises:
        DataError: one does.
    """
    before = threading.excepthook

    def notice(args: threading.ExceptHookArgs) -> None:
        if isinstance(args.exc_value, grpc.RpcError):
            return
        if args.thread is None or args.thread.name != _BEAM_WORKER_THREAD:
            before(args)
            return
        raise_in_main_thread(
            DataError(
                f"a worker process of Beam has ended: {args.exc_value}; if the system killed it, "
                "for memory, try a smaller --direct_num_workers"
            )
        )

    threading.excepthook = notice
    try:
        yield
    finally:
        threading.excepthook = before


def to_user_error(error: Exception) -> Exception:
    """Return the user-facing error that a runner passed on or wrapped, else `error` itself.

    Runners turn what a worker raises into text: the traceback, then the step it was raised in.
    """
    text = f"{type(error).__module__}.{type(error).__qualname__}: {error}"
    if match := _USER_MESSAGE.search(text):
        kind = MismatchError if match.group().startswith(_MISMATCH) else DataError
        return kind(match.group(1).strip())
    if isinstance(error, grpc.RpcError) and error.code() == grpc.StatusCode.UNAVAILABLE:
        return DataError(
            f"the runner or its job server no longer answers ({error.details()}); nothing was "
            "published, and the same command runs again"
        )
    # The message of a cluster whose job failed is complete; a traceback of the waiting process
    # adds nothing to it.
    return DataError(str(error)) if " failed in state " in text else error
