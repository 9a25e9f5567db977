"""The staging directories of runs: each run writes to one of its own until all is written.

OUTPUT/.staging/
  started       marks the output directory as one of ours
  moves.json    the journal, see `pipeline.output.journal`
  RUN/          the files of a run; RUN is a random number
"""

from __future__ import annotations

import os
import re
import uuid
from contextlib import suppress
from dataclasses import dataclass

from apache_beam.io.filesystems import FileSystems

from pipeline.output.layout import Layout
from pipeline.runtime.filesystems import (
    delete_files,
    is_local,
    list_tree,
    make_parent,
    remove_tree,
    write_text,
)

_STAGING = ".staging"
_MARK = "started"
_MARK_TEXT = "charseq writes files here until all of an output are written.\n"
_RUN = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True)
class Staging:
    """The staging directory of a run.

    layout: the kind of output. output: the output directory. run: the name of the run.
    replaces: the SHA-256 of the manifest that was there when the run began, None without one.
    """

    layout: Layout
    output: str
    run: str
    replaces: str | None

    @property
    def directory(self) -> str:
        """Return the path of the directory."""
        return run_path(self.output, self.run)

    def path(self, name: str) -> str:
        """Return the path of a file in the directory."""
        return str(FileSystems.join(self.directory, name))


def new_staging(layout: Layout, output: str) -> Staging:
    """Return a staging directory of a new name, which is not created yet."""
    return Staging(layout, output, uuid.uuid4().hex, layout.digest(output))


def mark(staging: Staging) -> None:
    """Mark the output directory as ours, and create the staging directory.

    The mark is a file, since a store has no directories: an output that cannot be written fails
    here.
    """
    write_text(staging_path(staging.output, _MARK), _MARK_TEXT)
    make_parent(staging.path("any"))


def staging_path(output: str, name: str) -> str:
    """Return the path of a file or directory in `.staging` of an output directory."""
    return str(FileSystems.join(output, _STAGING, name))


def run_path(output: str, run: str) -> str:
    """Return the path of the staging directory of a run."""
    return staging_path(output, run)


def is_marked(output: str) -> bool:
    """Return whether a run of ours has begun to write to an output directory."""
    return bool(FileSystems.exists(staging_path(output, _MARK))) or bool(find_runs(output))


def find_runs(output: str) -> list[str]:
    """Return the names of the runs that have a staging directory."""
    directory = str(FileSystems.join(output, _STAGING))
    if is_local(output):
        names = os.listdir(directory) if os.path.isdir(directory) else []
    else:
        names = [path[len(directory) + 1 :].split("/")[0] for path in list_tree(directory)]
    return sorted({name for name in names if _RUN.fullmatch(name)})


def is_of_version_0_1(output: str) -> bool:
    """Return whether `.staging` is of version 0.1.0, which had one for all runs, its mark empty."""
    path = staging_path(output, _MARK)
    return bool(FileSystems.exists(path)) and not FileSystems.get_filesystem(path).size(path)


def remove_staging_of_version_0_1(output: str) -> None:
    """Remove all of `.staging`."""
    remove_tree(str(FileSystems.join(output, _STAGING)))


def remove_runs(output: str, runs: list[str]) -> None:
    """Remove the staging directories of runs; where no other is left, the mark, too.

    What a user may have put into `.staging` stays.
    """
    for run in runs:
        remove_tree(run_path(output, run))
    if not find_runs(output):
        delete_files([staging_path(output, _MARK)])
        if is_local(output):
            with suppress(OSError):
                os.rmdir(os.path.join(output, _STAGING))
