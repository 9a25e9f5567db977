"""An output directory: who may write to it, and a run's stay in it from start to end."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext

from charseq.errors import DataError, UsageError
from charseq.files import directory_lock
from pipeline.output.journal import explain_failure, finish, read_journal
from pipeline.output.layout import LAYOUTS, Layout
from pipeline.output.staging import (
    Staging,
    find_runs,
    is_marked,
    is_of_version_0_1,
    mark,
    new_staging,
    remove_runs,
    remove_staging_of_version_0_1,
)
from pipeline.runtime.filesystems import is_local, list_tree
from pipeline.runtime.job import to_user_error

# Of the system: a directory that has only these counts as empty.
_NOT_OURS_BUT_EMPTY = {"lost+found", ".snapshot"}
_SHOWN_NAMES = 5


def check_inputs_outside(output: str, inputs: Iterable[str]) -> None:
    """Check that no input lies in the output directory.

    Raises:
        UsageError: one does.
    """
    directories = {_normalize(output)}
    if is_local(output):
        directories.add(os.path.realpath(output))
    for path in inputs:
        paths = {_normalize(path), os.path.realpath(path)} if is_local(path) else {path}
        if any(each.startswith(f"{directory}/") for each in paths for directory in directories):
            raise UsageError(
                f"--input {path} lies in --output {output}, whose files a run replaces; choose "
                "another --output"
            )


def check_is_none_of(output: str, flag: str, directories: Iterable[str]) -> None:
    """Check that the output directory is none of those that are read.

    Raises:
        UsageError: it is; the message names the flag.
    """
    for directory in directories:
        if _real_path(directory) == _real_path(output):
            raise UsageError(
                f"--output {output} is {flag} {directory}, which is read; choose another --output"
            )


def _real_path(path: str) -> str:
    return os.path.realpath(path) if is_local(path) else path.rstrip("/")


def _normalize(path: str) -> str:
    return os.path.abspath(path) if is_local(path) else path.rstrip("/")


@contextmanager
def open_output(layout: Layout, output: str) -> Iterator[None]:
    """Create an output directory and keep other runs out of it while the block runs.

    What a run that was killed had begun to publish is finished, and its other files are removed.
    Where a directory cannot be locked (NFS, mounted buckets, stores), other runs are not kept out.
    There the journal sees to it that only one of them publishes, and that one removes the files of
    the others.

    Raises:
        DataError: another run holds the lock; or the directory cannot be created, or holds anything
            but an output of this kind.
    """
    with directory_lock(output) if is_local(output) else nullcontext(False) as is_locked:
        if journal := read_journal(output):
            finish(output, journal)
            print(f"{output}: finished what {journal.process} was publishing", file=sys.stderr)
        _check_ours(layout, output)
        if is_of_version_0_1(output):
            remove_staging_of_version_0_1(output)
        if is_locked:
            remove_runs(output, find_runs(output))
        yield


def _check_ours(layout: Layout, output: str) -> None:
    """Check that an output directory is empty, or that runs of this kind wrote to it.

    Raises:
        DataError: it holds something else.
    """
    for other in LAYOUTS:
        if other != layout and other.is_complete(output):
            raise DataError(f"{output} already holds {other.kind}; choose another --output")
    if layout.is_complete(output) or is_marked(output):
        return
    if names := sorted(_names_in(output) - _NOT_OURS_BUT_EMPTY):
        shown = ", ".join(map(repr, names[:_SHOWN_NAMES]))
        more = f" and {len(names) - _SHOWN_NAMES:,} more" if len(names) > _SHOWN_NAMES else ""
        raise DataError(
            f"{output} is neither empty nor {layout.kind}: it holds {shown}{more}; choose a new or "
            "empty directory as --output"
        )


def _names_in(output: str) -> set[str]:
    """Return the names of the files and directories that lie in a directory itself."""
    if is_local(output):
        return set(os.listdir(output))
    begin = len(output.rstrip("/")) + 1
    return {path[begin:].split("/")[0] for path in list_tree(output)} - {""}


@contextmanager
def stage(layout: Layout, output: str, overwrite: bool) -> Iterator[Staging]:
    """Yield a staging directory for a run, which is removed after the block.

    Raises:
        DataError: `output` is complete and `overwrite` is false, or its manifest cannot be read; or
            another run published while the block ran.
    """
    if layout.is_complete(output) and not overwrite:
        raise DataError(
            f"{output} already holds {layout.kind}; choose another --output, or replace it "
            "with --overwrite"
        )
    layout.files(output)
    staging = new_staging(layout, output)
    _mark(staging)
    try:
        yield staging
    except Exception as error:
        if explanation := explain_failure(staging, error):
            raise explanation from error
        raise
    finally:
        leave(staging)


@contextmanager
def stage_dry_run(layout: Layout, output: str) -> Iterator[Staging]:
    """Yield a staging directory for a job that is built and not run.

    TensorFlow Transform writes to it even so; it is removed after the block.
    """
    staging = new_staging(layout, output)
    try:
        yield staging
    finally:
        remove_runs(output, [staging.run])


def _mark(staging: Staging) -> None:
    try:
        mark(staging)
    except Exception as error:
        reason = to_user_error(error)
        raise DataError(f"{staging.output}: cannot be written: {reason}") from error


def leave(staging: Staging) -> None:
    """Remove the staging directory of a run, unless the run has begun to publish.

    What is published by half needs its staged files: the next run finishes it.
    """
    journal = read_journal(staging.output)
    if journal is None or journal.run != staging.run:
        remove_runs(staging.output, [staging.run])
