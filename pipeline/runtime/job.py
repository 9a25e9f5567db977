"""One Beam job from its flags to its end, with errors for people on the way."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions, TestOptions

from charseq.errors import DataError
from pipeline.runtime import progress
from pipeline.runtime.beam_flags import (
    keep_errors_out_of_the_log,
    new_pipeline,
    runs_here,
    to_beam_options,
)
from pipeline.runtime.filesystems import check_store
from pipeline.runtime.staging import remove_staging

# Names of errors whose message says it all: ours, and those of file systems and stores.
_USER_FACING = (
    r"(?:charseq\.errors\.DataError|apache_beam\.io\.[\w.]+\.(?:S3ClientError|BeamIOError)"
    r"|google\.(?:api_core|auth)\.exceptions\.\w+|\b(?:OSError|PermissionError))"
)


@dataclass(frozen=True)
class Job:
    """A Beam job to be: a pipeline that is empty yet, and Beam's options."""

    pipeline: beam.Pipeline
    options: PipelineOptions

    @property
    def is_local(self) -> bool:
        """Whether it runs on this machine."""
        return runs_here(self.options)

    @property
    def is_dry_run(self) -> bool:
        """Whether it is to be built and not to be run."""
        return bool(self.options.view_as(TestOptions).dry_run)

    @property
    def runner(self) -> str:
        """The name of the runner."""
        return str(self.options.view_as(StandardOptions).runner)


def new_job(beam_flags: Sequence[str], paths: Sequence[str]) -> Job:
    """A job for the runner that Beam's flags name, over `paths`, files, directories and globs.

    Raises:
        UsageError: a flag is neither ours nor Beam's, is not what the runner needs, or a path is on
            a file system nobody knows.
        DataError: a store cannot be reached, or refuses.
    """
    options = to_beam_options(beam_flags)
    job = Job(new_pipeline(options), options)
    keep_errors_out_of_the_log(job.is_local)
    for path in paths:
        check_store(path)
    return job


@contextmanager
def report_job(
    job: Job, activity: str, input_bytes: Sequence[int], output: str, first: str = "reading"
) -> Iterator[None]:
    """Report the progress of a job while the block runs it; leave no staging directory behind.

    Args:
        job: what the block runs.
        activity: what it does with the input, as `preparing`.
        input_bytes: the size of each input file.
        output: the output directory.
        first: the name of the stage that reads the input.

    Raises:
        DataError: the job failed, for a reason that a user can act on.
    """
    size = sum(input_bytes)
    files = len(input_bytes)
    print(f"{activity} {files} file(s), {size / 1e6:.1f} MB, on {job.runner}", file=sys.stderr)
    try:
        with progress.show_progress("starting" if job.is_local else "running", size, first):
            yield
    except Exception as error:
        raise _as_data_error(error) from error
    finally:
        remove_staging(output)


def _as_data_error(error: Exception) -> Exception:
    """The error for people that a runner passed on or wrapped into its own, or the error as it is.

    Runners turn what a worker raises into text: the traceback, then where it happened.
    """
    text = f"{type(error).__module__}.{type(error).__qualname__}: {error}"
    # An S3ClientError shows its arguments as a tuple, the message first.
    found = re.search(
        _USER_FACING + r": (?:\(['\"])?(.*?)(?: \[while running |\n\n|\Z)", text, re.DOTALL
    )
    if found:
        return DataError(found.group(1).strip())
    # The cluster's word on its own trouble says it all; where this process waited adds nothing.
    return DataError(str(error)) if " failed in state " in text else error
